"""Where the normalization of a Transformer stands decides how large the last layer's gradient is at the start.

The theorem's own setting: all matrices width x width, drawn with variance 1 / width, biases 0. It lets what the last
normalization receives grow as 1 + L/2 at least and 1 + 3L/2 at most, so that the gradient falls, between 2 and 16
layers, with an exponent of -0.36 to -0.44, and with -0.5 in the limit; hence how far from -0.5 is still reproduced.
The loss is that of one position. In the gradient of a mean over positions the parts add up the more, the more alike
the positions have become, which they do with depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab.language import N_, both
from normlab.statistics import Interval, interval

from ..activations import Array
from .claim import Claim, Finding
from .saying import bracketed

DEPTHS = (2, 4, 8, 16)
WIDTH, HEADS, TOKENS, ROWS = 64, 1, 16, 16
FLAT = 0.1  # how far from 0 the exponent of what does not depend on depth may lie
NEAR = 0.15  # how far from -1/2 that of 1/sqrt(L)


def measure(seeds: Sequence[int]) -> list[Finding]:
    """Norms of the gradient of the last layer's last matrix by depth and seed, for both places."""
    from .torch_networks import alone

    with alone():
        after, before = (_norms(seeds, before) for before in (False, True))
    flat, falling = exponent(after), exponent(before)
    deepest = interval([float(v) for v in np.log(after[-1] / before[-1])])
    mean, low, high = (None if v is None else float(np.exp(v)) for v in (deepest.mean, deepest.low, deepest.high))
    return [
        _fitted(after, flat, within(flat, 0.0, FLAT)),
        _fitted(before, falling, within(falling, -0.5, NEAR)),
        Finding(
            deepest.low is not None and deepest.low > 0,
            both(N_("with {layers} layers it is {times} times as large after as before"),
                 layers=DEPTHS[-1], times=bracketed(mean, low, high, ".2f")),
            {"after": after[-1].tolist(), "before": before[-1].tolist()},
        ),
    ]  # fmt: skip


def _fitted(norms: Array, found: Interval, holds: bool) -> Finding:
    said = both(
        N_("its norm is {first} with {few} layers and {last} with {many}; exponent {exponent}"),
        first=f"{norms[0].mean():.3g}", last=f"{norms[-1].mean():.3g}", few=DEPTHS[0], many=DEPTHS[-1],
        exponent=bracketed(found.mean, found.low, found.high, ".3f"),
    )  # fmt: skip
    return Finding(holds, said, {"layers": list(DEPTHS), "norms": norms.tolist()})


def exponent(norms: Array) -> Interval:
    """The slope of log norm over log depth by least squares, a fit a seed. Shape: (depths, seeds)."""
    return interval([float(v) for v in np.polyfit(np.log(DEPTHS), np.log(norms), 1)[0]])


def within(found: Interval, value: float, distance: float) -> bool:
    """Whether the whole interval lies that near to a value."""
    return found.low is not None and found.high is not None and (
        value - distance < found.low and found.high < value + distance
    )  # fmt: skip


def _norms(seeds: Sequence[int], before: bool) -> Array:
    return np.array([[_norm(seed, depth, before) for seed in seeds] for depth in DEPTHS])


def _norm(seed: int, depth: int, before: bool) -> float:
    import torch
    from torch import nn

    import normlab as nl

    from .torch_networks import Block

    def norm(width: int) -> Any:
        return nl.torch.LayerNorm(width)

    torch.manual_seed(seed)
    blocks = nn.Sequential(*(Block(WIDTH, HEADS, WIDTH, norm, before) for _ in range(depth)))
    network = nn.Sequential(blocks, norm(WIDTH) if before else nn.Identity(), nn.Linear(WIDTH, WIDTH))
    for name, p in network.named_parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=WIDTH**-0.5)
        elif name.endswith("bias"):
            nn.init.zeros_(p)
    x, words = torch.randn(ROWS, TOKENS, WIDTH), torch.randint(WIDTH, (ROWS,))
    losses = nn.functional.cross_entropy(network(x)[:, 0], words, reduction="none")
    last: Any = blocks[-1]
    gradients = [torch.autograd.grad(loss, last.down.weight, retain_graph=True)[0] for loss in losses]
    return float(torch.stack([g.square().sum() for g in gradients]).mean().sqrt())


claim = Claim(
    letter="l",
    title=both(N_("At the start the last layer's gradient of a Transformer does not depend on depth with the "
                  "normalization after the sum, and falls with the root of depth with it inside the branch.")),
    source="Xiong et al., arXiv 2002.04745, theorem 1 and section 3.3",
    setting=both(N_("layers of width 64 as in the theorem (all matrices square, of variance 1 / width), 2 to 16 of "
                    "them, 16 random tokens, cross-entropy of one against a random word, at initialization")),
    conditions=(
        both(N_("after the sum: the gradient's norm goes with the number of layers to a power within 0.1 of 0, by "
                "its interval")),
        both(N_("inside the branch: to a power within 0.15 of -0.5, by its interval")),
        both(N_("with 16 layers it is larger after the sum: the interval of the ratio lies above 1")),
    ),
    measure=measure,
    seeds=10,
    seconds=10,
    needs=("torch",),
)  # fmt: skip
