"""RMS normalization does what layer normalization does, in less time."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from normlab.benchmark.timing import interval as ratio_of
from normlab.data import load
from normlab.language import N_, both
from normlab.statistics import contrasts

from ..train import run
from .claim import Claim, Finding
from .saying import difference, percent, ratio
from .training import accuracies

MARGIN = 0.01
LEAST_SAVED = 0.07  # of the time; the paper found 7 to 64 %
SETTINGS: dict[str, Any] = {"layers": 3, "width": 100, "activation": "relu", "batch": 64, "steps": 300}
SHAPES = ((128, 512), (1024, 768), (2048, 1024))  # tokens, width
TIMED_S = 2.0
LAYER, RMS = "layer_norm", "rms_norm"


def measure(seeds: Sequence[int]) -> list[Finding]:
    """Accuracy in a small network; time of the layers alone, and of a small Transformer's training step."""
    from .torch_networks import alone

    race = run([LAYER, RMS], **SETTINGS, seeds=len(seeds), seed=seeds[0]).to_dict()
    with alone():
        alone_times = [ratio_of(times[RMS], times[LAYER]) for times in map(_layers, SHAPES)]
        whole = _transformers()
    return [_as_good(race), _alone(alone_times), _whole(ratio_of(whole[RMS], whole[LAYER]))]


def _as_good(race: Mapping[str, Any]) -> Finding:
    found, resolution = accuracies(race), 1 / race["data"]["test_rows"]
    pair = contrasts(found, margin=MARGIN, resolution=resolution)[0]
    layer, rms = (percent(values, resolution) for values in found.values())
    said = both(
        N_("test accuracy {layer} with layer normalization, {rms} without its centring; difference {difference} "
           "points"),
        layer=layer, rms=rms, difference=difference(pair),
    )  # fmt: skip
    return Finding(pair.verdict == "equivalent", said, {"accuracies": found, "low": pair.low, "high": pair.high})


def _alone(ratios: Sequence[tuple[float, float, float]]) -> Finding:
    listed = ", ".join(f"{rows} x {width}: {ratio(*r)}" for (rows, width), r in zip(SHAPES, ratios, strict=True))
    said = both(
        N_("forward and backward pass of the layer take these times as long as layer normalization's, by tokens x "
           "width: {listed}"),
        listed=listed,
    )  # fmt: skip
    return Finding(all(saves(r) for r in ratios), said, {"ratios": ratios})


def _whole(found: tuple[float, float, float]) -> Finding:
    said = both(
        N_("a training step takes {ratio} times as long as with layer normalization"),
        ratio=ratio(*found),
    )  # fmt: skip
    return Finding(saves(found), said, {"ratio": found})


def saves(found: tuple[float, float, float]) -> bool:
    """Whether the whole interval of the ratio of times shows at least the paper's smallest saving."""
    return found[2] <= 1 - LEAST_SAVED


def _layers(shape: tuple[int, int]) -> Any:
    import torch

    import normlab as nl

    from .torch_networks import timed

    torch.manual_seed(0)
    x, dy = torch.randn(shape, requires_grad=True), torch.randn(shape)
    layers = {LAYER: nl.torch.LayerNorm(shape[1]), RMS: nl.torch.RMSNorm(shape[1])}
    wanted = {name: [x, *layer.parameters()] for name, layer in layers.items()}

    def both_passes(name: str) -> Any:
        return torch.autograd.grad(layers[name](x), wanted[name], dy)

    return timed({name: functools.partial(both_passes, name) for name in layers}, TIMED_S)


def _transformers() -> Any:
    import normlab as nl

    from .torch_networks import Transformer, steps_of, timed

    data, batch = load("digits"), SETTINGS["batch"]
    norms = {LAYER: nl.torch.LayerNorm, RMS: nl.torch.RMSNorm}
    makes = {name: (lambda norm=norm: Transformer(norm)) for name, norm in norms.items()}
    return timed({name: steps_of(make, data.x[:batch], data.y[:batch]) for name, make in makes.items()}, TIMED_S)


claim = Claim(
    letter="k",
    title=both(N_("RMS normalization does as well as layer normalization, in less time.")),
    source="Zhang and Sennrich, arXiv 1910.07467, abstract and section 6",
    setting=both(
        N_("three layers of 100 ReLU units on the digits, batches of 64, 300 steps, each at its best learning rate; "
           "times on one thread in turns, of normlab's torch layers and of a training step of a Transformer of two "
           "layers of width 32 on batches of 64 digits")
    ),
    conditions=(
        both(N_("the difference of the test accuracies is less than one point either way, by its interval")),
        both(N_("forward and backward pass of the layer alone take at most 0.93 of the time at each of three sizes, "
                "by the interval of the ratio")),
        both(N_("a training step of the Transformer takes at most 0.93 of the time, by the interval of the ratio")),
    ),
    measure=measure,
    seeds=20,
    seconds=50,
    needs=("torch",),
)  # fmt: skip
