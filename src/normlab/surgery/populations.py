"""The mean and variance of everything that a layer receives, over batches of any size, by Chan's merge.

How a layer's input is read: for ours by the line of the definition, for torch.nn's classes as they document it. Any
other class is tried out, on a copy: if in training its running statistics become the moments of its input, they are
read so, and otherwise it is left alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from .. import torch as face
from ..calling import RUNNING
from ..errors import NonFiniteError, ShapeError
from ..fitting import fit, mask_shapes
from ..pattern import names_of
from .recognizing import Refused
from .running import is_frozen, shared_by_class
from .trying import tried

__all__ = ["Moments", "Population", "population_of", "wide"]


class Moments(NamedTuple):
    """Of each set the size, mean, and sum of squares about it; or number, mean and sum of what samples have each."""

    count: Tensor  # type: ignore[assignment]
    mean: Tensor
    square: Tensor

    def joined(self, other: Moments, between: bool) -> Moments:
        """Both together. `between`: the samples are one set, so that the distance of the two means counts.

        count = a + b;  mean = m_a + (m_b - m_a) b / count;  square = s_a + s_b + (m_b - m_a)^2 a b / count
        """
        count = self.count + other.count
        share = other.count / count.clamp(min=1.0)
        away = other.mean - self.mean
        apart = away * away * self.count * share if between else 0.0
        return Moments(count, self.mean + away * share, self.square + other.square + apart)


Read = Callable[..., Moments]


class Population:
    """What one layer has received so far."""

    def __init__(self, path: str, module: torch.nn.Module, read: Read, between: bool, biased: bool) -> None:
        self.path, self.module, self.read = path, module, read
        self.between = between  # the batch is pooled; else every sample has statistics, and these are averaged
        self.biased = biased
        self.lock = threading.Lock()  # torch.nn.DataParallel calls its copies in threads
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.moments: Moments | None = None
        self.calls = 0
        self.position = -1  # in the order of first calls

    def receive(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], position: int) -> None:
        """Take in what a call is given. Raises ShapeError, NonFiniteError."""
        names = [n for n in ("input", "x") if n in kwargs]
        x = args[0] if args else kwargs[names[0]] if names else next(iter(kwargs.values()))
        if not isinstance(x, Tensor) or not x.numel():
            return
        found = self.read(module, x.detach(), kwargs.get("mask"))
        self._check(found, x, module.training and not shared_by_class(module))
        with self.lock:
            found = Moments(*(a.to(self.place) for a in found))
            self.moments = found if self.moments is None else self.moments.joined(found, self.between)
            self.calls += 1
            self.position = position if self.position < 0 else self.position

    def _check(self, found: Moments, x: Tensor, by_batch: bool) -> None:
        if not bool(found.mean.isfinite().all() and found.square.isfinite().all()):
            raise NonFiniteError(
                f"recalibrate: {self.who} was given x of shape {tuple(x.shape)} with NaN or infinity.",
                hint="Nothing was changed. Leave that batch out, or look for the layer where it begins.",
            )
        if by_batch and self.between and float(found.count.max()) == 1.0:
            raise ShapeError(
                f"recalibrate: {self.who} was given x of shape {tuple(x.shape)}, 1 value in each set, and in "
                "training that less its own mean is 0.",
                hint="Leave such a batch out (drop_last=True), or use sequential=True.",
            )

    @property
    def who(self) -> str:
        """The layer in a sentence."""
        return f"{self.path or 'the model'} ({type(self.module).__name__})"

    @property
    def buffers(self) -> tuple[Tensor | None, Tensor | None]:
        """Where its running statistics stand; of some norms only the variance."""
        return self.module._buffers.get(RUNNING[0]), self.module._buffers.get(RUNNING[1])

    @property
    def place(self) -> torch.device:
        """The device of its running statistics."""
        return next(b for b in self.buffers if b is not None).device

    def statistics(self) -> tuple[Tensor, Tensor] | None:
        """Mean and variance, as its running statistics hold them; None where nothing has come that says them."""
        if self.moments is None:
            return None
        count, mean, square = self.moments
        if not bool((count > (0 if self.biased or not self.between else 1)).all()):
            return None
        return mean, square / (count if self.biased or not self.between else count - 1.0)


def wide(x: Tensor) -> Tensor:
    """In float64, so that merging loses nothing; Apple's GPUs have none."""
    return x.to(torch.float32 if x.device.type == "mps" else torch.float64)


def population_of(path: str, module: torch.nn.Module) -> Population:
    """How a layer's population is measured. Raises Refused."""
    if is_frozen(module):
        raise Refused("its running statistics are frozen; undo that first")
    if isinstance(module, face.Layer):
        return _ours(path, module)
    if any(module._buffers.get(n) is None for n in RUNNING):
        raise Refused("its running statistics are not a mean and a variance")
    forward = getattr(type(module).forward, "__wrapped__", type(module).forward)
    if isinstance(module, _InstanceNorm) and forward is _InstanceNorm.forward:
        return Population(path, module, _instances, between=False, biased=False)
    if isinstance(module, _BatchNorm) and (forward is _BatchNorm.forward or isinstance(module, SyncBatchNorm)):
        return Population(path, module, _channels, between=True, biased=False)
    return Population(path, module, _channels, between=True, biased=tried(module, _channels))


def _channels(module: torch.nn.Module, x: Tensor, mask: None = None) -> Moments:
    axes = [a for a in range(x.ndim) if a != 1]
    return _of_sets(wide(x), axes, x.numel() // x.shape[1])


def _of_sets(x: Tensor, axes: list[int], count: int) -> Moments:
    if not axes:
        return Moments(torch.ones_like(x), x, torch.zeros_like(x))
    var, mean = torch.var_mean(x, axes, correction=0)
    return Moments(torch.full_like(mean, float(count)), mean, var * count)


def _instances(module: torch.nn.Module, x: Tensor, mask: None = None) -> Moments:
    """Torch averages the statistics of samples, each variance unbiased."""
    x = x[None] if x.ndim == module._get_no_batch_dim() else x  # type: ignore[operator]
    x = wide(x).flatten(2)
    samples, _, positions = x.shape
    count = torch.full_like(x[0, :, 0], float(samples))
    if positions == 1:
        return _averaged(torch.zeros_like(x[:, :, 0]), x[:, :, 0], x[:, :, 0], [0])
    var, mean = torch.var_mean(x, 2, correction=1)
    return Moments(count, mean.mean(0), var.sum(0))


def _averaged(says: Tensor, mean: Tensor, var: Tensor, axes: list[int]) -> Moments:
    """Of statistics those that say something (a set of one does not), averaged over axes."""
    count = says.sum(axes)
    zero = torch.zeros_like(mean)
    total = torch.where(says > 0, mean, zero).sum(axes)
    return Moments(count, total / count.clamp(min=1.0), torch.where(says > 0, var, zero).sum(axes))


def _ours(path: str, layer: face.Layer) -> Population:
    """By the definition. Raises Refused."""
    d = layer.definition
    line = None if d.forward is not None else d.lines(d.validate(dict(layer.options))).get("")
    if not d.has_running or line is None or d.spread not in ("std", "rms"):
        raise Refused("its running statistics are not a mean and a variance")
    between = "n" in line.pooled
    kept = {n for n in line.kept if between or n != "n"} - {n for s in d.states for n in names_of(s.axes)}
    if between and kept - {f.name for t in line.terms if any(g.name == "n" for g in t.factors) for f in t.factors}:
        raise Refused("its statistics have more axes than its running statistics")
    return Population(path, layer, _by_line, between, bool(layer.options["running_var_biased"]))


def _by_line(layer: Any, x: Tensor, mask: Any) -> Moments:
    d, shape = layer.definition, tuple(x.shape)
    shapes = {n: tuple(layer.get_buffer(n).shape) for n in RUNNING}
    plan = fit(
        d, shape, layer.layout, layer.options, shapes, trailing=layer.blueprint.trailing, running=True,
        channels=layer.blueprint.made_for,
    ).plan
    assert plan is not None
    x, axes = wide(x).reshape(plan.split), list(plan.pooled)
    about = d.centre or d.spread == "std"
    if mask is None:
        found = _of_sets(x, axes, plan.count)
    else:
        _, target = mask_shapes(d.name, plan, layer.layout)
        found = _of_masked(x, axes, torch.as_tensor(mask, device=x.device).reshape(target))
    if not about:  # the mean square is about 0, and the mean is not subtracted
        found = Moments(found.count, torch.zeros_like(found.mean), found.square + found.count * found.mean**2)
    own = set(names_of(d.states[0].axes))
    missing = [k for k, a in enumerate(plan.kept) if plan.names[a] not in own]
    if not missing:
        return Moments(*(a.reshape(shapes[RUNNING[0]]) for a in found))
    correction = 0.0 if layer.options["running_var_biased"] else 1.0
    says = (found.count > 1.0).to(x.dtype)
    averaged = _averaged(says, found.mean, found.square / (found.count - correction).clamp(min=1.0), missing)
    return Moments(*(a.reshape(shapes[RUNNING[0]]) for a in averaged))


def _of_masked(x: Tensor, axes: list[int], mask: Tensor) -> Moments:
    sound = torch.where(mask, x, torch.zeros_like(x))
    count = mask.expand(x.shape).sum(axes, keepdim=True).to(x.dtype)
    mean = sound.sum(axes, keepdim=True) / count.clamp(min=1.0)
    square = (torch.where(mask, x - mean, torch.zeros_like(x)) ** 2).sum(axes)
    return Moments(count.squeeze(axes), mean.squeeze(axes), square)
