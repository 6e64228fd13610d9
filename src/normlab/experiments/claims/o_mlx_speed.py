"""The study note's sentence that MLX is faster, asked of this machine by the benchmark's own protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from normlab.benchmark import bench
from normlab.language import N_, both
from normlab.statistics import contrasts

from .claim import Claim, Finding
from .saying import bracketed

MLX = "mlx"
OTHERS = {"numpy": "NumPy", "torch": "PyTorch"}
REFERENCE = "normlab numpy"  # the benchmark judges whether a case was disturbed by a layer of normlab's
FASTER = 1.05  # nearer to 1 than this the benchmark says "equally fast"
SETTINGS: dict[str, Any] = {
    "methods": ("batch_norm", "layer_norm"), "tiers": ("L1", "L2", "L3"), "shapes": 1, "seconds": 0.05,
}  # fmt: skip


def measure(seeds: Sequence[int]) -> list[Finding]:
    """MLX beside each of the others, over the cases in which neither was disturbed."""
    rows = bench(**SETTINGS, contestants=[REFERENCE, *OTHERS, MLX]).to_dict()["rows"]
    return [_compared(name, times(rows, other)) for other, name in OTHERS.items()]


def times(rows: Sequence[Mapping[str, Any]], other: str) -> tuple[list[float], list[float]]:
    """Logarithms of the times of MLX and of another, for the cases in which both took part undisturbed."""
    pairs = [(r["contestants"][MLX], r["contestants"][other]) for r in rows if {MLX, other} <= r["contestants"].keys()]
    sound = [pair for pair in pairs if not any(one["disturbed"] for one in pair)]
    return [math.log(mlx["us"]) for mlx, _ in sound], [math.log(theirs["us"]) for _, theirs in sound]


def _compared(name: str, found: tuple[list[float], list[float]]) -> Finding:
    mlx, other = found
    if len(mlx) < 2:
        return Finding(False, both(N_("every comparison was disturbed by what else ran here")), {"cases": len(mlx)})
    # Two comparisons: each interval at a level at which both hold together.
    pair = contrasts({MLX: mlx, name: other}, higher_is_better=False, level=1 - 0.05 / len(OTHERS))[0]
    ratio, low, high = (None if v is None else math.exp(v) for v in (pair.difference, pair.low, pair.high))
    said = both(
        N_("MLX is {ratio} times as fast as {name} over {cases} cases (interval over the cases, corrected for both "
           "comparisons)"),
        ratio=bracketed(ratio, low, high, ".2f"), name=name, cases=len(mlx),
    )  # fmt: skip
    figures = {"ratio": ratio, "low": low, "high": high, "cases": len(mlx)}
    return Finding(low is not None and low > FASTER, said, figures)


claim = Claim(
    letter="o",
    title=both(N_("MLX is faster than NumPy and PyTorch.")),
    source="the study note, on MLX",
    setting=both(
        N_("normlab bench on this machine: batch and layer normalization, forward and with the backward pass, one "
           "shape for each of three caches that input and output fit into; one thread; geometric means over the cases")
    ),
    conditions=(
        both(N_("MLX is more than 1.05 times as fast as NumPy, by the lower end of the interval over the cases")),
        both(N_("MLX is more than 1.05 times as fast as PyTorch, by the lower end of the interval over the cases")),
    ),
    measure=measure,
    seeds=0,
    seconds=60,
    needs=("mlx", "torch"),
)  # fmt: skip
