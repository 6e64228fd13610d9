"""What local response normalization is worth in the study note's network: that of a constant, at a price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from normlab.benchmark.timing import interval as ratio_of
from normlab.data import as_images, load
from normlab.language import N_, both
from normlab.statistics import contrasts

from .claim import Claim, Finding
from .saying import difference, percent, ratio

WINDOW: dict[str, Any] = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0}
CONSTANT = WINDOW["k"] ** -WINDOW["beta"]  # 0.5946, what it multiplies activations of order one by
MARGIN = 0.02
SETTINGS: dict[str, Any] = {"rates": (1e-3,), "batch": 64, "steps": 84}
WIDTHS = (32, 64, 128)
TIMED_S = 5.0
LRN, TIMES, NONE, BATCH = "local_response_norm", "constant", "none", "batch_norm"


def measure(seeds: Sequence[int]) -> list[Finding]:
    """The network with it, with its constant, with nothing, and with batch normalization."""
    from .torch_networks import alone, race, steps_of, timed

    data = as_images(load("digits"), channels=3, size=32)
    makes = {label: (lambda label=label: network(label)) for label in (LRN, TIMES, NONE, BATCH)}
    batch = SETTINGS["batch"]
    with alone():
        found = race(makes, data, seeds, **SETTINGS)
        calls = {label: steps_of(make, data.x[:batch], data.y[:batch]) for label, make in makes.items()}
        times = timed(calls, TIMED_S)
    resolution = 1 / len(data.test_y)
    pairs = {c.label: c for c in contrasts(found, against=LRN, margin=MARGIN, resolution=resolution)}
    said = {label: percent(values, resolution) for label, values in found.items()}
    return [
        _compared(N_("test accuracy {lrn} with it, {other} with the constant; the constant's difference from it "
                     "{difference} points"),
                  said, pairs[TIMES], pairs[TIMES].verdict == "equivalent", found),
        _compared(N_("test accuracy {lrn} with it, {other} with nothing; the difference of nothing from it "
                     "{difference} points"),
                  said, pairs[NONE], pairs[NONE].verdict == "better", found),
        _compared(N_("test accuracy {lrn} with it, {other} with batch normalization; the difference of batch "
                     "normalization from it {difference} points"),
                  said, pairs[BATCH], pairs[BATCH].verdict == "better", found),
        _slower(times),
    ]  # fmt: skip


def _compared(message: str, said: Any, pair: Any, holds: bool, found: Any) -> Finding:
    text = both(message, lrn=said[LRN], other=said[pair.label], difference=difference(pair))
    figures = {pair.label: found[pair.label], LRN: found[LRN]}
    return Finding(holds, text, {"accuracies": figures, "low": pair.low, "high": pair.high})


def _slower(times: Any) -> Finding:
    ratios = {label: ratio_of(times[LRN], times[label]) for label in (TIMES, NONE, BATCH)}
    said = both(
        N_("a training step takes {times} times as long as with the constant, {none} as with nothing, {batch} as "
           "with batch normalization"),
        times=ratio(*ratios[TIMES]), none=ratio(*ratios[NONE]), batch=ratio(*ratios[BATCH]),
    )  # fmt: skip
    return Finding(ratios[TIMES][0] > 1, said, {"ratios": ratios})


def network(label: str) -> Any:
    """The note's network: three blocks of convolution, `label`, ReLU and pooling, two linear layers.

    620,362 parameters without those of a normalization. Shapes: (n, 3, 32, 32) -> (n, 10)
    """
    from torch import Tensor, nn

    import normlab as nl

    class Times(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return CONSTANT * x

    norms: Any = {
        LRN: lambda channels: nl.torch.LocalResponseNorm(**WINDOW), TIMES: lambda channels: Times(),
        NONE: lambda channels: nn.Identity(), BATCH: lambda channels: nl.torch.BatchNorm(channels),
    }  # fmt: skip
    blocks: list[Any] = []
    for n_in, n_out in zip((3, *WIDTHS), WIDTHS, strict=False):
        blocks += [nn.Conv2d(n_in, n_out, 3, padding=1), norms[label](n_out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*blocks, nn.Flatten(1), nn.Linear(WIDTHS[-1] * 16, 256), nn.ReLU(), nn.Linear(256, 10))


claim = Claim(
    letter="j",
    title=both(N_("In the note's network local response normalization is worth what the constant 0.5946 is, at more "
                  "time.")),
    source="Krizhevsky, Sutskever and Hinton (NIPS 2012), section 3.3, in the study note's network",
    setting=both(
        N_("the note's convolutional network (620,362 parameters; k 2, size 5, alpha 1e-4, beta 0.75; then ReLU) on "
           "the digits at 3 x 32 x 32, Adam at 1e-3, batches of 64, 84 steps; times of a step in turns on one thread")
    ),
    conditions=(
        both(N_("with the constant in its place the test accuracy differs by less than two points, by the interval")),
        both(N_("with nothing in its place the test accuracy is higher: the interval of the difference lies above 0")),
        both(N_("with batch normalization the test accuracy is higher: the interval of the difference lies above 0")),
        both(N_("a training step takes longer than with the constant: the interval of the ratio lies above 1")),
    ),
    measure=measure,
    seeds=5,
    seconds=180,
    needs=("torch",),
)  # fmt: skip
