"""What a normalization is in evaluation, per channel: `factor * x + shift` as a whole, or at its end; found by trying.

A normalization with running statistics is nothing else but that. Any other ends with it, if it multiplies by a gain:
the normalized x stays, and its gain and bias may go into the layers that follow. Classes are not asked, for half of
them are somebody's own; a copy in float64 is called on small inputs and must do what is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .baking import foreign_hooks
from .drafts import CLOSE
from .recognizing import Refused

__all__ = ["Affine", "affine_of"]

SIZES = (3, 5, 7, 11)  # of the other axes; those that equal the channels are left out, or axes could be mistaken
ROUNDED = 1e-6  # some multiply in float32 whatever they are given, which is enough unless the model is in float64


class Affine(NamedTuple):
    """`factor * x + shift` over the axis of channels; the ranks of input that the module takes."""

    factor: Tensor
    shift: Tensor
    axis: int
    ranks: frozenset[int]
    rest: nn.Module | None
    """What remains of a module that is nothing else (its activation); None where only its end is folded."""
    neutral: dict[str, float]
    """What its parameters are once their effect is elsewhere."""


def affine_of(module: nn.Module) -> Affine:
    """What can be folded of it. Raises Refused with the reason where that is nothing."""
    hooks = foreign_hooks(module)
    if hooks:
        raise Refused(f"it has hooks ({', '.join(hooks)})")
    if "forward" in vars(module):
        raise Refused("its forward was replaced")
    tensors = [*module.parameters(), *module.buffers()]
    if any(t.is_meta for t in tensors):
        raise Refused("its tensors have no values (they are on the meta device)")
    if isinstance(module._buffers.get("running_mean"), Tensor):
        return _whole(module)
    return _end(module)


def _whole(module: Any) -> Affine:
    trial = _trial(module)
    factor, shift = _by_statistics(trial)
    rest = [m for m in module.children() if not isinstance(m, nn.Identity)]
    instead: nn.Module = nn.Identity() if not rest else rest[0] if len(rest) == 1 else nn.Sequential(*rest)
    after = _trial(instead)
    found = [
        (x.ndim, axis) for x, axis in _examples(len(factor))
        if _apart(trial, after, x, _scaled(x, factor, shift, axis)) < CLOSE
    ]  # fmt: skip
    if not found:
        raise Refused(f"{type(module).__name__} is not what its running statistics, weight and bias say")
    axis, ranks = _widest(found)
    return Affine(factor, shift, axis, ranks, instead, {})


def _widest(found: list[tuple[int, int]]) -> tuple[int, frozenset[int]]:
    """The axis that more ranks of input have for their channels, and these: with two axes, second and last are one."""
    by_axis = {axis: frozenset(r for r, a in found if a == axis) for axis in (1, -1)}
    return max(by_axis.items(), key=lambda item: len(item[1]))


def _by_statistics(trial: Any) -> tuple[Tensor, Tensor]:
    eps = getattr(trial, "eps", None)
    if not isinstance(eps, float | int) or not isinstance(trial._buffers.get("running_var"), Tensor):
        raise Refused("it does not say by which eps and variance it divides")
    mean, var = trial.running_mean, trial.running_var
    weight, bias = (getattr(trial, n, None) for n in ("weight", "bias"))
    factor = (var + eps).rsqrt() * (torch.ones_like(var) if weight is None else weight.detach())
    shift = (torch.zeros_like(mean) if bias is None else bias.detach()) - factor * mean
    if factor.ndim != 1:
        raise Refused("its statistics are not one for each channel")
    if not (factor.isfinite().all() and shift.isfinite().all()):
        raise Refused("its running statistics, weight and bias give no finite numbers")
    return factor, shift


def _end(module: Any) -> Affine:
    learnt = dict(module.named_parameters())
    if not learnt:
        raise Refused("it has no weight and no bias to fold")
    if any(p.ndim != 1 or p.shape != next(iter(learnt.values())).shape for p in learnt.values()) or len(learnt) > 2:
        raise Refused("its parameters are not one weight and one bias for each channel")
    gain, bias = _roles(list(learnt))
    trial, close = _trial(module), CLOSE if learnt[gain].dtype is torch.float64 else ROUNDED
    with torch.no_grad():
        examples = list(_examples(len(learnt[gain])))
        offsets = [(x.ndim, axis, _gain_offset(trial, x, axis, (gain, bias), close)) for x, axis in examples]
    found = [(rank, axis) for rank, axis, offset in offsets if offset is not None]
    if not found and close == CLOSE and _ends_in_single(trial, examples, (gain, bias)):
        raise Refused(f"{type(module).__name__} multiplies in float32, less exactly than this model computes")
    if not found:
        raise Refused(f"{type(module).__name__} does not end with a weight that multiplies each channel")
    offset = next(o for *_, o in offsets if o is not None)
    return _made(trial, gain, bias, offset, *_widest(found))


def _ends_in_single(trial: Any, examples: list[tuple[Tensor, int]], names: tuple[str, str | None]) -> bool:
    with torch.no_grad():
        return any(_gain_offset(trial, x, axis, names, ROUNDED) is not None for x, axis in examples)


def _roles(names: list[str]) -> tuple[str, str | None]:
    gain = "weight" if "weight" in names else names[0]
    return gain, next((n for n in names if n != gain), None)


def _made(trial: Any, gain: str, bias: str | None, offset: float, axis: int, ranks: frozenset[int]) -> Affine:
    factor = getattr(trial, gain).detach() + offset
    shift = torch.zeros_like(factor) if bias is None else getattr(trial, bias).detach()
    if not (factor.isfinite().all() and shift.isfinite().all()):
        raise Refused("its weight and bias are not finite")
    if (factor == 1).all() and not shift.any():
        raise Refused("there is nothing to fold: it multiplies by 1 and adds 0")
    neutral = {gain: 1.0 - offset} | ({} if bias is None else {bias: 0.0})
    return Affine(factor, shift, axis, ranks, None, neutral)


def _gain_offset(trial: Any, x: Tensor, axis: int, names: tuple[str, str | None], close: float) -> float | None:
    """0 where it multiplies by its gain, 1 where by 1 + gain; None where neither."""
    gain, bias = names
    generator = torch.Generator().manual_seed(1)
    kept = {n: getattr(trial, n).detach().clone() for n in (gain, bias) if n is not None}
    drawn = {n: torch.randn(v.shape, generator=generator, dtype=v.dtype) for n, v in kept.items()}
    try:
        for offset in (0.0, 1.0):
            _set(trial, {n: torch.full_like(v, 1.0 - offset if n == gain else 0.0) for n, v in kept.items()})
            plain = trial(x)
            _set(trial, drawn)
            shift = torch.zeros_like(kept[gain]) if bias is None else drawn[bias]
            wanted = _scaled(plain, drawn[gain] + offset, shift, axis)
            if plain.shape == x.shape and plain.any() and _difference(trial(x), wanted) < close:
                return offset
    except Exception:  # another shape may be right
        return None
    finally:
        _set(trial, kept)
    return None


def _set(trial: Any, values: dict[str, Tensor]) -> None:
    for name, value in values.items():
        getattr(trial, name).data = value.clone()


def _trial(module: nn.Module) -> Any:
    return deepcopy(module).to("cpu", torch.float64).eval()


def _examples(channels: int) -> Iterator[tuple[Tensor, int]]:
    """Inputs with the channels last or second, and which of the two."""
    generator = torch.Generator().manual_seed(0)
    a, b, c, *_ = (s for s in SIZES if s != channels)
    last = [(a, channels), (a, b, channels), (a, b, c, channels)]
    second = [(a, channels), (a, channels, b), (a, channels, b, c), (a, channels, b, c, 2)]
    for shape, axis in [*((s, -1) for s in last), *((s, 1) for s in second)]:
        yield torch.randn(shape, generator=generator, dtype=torch.float64) * 2 + 0.5, axis


def _scaled(x: Tensor, factor: Tensor, shift: Tensor, axis: int) -> Tensor:
    shape = (-1, *[1] * (x.ndim - 2)) if axis == 1 else (-1,)
    return x * factor.reshape(shape) + shift.reshape(shape)


def _apart(trial: Any, after: Any, x: Tensor, scaled: Tensor) -> float:
    with torch.no_grad():
        try:
            return _difference(trial(x), after(scaled))
        except Exception:  # it does not take this shape
            return float("inf")


def _difference(found: Tensor, wanted: Tensor) -> float:
    if found.shape != wanted.shape:
        return float("inf")
    return float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-300))
