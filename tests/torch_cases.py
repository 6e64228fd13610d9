"""What the tests of the PyTorch face share: its layers by definition, and the modules of torch.nn that they stand for."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from grid import acting
from normlab import torch as face
from normlab.definition import Definition

__all__ = ["CHANNELS", "TWINS", "Twin", "count_of", "inputs_of", "made", "same", "stirred", "x_for"]

CHANNELS = 6


class Twin(NamedTuple):
    """A module of torch.nn, normlab's layer with the same settings, and a shape that both take."""

    label: str
    theirs: Any
    ours: Any
    shape: tuple[int, ...]


def _twins() -> list[Twin]:
    shapes = {1: (5, CHANNELS, 7), 2: (4, CHANNELS, 3, 5), 3: (3, CHANNELS, 2, 3, 2)}
    found = [Twin("BatchNorm1d-dense", lambda: torch.nn.BatchNorm1d(CHANNELS), lambda: face.BatchNorm(CHANNELS), (5, CHANNELS))]
    for rank, shape in shapes.items():
        for settings in ({}, {"affine": False}, {"track_running_stats": False}, {"momentum": None}, {"eps": 0.1, "momentum": 0.3}):
            ours = {**settings, "running": settings.get("track_running_stats", True)}
            ours.pop("track_running_stats", None)
            found.append(_twin(f"BatchNorm{rank}d", "BatchNorm", (CHANNELS,), settings, ours, shape))
        for affine, running in ((False, False), (True, False), (True, True)):
            settings = {"affine": affine, "track_running_stats": running}
            found.append(_twin(f"InstanceNorm{rank}d", "InstanceNorm", (CHANNELS,), settings, {"affine": affine, "running": running}, shape))
    for groups in (1, 2, 3):
        for affine in (True, False):
            twin = Twin(
                f"GroupNorm-{groups}-{affine}",
                lambda g=groups, a=affine: torch.nn.GroupNorm(g, CHANNELS, affine=a),
                lambda g=groups, a=affine: face.GroupNorm(CHANNELS, groups=g, affine=a),
                shapes[2],
            )
            found.append(twin)
    for sizes in ((CHANNELS,), (3, CHANNELS)):
        for settings in ({}, {"bias": False}, {"elementwise_affine": False}):
            ours = {"affine": settings.get("elementwise_affine", True), "bias": settings.get("bias", True)}
            found.append(_twin("LayerNorm", "LayerNorm", (sizes,), settings, ours, (4, 5, 3, CHANNELS)))
        for affine in (True, False):
            settings = {"elementwise_affine": affine, "eps": 1e-5}
            found.append(_twin("RMSNorm", "RMSNorm", (sizes,), settings, {"affine": affine}, (4, 5, 3, CHANNELS)))
    return found


def _twin(theirs: str, ours: str, first: tuple[Any, ...], settings: dict[str, Any], own: dict[str, Any], shape: tuple[int, ...]) -> Twin:
    said = "-".join(f"{n}={v}" for n, v in settings.items())
    label = f"{theirs}-{'x'.join(map(str, shape))}-{'x'.join(map(str, first))}-{said}".replace(" ", "")
    return Twin(label, lambda: getattr(torch.nn, theirs)(*first, **settings), lambda: getattr(face, ours)(*first, **own), shape)


TWINS = _twins()


def stirred(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The module with parameters and buffers that are nobody's default."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for a in (*module.parameters(), *module.buffers()):
            if a.is_floating_point():
                a.copy_(torch.rand(a.shape, generator=random, dtype=torch.float64) + 0.5)
            else:
                a.fill_(3)
    return module


def same(got: Tensor, wanted: Tensor, units: float, who: str = "") -> None:
    """Raise unless `got` is `wanted` to `units` of its eps times the largest element, with the same dtype and shape."""
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), (who, got.dtype, wanted.dtype, got.shape, wanted.shape)
    if not got.numel():
        return
    off = (got.double() - wanted.double()).abs().max()
    allowed = units * (torch.finfo(got.dtype).eps if got.is_floating_point() else 0) * wanted.double().abs().max()
    assert off <= allowed, f"{who}: off by {off:.3g}, allowed {allowed:.3g}"  # NaN is too much


def made(d: Definition, channels: int = CHANNELS, **settings: Any) -> Any:
    """A layer of the definition."""
    if d.layout == "... c":
        settings = {"layout": "n c ...", **settings}
    return face.layer_class(d)(channels if d.params or d.states else None, **settings)


def x_for(d: Definition, dtype: torch.dtype = torch.float64, seed: int = 0, batch: int = 4) -> Tensor:
    """An input for it: images, or a weight for methods that act on weights."""
    shape = (CHANNELS, 5, 3) if d.role == "weight" else (batch, CHANNELS, 3, 2)
    x = 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 1
    return x.to(dtype)


def inputs_of(d: Definition, x: Tensor) -> tuple[Tensor, ...]:
    """The further inputs of a layer's call."""
    wanted = [i for i in d.inputs if i.where != "function"]
    random = torch.Generator().manual_seed(5)
    sizes = {"n": x.shape[0], "c": CHANNELS}
    return tuple(torch.randn([sizes.get(n, 1) for n in i.axes.split()], generator=random, dtype=torch.float64).to(x) for i in wanted)


def count_of(layer: Any) -> int:
    """How many batches the layer has counted."""
    return int(layer.num_batches_tracked)


assert acting()
