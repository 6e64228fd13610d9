"""The guided tour: five things to do in the ladder, and what was seen when they were done, in the user's own numbers.

A step is done when the state and its document say so, not when a button was pressed. The last one answers the study
note's question with whatever network the user chose; it names the method that the question names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..experiments.verdicts.readings import Arm, read
from ..language import N_, both
from ..report.fate import same_but_different
from ..report.numerals import ratio, share, signal_share
from .fields import State, Text

__all__ = ["STEPS", "Step", "seen"]

DEEP, LARGE = 10, 1.0
ASKED_ABOUT = "batch_norm"

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """What to do, and what is seen then; `seen` gives None where it has not been done."""

    title: Text
    task: Text
    seen: Callable[[State, Document], Text | None]


def seen(state: State, document: Document) -> list[tuple[int, Text]]:
    """The numbers of the steps whose thing is done in this state, each with what is seen."""
    found = ((k, step.seen(state, document)) for k, step in enumerate(STEPS, 1))
    return [(k, text) for k, text in found if text is not None]


def _deep(state: State, document: Document) -> Text | None:
    readings = read(document)
    if state["layers"] < DEEP or not readings.by_merit:
        return None
    return both(
        "Of the last layer's gradient, layer 1 gets: {items}. Without it a layer does not learn.",
        items=", ".join(f"{arm.label} {_reaches(arm)}" for arm in readings.by_merit),
    )


def _opened(state: State, document: Document) -> Text | None:
    if not state["row"] or state["row"] < state["layers"]:
        return None
    layers = [(arm["label"], arm["layers"][state["row"] - 1]) for arm in document["arms"] if arm["layers"]]
    return both(
        "Vertical stripes: each unit says the same for every input. Texture: it says something else. In layer {layer} "
        "so much of the variance is texture: {items}.",
        layer=state["row"], items=", ".join(f"{label} {share(signal_share(layer))}" for label, layer in layers),
    )  # fmt: skip


def _same_moments(state: State, document: Document) -> Text | None:
    pair = same_but_different(document)
    if pair is None:
        return None
    a, b = pair
    return both(
        "{a} and {b} hand on nearly the same mean and variance, yet layer 1 gets {ratio_a} and {ratio_b} times the "
        "last layer's gradient. The histogram alone does not show it.",
        a=a["label"], b=b["label"], ratio_a=ratio(a["first_over_last"]), ratio_b=ratio(b["first_over_last"]),
    )  # fmt: skip


def _large(state: State, document: Document) -> Text | None:
    arm = read(document).without
    if arm is None or isinstance(state["init"], str) or state["init"] < LARGE or arm.ratio is None:
        return None
    values = {"label": arm.label, "ratio": _reaches(arm), "saturated": share(_mean(arm.saturation))}
    if arm.vanishes:
        return both(
            "{label}: layer 1 gets {ratio} times the last layer's gradient; {saturated} of the units are saturated.",
            **values,
        )
    return both(
        "{label}: layer 1 gets {ratio} times the last layer's gradient, so it does not vanish, although {saturated} of "
        "the units are saturated. What dies depends on the weights as well, not on the sigmoid alone.",
        **values,
    )


def _answered(state: State, document: Document) -> Text | None:
    """Whether it cures, in this network."""
    readings = read(document)
    cure = next((arm for arm in readings.arms if arm.data["method"] == ASKED_ABOUT), None)
    none = readings.without
    if cure is None or none is None or none.ratio is None or cure.ratio is None or state["activation"] != "sigmoid":
        return None
    return both(_verdict(none, cure), without=_reaches(none), with_it=_reaches(cure), layers=readings.depth)


def _verdict(none: Arm, cure: Arm) -> str:
    if not none.vanishes:
        return N_(
            "Nothing to cure in your network: of {layers} layers the first gets {without} times the last one's "
            "gradient without batch normalization, and {with_it} times with it. Try Xavier weights, or more layers."
        )
    if cure.carries:
        return N_(
            "Yes, in your network: of {layers} sigmoid layers the first gets {without} times the last one's gradient "
            "without batch normalization, and {with_it} times with it."
        )
    return N_(
        "Not in your network: of {layers} sigmoid layers the first gets {without} times the last one's gradient "
        "without batch normalization, and {with_it} times with it."
    )


def _reaches(arm: Arm) -> str:
    return ratio(_mean(arm.ratio))


def _mean(measured: Any) -> float | None:
    return None if measured is None else float(measured.mean)


STEPS = (
    Step(
        both("Let the gradient die"),
        both(
            "Move the slider of the layers to 10 or more. The left arm has no normalization; watch the violet rod of "
            "its layer 1 get shorter. It is the gradient that this layer would learn from."
        ),
        _deep,
    ),
    Step(
        both("Look into the last layer"),
        both(
            "Click the lowest row of the ladder, or go there with the Tab key and press Enter. It opens a layer, "
            "inputs by units."
        ),
        _opened,
    ),
    Step(
        both("The same histogram, another fate"),
        both(
            "Choose bn on the left and ln on the right. Their histograms agree in mean and variance; compare the "
            "signal share and the gradient of the first layer."
        ),
        _same_moments,
    ),
    Step(
        both("Take larger weights"),
        both(
            "Choose none on the left again, and move the slider of the weights to 1 or more. Does the verdict still "
            "speak of a vanishing gradient?"
        ),
        _large,
    ),
    Step(
        both("Answer the note's question"),
        both(
            "Does batch normalization cure vanishing gradients with sigmoid? Put none beside bn, with sigmoid, and "
            "choose layers and weights yourself. Look for a network where the answer is yes, and for one where it is "
            "no."
        ),
        _answered,
    ),
)
