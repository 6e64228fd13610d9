"""SELU: mean and variance settle at 0 and 1; plain dropout breaks it, alpha dropout keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab import functional
from normlab.language import N_, both
from normlab.statistics import Interval, interval

from ..activations import Array
from .claim import Claim, Finding
from .figures import written

LAYERS, WIDTH, ROWS = 32, 512, 256
# Mean and variance of the inputs: the fixed point, beside it, above and below what the paper's theorems bound.
STARTS = ((0.0, 1.0), (0.5, 1.0), (-0.5, 1.0), (0.0, 0.16), (0.0, 3.0))
NEAR = 0.1
DROPPED = 0.1  # the larger of the paper's two rates for SELU
PLAIN, ALPHA = "plain", "alpha"
_STREAM = 22


def measure(seeds: Sequence[int]) -> list[Finding]:
    """Mean and variance after the last layer, from every start, then with both dropouts from the fixed point."""
    ends = {start: np.array([_after(seed, *start) for seed in seeds]) for start in STARTS}
    settled = [_moments(own, N_("from mean {mean} and variance {var}"), start) for start, own in ends.items()]
    broken, kept = (
        _moments(np.array([_after(seed, 0.0, 1.0, kind) for seed in seeds]), sentence, (0.0, 1.0))
        for kind, sentence in ((PLAIN, N_("with plain dropout")), (ALPHA, N_("with alpha dropout")))
    )
    worst = max(settled, key=lambda one: one[2])
    said = both(N_("furthest off of {count} starts is the one {found}"), count=len(STARTS), found=worst[1])
    figures = {"starts": [list(s) for s in STARTS], "ends": [e.tolist() for e in ends.values()]}
    return [
        Finding(worst[2] <= NEAR, said, figures),
        Finding(broken[3] > NEAR, broken[1], {"ends": broken[0]}),
        Finding(kept[2] <= NEAR, kept[1], {"ends": kept[0]}),
    ]


def _after(seed: int, mean: float, var: float, dropout: str | None = None) -> tuple[float, float]:
    """Mean and variance over inputs and units after the last layer."""
    draws = np.random.default_rng([seed, _STREAM])
    x = (mean + np.sqrt(var) * draws.standard_normal((ROWS, WIDTH))).astype(np.float32)
    for layer in range(LAYERS):
        weights = (draws.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32)
        x = functional.selu(x @ weights)
        x = x if dropout is None else _dropped(x, dropout, [seed, _STREAM, layer])
    wide = x.astype(np.float64)
    return float(wide.mean()), float(wide.var())


def _dropped(x: Array, kind: str, key: Sequence[int]) -> Array:
    if kind == ALPHA:
        return functional.alpha_dropout(x, p=DROPPED, key=int(np.random.SeedSequence(key).generate_state(1)[0]))
    kept = np.random.default_rng(key).random(x.shape) >= DROPPED
    return np.asarray(x * kept / (1 - DROPPED), dtype=x.dtype)


def _moments(ends: Array, sentence: str, start: tuple[float, float]) -> tuple[Any, dict[str, str], float, float]:
    """The values, what they say, and how far the intervals reach from 0 and 1, at most and at least."""
    mean, var = (interval(own.tolist(), resolution=0.0) for own in ends.T)
    said = both(
        N_("{case}: mean {mean}, variance {var} after {layers} layers"),
        case=both(sentence, mean=start[0], var=start[1]), mean=written(mean), var=written(var), layers=LAYERS,
    )  # fmt: skip
    reach = [_reach(mean, 0.0), _reach(var, 1.0)]
    return ends.tolist(), said, max(far for _, far in reach), max(near for near, _ in reach)


def _reach(found: Interval, aim: float) -> tuple[float, float]:
    """How far the interval's nearest and its furthest point lie from `aim`."""
    low, high = ((found.mean or 0.0 if v is None else v) - aim for v in (found.low, found.high))
    return max(low, -high, 0.0), max(-low, high)


claim = Claim(
    letter="h",
    title=both(N_("SELU keeps mean 0 and variance 1; plain dropout breaks that, alpha dropout keeps it.")),
    source="Klambauer and others, arXiv 1706.02515, theorems 1 to 3 and section 'New dropout technique'",
    setting=both(
        N_(
            "32 layers of 512 SELU units at initialization, LeCun's weights, 256 normal inputs of mean and variance "
            "(0, 1), (0.5, 1), (-0.5, 1), (0, 0.16) and (0, 3); dropout of 0.1 after every layer"
        )
    ),
    conditions=(
        both(N_("from every start mean and variance end within 0.1 of 0 and 1, by the intervals")),
        both(N_("with plain dropout one of the two ends further off than that, by its interval")),
        both(N_("with alpha dropout both end within 0.1 of 0 and 1, by the intervals")),
    ),
    measure=measure,
    seeds=8,
    seconds=15,
)
