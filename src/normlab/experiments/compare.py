"""`compare`: the same network, inputs and weights under several normalizations, measured layer by layer."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from normlab.errors import ShapeError
from normlab.language import both
from normlab.result import Result, machine, versions

from .arms import Arm, Methods, read_arms, refusal, text_of, texts_of
from .draws import Draws, Inputs, draw, load
from .inputs import input_notes, input_refusal, scaled
from .intervals import merge
from .measure import Document, measure
from .network import layout_of
from .repeatable import by_the_formula
from .settings import SIDE, Settings

__all__ = ["Comparison", "Interrupted", "compare", "run"]

OnArm = Callable[[int, int, Mapping[str, Any]], None]  # how many are finished, of how many, the last one's document


class Comparison(Result):
    """What `compare` found."""

    def plot(self, lang: str = "auto") -> Any:
        """Draw the histograms with matplotlib: a column for each arm, a row for each layer, one axis.

        Returns: a matplotlib Figure.
        Raises: MissingExtraError without the extra `plot`.
        """
        from .plotting import plot

        return plot(self._document, lang)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; `result` holds the arms that were finished, or is None where none was."""

    def __init__(self, result: Comparison | None) -> None:
        super().__init__()
        self.result = result


def _compare(
    methods: Methods = None, *, preset: str | None = None, data: Any = "normal", net: str = "dense", layers: int = 5,
    width: int = 100, batch: int = 1000, activation: str = "sigmoid", init: str | float = "xavier", bias: bool = False,
    place: str = "before", top: str = "cotangent", cotangents: int = 8, dtype: str = "float64", seeds: int = 1,
    seed: int = 0,
) -> Comparison:  # fmt: skip
    """Show what each normalization does to the signal and the gradient of a network at initialization.

    Every arm gets the same inputs, weights and cotangents. A preset fills in what is not given; what is given wins.

    Args:
        methods: the arms: names with options (`"gn:groups=4"`), lines of notation (`"n (g [c]) [...]:g=4"`), `"none"`,
            `"all"`, definitions; a string of several is split at spaces. None: none, batch and layer normalization.
        preset: note-1, note-5 (the study note's code, to the digit), dlfs, too-small, too-large, deep, tiny-batch,
            same-moments.
        data: "normal"; "digits", pixels from 0 to 1; "note", 20 uniform features; or a .csv, .npy or .npz file.
        net: "dense", or "conv": 3 x 3 convolutions on images of 8 x 8 (16 channels and 200 images unless given).
        layers, width, batch: 1 to 64 layers; units, or channels; inputs. A batch beyond the data is cut, and noted.
        activation: sigmoid, tanh, relu, gelu, selu or identity.
        init: xavier randn/sqrt(fan_in), he sqrt(2/fan_in), lecun as xavier, glorot sqrt(2/(fan_in + fan_out)), or a
            standard deviation.
        bias: random biases with the standard deviation of the weights, as in the study note; False: none.
        place: a normalization stands "before" or "after" the activation function.
        top: what comes from above: random "cotangent"s, or the gradient of a classifier's "loss".
        cotangents: how many random cotangents; the root mean square over them is reported. One draw is noisy.
        dtype: "float64" or "float32".
        seeds, seed: how many seeds, from which on; with two or more every number has its 95 % interval.

    Returns:
        A Comparison; `to_dict()` is the document. The same seed gives the same bytes.

    Raises:
        UsageError: an argument out of range, two equal arms, an unknown name. ReadWriteError: the file. An arm that
        cannot act is explained in the document, and NaN or infinity are counted there: neither raises.

    Example:
        >>> import normlab as nl
        >>> document = nl.compare(["none", "bn"], layers=5, seed=0).to_dict()
        >>> [round(arm["first_over_last"], 3) for arm in document["arms"]]
        [0.005, 1.097]
    """
    raise AssertionError("never called: `compare` passes on what was given")


@functools.wraps(_compare)
def compare(methods: Methods = None, **given: Any) -> Comparison:
    return run(methods, **given)


# The signature and the sentences are those above; which arguments were *given* only keywords can tell.
compare.__name__ = compare.__qualname__ = "compare"


def run(methods: Methods = None, *, preset: str | None = None, on_arm: OnArm | None = None, **given: Any) -> Comparison:
    """`compare`, with `on_arm` called after every finished arm.

    Raises: what `compare` raises; Interrupted on Ctrl-C, with the arms that were finished.
    """
    started = time.perf_counter()
    asked = Settings.read(preset, given)
    texts = texts_of(methods)
    arms = read_arms(methods if texts is None else texts, asked.rules)
    inputs = load(asked.data)
    settings, notes = _cut_to_data(asked, inputs)
    document: Document = {
        "schema": "normlab.compare/1",
        "command": asked.command([text_of(one) for one in texts or ()]),
        "versions": versions(),
        "machine": machine(),
        "wall_s": 0.0,
        "settings": settings.to_dict([arm.label for arm in arms]),
        "seeds": [settings.seed + k for k in range(settings.seeds)],
        "arms": [],
        "verdicts": [],
        "notes": notes + input_notes(arms, settings) + _noise_notes(arms),
        "nonfinite": None,
    }
    finished: list[Document] = document["arms"]
    try:
        with by_the_formula():
            drawn = functools.lru_cache(maxsize=1)(lambda seed: draw(settings, inputs, seed))
            document["nonfinite"] = _in_the_data(drawn(settings.seed))
            for arm in arms:
                finished.append(_arm_document(arm, settings, document["seeds"], drawn))
                if on_arm is not None:
                    on_arm(len(finished), len(arms), finished[-1])
    except KeyboardInterrupt:
        document["interrupted"] = True
        raise Interrupted(_finish(document, started) if finished else None) from None
    return _finish(document, started)


def _cut_to_data(settings: Settings, inputs: Inputs) -> tuple[Settings, list[dict[str, str]]]:
    notes = []
    if inputs.rows is not None and len(inputs.rows) < settings.batch:
        rows = len(inputs.rows)
        notes.append(both("the data have {rows} rows; batch {batch} is cut to that", rows=rows, batch=settings.batch))
        settings = replace(settings, batch=rows)
    return settings, notes


def _noise_notes(arms: Sequence[Arm]) -> list[dict[str, str]]:
    return [
        both("{label}: what it drops at random differs between inputs too, and counts as signal here", label=arm.label)
        for arm in arms
        if arm.role == "dropout"
    ]


def _arm_document(arm: Arm, settings: Settings, seeds: Sequence[int], drawn: Callable[[int], Draws]) -> Document:
    """One arm's entry: measured, or refused with the reason."""
    shape = (settings.batch, SIDE, SIDE, settings.width) if settings.is_conv else (settings.batch, settings.width)
    document: Document = {
        "method": arm.method, "options": arm.shown_options, "label": arm.label, "role": arm.role,
        "refused": refusal(arm, settings, shape, layout_of(settings)) or input_refusal(arm, settings),
    }  # fmt: skip
    gain = {"measured": None, "predicted": None}
    measured: Document = {"layers": [], "gain": gain, "first_over_last": None, "sample": None}
    if document["refused"] is None:
        try:
            measured = merge([measure(arm, settings, scaled(arm, drawn(seed))) for seed in seeds])
        except ShapeError as error:  # a shape that only the method itself can judge
            reason = both("{label} cannot act here: {reason}", label=arm.label, reason=error.message)
            document["refused"] = {**reason, "command": f"normlab guide {arm.method}"}
    return {**document, **measured}


def _in_the_data(draws: Draws) -> Document | None:
    count = int(draws.x.size - np.isfinite(draws.x).sum())
    return {"where": "data", "layer": 1, "arm": None, "count": count} if count else None


def _in_the_results(arms: Sequence[Document]) -> Document | None:
    """The first layer of the first arm with a number that is not finite."""
    for arm in arms:
        for layer in arm["layers"]:
            if layer["nonfinite"]:
                where = f"layer {layer['layer']} of {arm['label']}"
                return {"where": where, "layer": layer["layer"], "arm": arm["label"], "count": layer["nonfinite"]}
    return None


def _finish(document: Document, started: float) -> Comparison:
    from .verdicts import verdicts

    document["nonfinite"] = document["nonfinite"] or _in_the_results(document["arms"])
    document["verdicts"] = verdicts(document)
    document["wall_s"] = round(time.perf_counter() - started, 3)
    return Comparison(document)
