"""The ladder: two arms side by side in the network that the sliders describe, drawn as the report draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from ... import registry
from ...constraints import Interval, OneOf
from ...experiments.activations import ACTIVATIONS
from ...experiments.arms import EXPLAINED, NONE, read_arm
from ...experiments.presets import DEFAULTS, NO_PRESET
from ...experiments.settings import DATA, INITS, LARGEST_SEED, LIMITS
from ...experiments.verdicts import marked
from ...language import both
from ...report.arms import acting
from ...report.gallery import fate_figure, ladder_figure, law_figure
from ...report.headline import tiles
from ...report.heat import heat, sampled
from ...report.ladder import WIDTH, Axes, row_places
from ...report.law import has_gains
from ...report.parts import Figure, Table
from ...report.settings import setting_line
from ...report.tables import full_table, sample_tables
from ..fields import Field, Named, State, Text, address, defaults, spelt
from ..ladder_run import NOTE, PRESET_NAMES, document_of, preset_state, same_arms, sampled_at, take
from ..tour import STEPS, seen
from ..view import Asked, Shown, View, render

__all__ = ["VIEW"]

Document = Mapping[str, Any]
LAYERS, BATCH = LIMITS["layers"], (1, 1000)
CONV_LAYERS, CONV_BATCH = 20, 200  # a convolution costs 64 pixels x 9 taps: a second or two, not a minute
MOST_ROWS = 20
EMPTY = Table({"en": "", "ko": ""}, [], [])  # for what is folded while somebody drags
LONGEST_ARM = 120
SPREADS = (
    *(round(k * 10.0**p, 4) for p in (-3, -2, -1) for k in (1, 1.5, 2, 3, 4, 5, 6, 8)), 1.0, 1.5, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip
PRESET_TITLES = (
    both("the note"), both("weights too small"), both("weights too large"), both("20 layers"), both("a batch of 4"),
    both("same mean, same variance"),
)  # fmt: skip


class ArmText:
    """An arm as `compare` takes it: a name, a name with options, a line of notation, or none."""

    said = both("a method such as bn, one with options such as gn:groups=4, a line of notation, or none")
    values = (NONE, *(name for d in registry.methods() for name in (d.short, d.name)))

    def accepts(self, value: Any) -> bool:
        try:
            return isinstance(value, str) and len(value) <= LONGEST_ARM and bool(read_arm(value, NO_PRESET))
        except ValueError:
            return False

    def refused(self) -> tuple[Any, ...]:
        return ("no such method", "bn:nothing=1", "all", 1, None)


def _arms() -> list[tuple[str, str | Text]]:
    """What the two lists offer: every method that can act between layers or on weights."""
    found: list[tuple[str, str | Text]] = [(NONE, both("none · no normalization"))]
    for one in registry.methods():
        if one.role not in (*EXPLAINED, "input"):
            found.append((one.short, {"en": f"{one.short} · {one.title}", "ko": f"{one.short} · {one.title_ko}"}))
    return found


def _names(names: Any) -> list[tuple[str, str | Text]]:
    return [(name, name) for name in names]


class Ladder(View):
    """See the module."""

    name, place, path, title = "ladder", 1, "/", both("The ladder")
    template, script = "ladder.html", "ladder.js"
    fields = (
        Field("left", both("left"), NONE, ArmText(), "choice", _arms()),
        Field("right", both("right"), "bn", ArmText(), "choice", _arms()),
        Field("layers", both("layers"), DEFAULTS["layers"], Interval(*LAYERS, whole=True), "range"),
        Field("init", both("weights"), "xavier", Named(INITS, Interval(1e-6, 1e3)), "choice",
              [*_names(INITS), *_names(("0.01", "0.1", "1"))], SPREADS),
        Field("activation", both("activation"), "sigmoid", OneOf(*ACTIVATIONS), "choice", _names(ACTIVATIONS)),
        Field("batch", both("inputs in a batch"), DEFAULTS["batch"], Interval(*BATCH, whole=True), "range",
              stops=[1, 2, 4, 8, 16, 32, 64, 100, 128, 256, 512, 1000]),
        Field("seed", both("seed"), 0, Interval(0, LARGEST_SEED, whole=True)),
        Field("data", both("data"), "normal", OneOf(*DATA), "choice", [
            ("normal", both("normal · random")), ("digits", both("digits · handwritten")),
            (NOTE, both("note · the study note's network")),
        ]),
        Field("net", both("net"), "dense", OneOf("dense", "conv"), "choice",
              [("dense", both("dense")), ("conv", both("conv · 3 × 3 on images"))]),
        Field("place", both("normalize"), "before", OneOf("before", "after"), "choice",
              [("before", both("before the activation")), ("after", both("after the activation"))]),
        Field("row", both("open row"), 0, Interval(0, LAYERS[1], whole=True), "hidden"),
    )  # fmt: skip

    def settle(self, state: State) -> tuple[State, list[Text]]:
        settled = dict(state)
        notes: list[Text] = []
        if same_arms(state["left"], state["right"]):
            settled["right"] = "bn" if state["left"] == NONE else NONE
            values = {"arm": state["left"], "other": settled["right"]}
            notes.append(both("Both arms were {arm}; the right one is {other} now.", **values))
        if state["data"] == NOTE and state["net"] == "conv":
            settled["net"] = "dense"
            notes.append(both("The note's network is dense."))
        if settled["net"] == "conv":
            for name, most in (("layers", CONV_LAYERS), ("batch", CONV_BATCH)):
                settled[name] = min(state[name], most)
            if settled["layers"] < state["layers"] or settled["batch"] < min(state["batch"], DEFAULTS["batch"]):
                notes.append(both("A convolutional net has at most {layers} layers and {batch} images here.",
                                  layers=CONV_LAYERS, batch=CONV_BATCH))  # fmt: skip
        settled["row"] = min(state["row"], settled["layers"])
        return settled, notes

    def show(self, asked: Asked) -> Shown:
        state = asked.state
        document = document_of(state, asked.quick)
        before = None if asked.before is None else document_of(asked.before, asked.quick)
        verdicts = marked(document)
        folded = asked.quick and asked.folded
        html = render(
            "rungs.html", asked.lang, state=state, document=document, verdicts=verdicts, tiles=tiles(document),
            ladder=self._ladder(asked, document, before), fate=fate_figure(document, asked.lang), folded=folded,
            lawful=has_gains(document), law=None if folded else law_figure(document, asked.lang),
            closed=address(self.fields, state, row=0),
            change=None if asked.before is None else self._change(asked.before, state),
            heat=_heat(sampled_at(state, asked.quick), state["row"], asked.lang) if state["row"] else None,
            table_of=full_table(document) if acting(document) and not folded else None, setting=setting_line(document),
            seen=() if asked.quick else seen(state, document),
        )  # fmt: skip
        command, python = take(state)
        return Shown(html, command, python, document, verdicts[0].text if verdicts else None)

    def context(self, asked: Asked) -> dict[str, Any]:
        wanted = [address(self.fields, {**defaults(self.fields), **preset_state(name)}) for name in PRESET_NAMES]
        return {"presets": list(zip(PRESET_TITLES, wanted, strict=True)), "steps": STEPS}

    def _ladder(self, asked: Asked, document: Document, before: Document | None) -> Figure | None:
        """The report's figure; over each panel the rows as links, which open a layer."""
        if not acting(document):
            return None
        folded = asked.quick and asked.folded
        figure = ladder_figure(document, asked.lang, most=MOST_ROWS, before=before, tables=not folded)
        axes = Axes(document)
        drawings = []
        for side, (arm, drawing) in enumerate(zip(acting(document), figure.drawings, strict=True)):
            places = row_places(arm, axes, MOST_ROWS)
            hrefs = {layer: address(self.fields, asked.state, row=layer) for layer, _, _ in places}
            height = drawing.partition('viewBox="')[2].partition('"')[0].split()[3]
            over = render(
                "rows.html", asked.lang, side=side, arm=arm, rows=places, hrefs=hrefs, open=asked.state["row"],
                width=WIDTH, height=height,
            )  # fmt: skip
            drawings.append(Markup(drawing) + over)
        return replace(figure, drawings=drawings, tables=[EMPTY] if folded else figure.tables)

    def _change(self, before: State, state: State) -> Text | None:
        """What is different from the run whose outlines are shown."""
        found = [f for f in self.fields if f.widget != "hidden" and before[f.name] != state[f.name]]
        if not found:
            return None
        return {k: ", ".join(f"{f.label[k]} {spelt(before[f.name])}" for f in found) for k in ("en", "ko")}


def _heat(document: Document, layer: int, lang: str) -> Figure | None:
    """What a layer hands on, inputs x units, for each arm."""
    shown = sampled(document)
    if not shown:
        return None
    text = both("The numbers stand in the table below the drawing.")
    maps = []
    for arm in shown:
        title = both("Inputs × units of layer {layer}: {label}", layer=layer, label=arm["label"])
        maps.append(heat(arm, lang).svg(title, text))
    caption = both(
        "{n} inputs (rows) by {m} units (columns) of layer {layer}, each arm with its own scale. Vertical stripes are "
        "an offset: a unit says the same for every input. Texture is signal: it says something else.",
        n=shown[0]["sample"]["inputs"], m=shown[0]["sample"]["units"], layer=layer,
    )  # fmt: skip
    return Figure("heat", maps, caption, "maps", sample_tables(document))


VIEW = Ladder()
