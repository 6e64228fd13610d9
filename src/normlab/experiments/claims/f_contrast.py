"""Instance normalization does not see an image's contrast; batch normalization does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab.language import N_, both
from normlab.statistics import contrasts

from ..activations import Array
from ..training.parts import EVALUATE
from ..training.stack import Samples, Stack
from .claim import Claim, Finding
from .saying import difference, percent
from .training import best_stack, final

SETTINGS: dict[str, Any] = {"net": "conv", "activation": "relu", "init": "he", "batch": 32, "steps": 200}
RATES = (0.01, 0.1, 1.0)
CONTRAST, BRIGHTNESS = 4.0, 0.5  # factors between 1/4 and 4; shifts between -1/2 and 1/2 of white
MARGIN = 0.01
_STREAM = 21


def measure(seeds: Sequence[int]) -> list[Finding]:
    """Both arms trained on the images as they are, then shown the test images with each one's contrast changed."""
    stacks = {arm: best_stack(arm, seeds, RATES, **SETTINGS) for arm in ("in", "bn")}
    rows = len(next(iter(stacks.values())).split.test.y)
    plain = {arm: final(stack, "test_accuracy", 0.1) for arm, stack in stacks.items()}
    seen = {name: {a: _seen(s, b) for a, s in stacks.items()} for name, b in (("c", 0.0), ("cb", BRIGHTNESS))}
    kept = contrasts({"plain": plain["in"], "in": seen["c"]["in"]}, resolution=1 / rows)[0]
    said = both(
        N_("instance norm: {plain} as they are, {changed} with other contrasts; difference {difference} points"),
        plain=percent(plain["in"], 1 / rows), changed=percent(seen["c"]["in"], 1 / rows), difference=difference(kept),
    )  # fmt: skip
    ends = [abs(end) for end in (kept.low, kept.high) if end is not None]
    holds = len(ends) == 2 and max(ends) <= MARGIN
    return [Finding(holds, said, {"plain": plain, **seen}), *(_less(plain, one, rows) for one in seen.values())]


def _seen(stack: Stack, brightness: float) -> list[float]:
    """The accuracy of every slot on the changed test images; each seed changes them in its own way."""
    samples = stack.split.test
    found = []
    for k, slot in enumerate(stack.slots):
        x = _changed(samples.x, slot.seed, brightness)
        found.append(float(stack.evaluate(Samples(x, samples.y), EVALUATE)[1][k]))
    return found


def _changed(x: Array, seed: int, brightness: float) -> Array:
    """Every image times a factor and plus a shift of its own."""
    draws = np.random.default_rng([seed, _STREAM]).uniform(-1, 1, (2, len(x), 1, 1, 1))
    return np.asarray(x * CONTRAST ** draws[0] + brightness * draws[1], dtype=x.dtype)


def _less(plain: dict[str, list[float]], changed: dict[str, list[float]], rows: int) -> Finding:
    """How much accuracy each arm loses."""
    lost = {arm: (np.array(plain[arm]) - changed[arm]).tolist() for arm in ("bn", "in")}
    found = contrasts(lost, higher_is_better=False, resolution=1 / rows)[0]
    said = both(
        N_("batch norm: {plain} as they are, {changed} changed; what instance norm loses less what batch norm loses: "
           "{difference} points"),
        plain=percent(plain["bn"], 1 / rows), changed=percent(changed["bn"], 1 / rows), difference=difference(found),
    )  # fmt: skip
    return Finding(found.verdict == "better", said, {"lost": lost})


claim = Claim(
    letter="f",
    title=both(N_("Instance normalization is insensitive to each image's contrast; batch normalization is not.")),
    source="Ulyanov, Vedaldi and Lempitsky, arXiv 1607.08022, sections 2 and 3",
    setting=both(
        N_(
            "three 3 x 3 convolutions of 16 channels trained on the digits as they are, 200 batches of 32 at the best "
            "of three learning rates; then each test image times a factor between 1/4 and 4, and with a shift of up to "
            "half of white as well"
        )
    ),
    conditions=(
        both(N_("with other contrasts instance norm's accuracy stays within 1 point, by the interval")),
        both(N_("with other contrasts batch norm loses more accuracy than instance norm, by the interval")),
        both(N_("with other contrasts and brightness as well, by the interval")),
    ),
    measure=measure,
    seeds=8,
    seconds=50,
)
