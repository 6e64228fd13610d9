"""What the page of a race shows: fragments, made by the report's drawing kit of a race that still goes on.

A race under way is read as the report reads a finished one; what is not known yet is missing there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ..experiments.training.course import GRADIENT_RATIO, with_ratios
from ..language import N_, both
from ..report.arms import cleaned
from ..report.drawing import Text
from ..report.numerals import amount, ratio, rounded, share
from ..report.parts import Cell, Table
from ..report.race import headline
from ..report.race_arms import not_trained, trained
from ..report.race_curves import curves
from ..report.race_figures import modes_picture
from ..report.race_gallery import panels, sections
from ..report.race_strip import decades, strip
from ..report.race_tables import curve_table, layers_table, modes_table, pairs_table, runs_table, why_stopped
from ..result import center
from .racing import ENDED, FAILED, FINISHED, LEFT, MADE_ROOM, PAUSED, RUNNING, STOPPED, WAITING, Standing
from .view import render

__all__ = ["Drawer", "stage", "terms"]

Arm = Mapping[str, Any]
TABLES_S = 2.0  # the tables behind the drawings change less often than these
QUARTERS = 4  # so often a screen reader is told how far it has come
_RATIO_TITLE = both("Gradient of the first layer over that of the last")
_BEHIND = both("The numbers stand in the table below the drawing.")


class Drawer:
    """The fragments of one race.

    `settings`: those of a race's document; `points`: how many records there will be; `chance`: guessing's accuracy.
    """

    def __init__(self, settings: Mapping[str, Any], points: Sequence[int], chance: float, lang: str) -> None:
        self.settings, self.points, self.chance, self.lang = settings, points, chance, lang
        self._tables_at, self._said = 0.0, (-1, WAITING)
        self._seen: dict[str, Arm] = {}  # each arm as it was drawn last while the race went on

    def __call__(self, standing: Standing) -> dict[str, str]:
        """Those that may have changed."""
        document = cleaned(standing.document) if standing.document else {"arms": standing.arms}
        arms = [self._arm(one) for one in trained(document) if one["lr"] is not None]
        made = {"status": self._status(standing), "reasons": self._reasons(standing, document)}
        made |= self._said_of(standing, arms)
        if arms:
            going = standing.state not in ENDED
            made |= self._drawings(arms, going) | {"numbers": self._numbers(arms)}
        if arms and (standing.rests or time.monotonic() - self._tables_at > TABLES_S):
            self._tables_at = time.monotonic()
            made |= self._tables({**document, "arms": arms})
        if standing.state == FINISHED:
            made["verdict"] = self._verdict(document)
        return made

    def empty(self) -> dict[str, str]:
        """The drawings before there is anything to draw."""
        return self._drawings([], True)

    def _arm(self, arm: Arm) -> Arm:
        """An arm to be drawn; one that diverged before its first record as it was seen until then."""
        if arm["curve"]:
            self._seen[str(arm["label"])] = arm
        seen = self._seen.get(str(arm["label"]), arm)
        return with_ratios({**arm, "curve": seen["curve"], "layers": seen["layers"]})

    def _drawings(self, arms: Sequence[Arm], going: bool) -> dict[str, str]:
        last, made = self.settings["steps"], {}
        for metric, title in (*panels(), (GRADIENT_RATIO, _RATIO_TITLE)):
            drawing = curves(arms, metric, title, self.lang, chance=self.chance, last=last)
            made[metric.replace("_", "-")] = drawing.svg(title, _BEHIND)
        title = both("Accuracy in training and in evaluation.")
        made["modes"] = modes_picture(arms, self.lang).svg(title, _BEHIND)
        strips = [self._strip(arm, decades(arms), going) for arm in arms]
        return {**made, "layers": self._write("race_strips.html", drawings=strips)}

    def _strip(self, arm: Arm, scale: tuple[int, int], going: bool) -> str:
        """The points that were recorded, and those between as long as there is room for them."""
        columns, curve, layers = len(self.points), arm["curve"], arm["layers"]
        if len(curve) > columns:
            kept = [k for k, point in enumerate(curve) if point["step"] in self.points or k == len(curve) - 1]
            curve, layers = [curve[k] for k in kept], [layers[k] for k in kept]
        title = both("{label}: gradient and signal of each layer over the steps", label=arm["label"])
        shown = {**arm, "curve": curve, "layers": layers}
        return strip(shown, scale, self.lang, columns=columns, going=going).svg(title, _BEHIND)

    def _numbers(self, arms: Sequence[Arm]) -> str:
        last = len(arms[0]["layers"][-1]) if arms and arms[0]["layers"] else self.settings["layers"]
        head: list[Cell] = [
            both("arm"), both("learning rate"), both("training loss"), both("test accuracy"),
            both("gradient, layer 1 over {last}", last=last), both("not diverged"),
        ]  # fmt: skip
        caption = both(
            "Latest numbers. While the race goes on, each arm is shown at the learning rate with the lowest training "
            "loss so far; at the end at the one that is best on the validation rows."
        )
        return self._write("race_table.html", tables=[Table(caption, head, [(None, [_row(arm) for arm in arms])])])

    def _tables(self, document: Mapping[str, Any]) -> dict[str, str]:
        arms = trained(document)
        if not all(arm["curve"] for arm in arms):
            return {}
        named = [*panels(), (GRADIENT_RATIO, _RATIO_TITLE)]
        tables = {
            "curves-table": [curve_table(document, metric, title) for metric, title in named],
            "modes-table": [modes_table(document)], "layers-table": [layers_table(arm) for arm in arms],
        }  # fmt: skip
        return {name: self._write("race_table.html", tables=own) for name, own in tables.items()}

    def _status(self, standing: Standing) -> str:
        known = {"step": standing.step, "steps": standing.steps or self.settings["steps"]}
        return self._write("race_status.html", words=_state(standing), state=standing.state, **known)

    def _said_of(self, standing: Standing, arms: Sequence[Arm]) -> dict[str, str]:
        """What a screen reader is told: a new state at once, else how far it is, four times in a race."""
        quarter = QUARTERS * standing.step // max(standing.steps, 1)
        if (quarter, standing.state) == self._said:
            return {}
        self._said = (quarter, standing.state)
        words = headline(standing.document) if standing.document else _state(standing)
        known = [(value, arm["label"]) for arm in arms if (value := center(arm["final"]["test_accuracy"])) is not None]
        if known and not standing.document:
            best = {"label": max(known)[1], "share": share(max(known)[0])}
            words = both("{state} Highest test accuracy: {label}, {share}.", state=words, **best)
        return {"said": self._write("race_said.html", words=words)}

    def _reasons(self, standing: Standing, document: Mapping[str, Any]) -> str:
        arms = [arm for arm in trained(document) if arm.get("grid")]
        said = why_stopped({"arms": arms})
        if standing.state == FINISHED and not said:
            said = [both("Every run took all {steps} steps.", steps=f"{standing.steps:,}")]
        if standing.state in (STOPPED, LEFT, MADE_ROOM):
            said = [*said, both("All runs that were still going ended at step {step}, unmeasured.", step=standing.step)]
        refused = [(str(arm["label"]), arm["refused"]) for arm in not_trained(document)]
        return self._write("race_reasons.html", sentences=said, refused=refused)

    def _verdict(self, document: Mapping[str, Any]) -> str:
        grid = [part for part in sections(document, self.lang) if part.name == "grid"] if trained(document) else []
        pairs = pairs_table(document)
        tables = [*([pairs] if pairs else []), runs_table(document)] if trained(document) else []
        return self._write(
            "race_verdict.html", headline=headline(document), verdicts=document["verdicts"][1:], grid=grid,
            notes=document["notes"], tables=tables, every=both("Every pair and every run"),
            unfair=None if len(self.settings["lr"]) > 1 else both("No comparison: one learning rate for all arms."),
        )  # fmt: skip

    def _write(self, template: str, **context: Any) -> str:
        return str(render(template, self.lang, **context)).strip()


def stage(drawer: Drawer) -> Markup:
    """The page's part in which a race takes place, before it begins."""
    return render("race_stage.html", drawer.lang, drawn=drawer.empty(), words=_words())


def terms(lang: str, command: str, *, fair: bool) -> Markup:
    """What is to be known beforehand: that one rate is no comparison, and what to do where there is no script."""
    unfair = both(
        "One learning rate for all arms is no comparison: each has a rate of its own that suits it best. Take the grid "
        "for a fair one."
    )
    without = both("Training on this page needs its script. In a terminal, this line runs the same race:")
    return render("race_terms.html", lang, command=command, fair=fair, unfair=unfair, without=without)


def _words() -> dict[str, Text]:
    return {
        "race": both("The race"), "go": both("Play"), "pause": both("Pause"), "step": both("Step"),
        "stop": both("Stop"),
        "ready": both("Ready: every arm gets the same first weights and the same rows in the same order."),
        "changed": both("The settings were changed. What stands here is the race before; the next one will have them."),
        "before": both("The race before"), "modes": both("Training and evaluation apart"),
        "curves": both(
            "A line is the mean over the seeds, its band the {level} interval; dotted: guessing, and a ratio of 1. The "
            "third drawing says whether the gradient reaches the first layer. The fourth keeps the two modes apart: "
            "test rows by running statistics and by each batch's own are measured at a pause and at the end.",
            level="95 %",
        ),
        "layers": both(
            "Time runs to the right, each row is a layer, layer 1 on top. Above: the norm of the gradient of its "
            "weights, on the same scale in all pictures; below: how much of the variance of what it hands on differs "
            "between inputs. Both scales are logarithmic: dark blue is next to nothing."
        ),
    }  # fmt: skip


def _row(arm: Arm) -> list[Cell]:
    latest = {name: _latest(arm, name) for name in ("train_loss", "test_accuracy", GRADIENT_RATIO)}
    lost = sum(int(line["stopped"].get("diverged", 0)) for line in arm["grid"])
    runs = sum(int(n) for line in arm["grid"] for n in line["stopped"].values())
    return [
        str(arm["label"]), rounded(arm["lr"]), amount(latest["train_loss"]), share(latest["test_accuracy"]),
        ratio(latest[GRADIENT_RATIO]), both("{going} of {runs}", going=runs - lost, runs=runs),
    ]  # fmt: skip


def _latest(arm: Arm, name: str) -> float | None:
    return next((value for point in reversed(arm["curve"]) if (value := center(point[name])) is not None), None)


def _state(standing: Standing) -> Text:
    """What the race does just now, or why it ended."""
    at = {"step": f"{standing.step:,}", "steps": f"{standing.steps:,}"}
    if standing.state == WAITING:
        return both("Waiting: number {place} in line, two races train at a time.", place=standing.place)
    if standing.state == FAILED:
        return both("This race cannot be run: {problem}", problem=standing.problem)
    return both(_WORDS[standing.state], **at)


_WORDS = {
    RUNNING: N_("Training: step {step} of {steps}."),
    PAUSED: N_("Paused at step {step} of {steps}."),
    FINISHED: N_("Finished at step {step} of {steps}."),
    STOPPED: N_(
        "Stopped by you at step {step} of {steps}. There is no verdict: the arms were not trained to the end."
    ),
    LEFT: N_("Ended at step {step} of {steps}: no page was watching any more."),
    MADE_ROOM: N_("Ended at step {step} of {steps}: it paused while others waited for its place in memory."),
}  # fmt: skip
