"""`migrate_reparam`: checkpoints of torch's old weight and spectral normalization for the new, and back.

The old ones (torch.nn.utils.weight_norm, spectral_norm) are hooks and keep `weight_g`, `weight_v` and `weight_orig`,
`weight_u`, `weight_v`; the new ones (torch.nn.utils.parametrizations, and ours) keep the same arrays under other keys.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import MissingExtraError, ReadWriteError, UsageError, missing_extra
from .operated import Change, Refusal

__all__ = ["Migrated", "migrate_reparam"]


class Migrated(OrderedDict[str, Any]):
    """A state dict, with what became of it: `changed`, `refused`. Pickled and copied, it is a plain OrderedDict."""

    changed: tuple[Change, ...] = ()
    refused: tuple[Refusal, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        kept = {"_metadata": self._metadata} if hasattr(self, "_metadata") else None
        return OrderedDict, (), kept, None, iter(self.items())

    def __str__(self) -> str:
        lines = [f"{len(self.changed)} changed, {len(self.refused)} refused"]
        lines += [f"  {c.path}  {c.before} -> {c.after}" for c in self.changed]
        return "\n".join([*lines, *(f"  {r.path}  refused: {r.reason}" for r in self.refused)])


def migrate_reparam(state: Mapping[str, Any] | str | PathLike[str], *, back: bool = False) -> Migrated:
    """A state dict whose weight and spectral normalizations have the keys of torch.nn.utils.parametrizations.

        weight_g, weight_v                -> parametrizations.weight.original0, .original1
        weight_orig, weight_u, weight_v   -> parametrizations.weight.original, .0._u, .0._v

    for a parameter of any name. All arrays are the same objects, in the same order; dicts within the dict, as in
    checkpoints with several networks, are gone through as well.

    Args:
        state: a state dict, or the path of one: `.safetensors`, or what torch.save wrote, of which only arrays and
            plain containers are read, so that nothing in a file is ever run.
        back: from the new keys to the old ones.
    Returns: the new state dict, for `load_state_dict` or torch.save; its `changed` and `refused` say what became of
        each weight, `str()` of it is a table.
    Raises: UsageError for what is no state dict or holds more than arrays; ReadWriteError; MissingExtraError.
    Example:
        >>> old = {"weight_g": torch.ones(2, 1), "weight_v": torch.ones(2, 3), "bias": torch.zeros(2)}
        >>> list(migrate_reparam(old))
        ['parametrizations.weight.original0', 'parametrizations.weight.original1', 'bias']
    """
    found = _read(Path(state)) if isinstance(state, str | PathLike) else state
    if not isinstance(found, Mapping):
        raise UsageError(
            f"migrate_reparam: state must be a state dict or the path of one, got {type(found).__name__}.",
            hint="Of a model: model.state_dict().",
        )
    return _migrated(found, "", back)


def _migrated(state: Mapping[str, Any], path: str, back: bool) -> Migrated:
    steps, refused = _steps(state, back)
    renamed = {old: new for step in steps for old, new in step.keys.items()}
    made = Migrated()
    changed = [Change(path + step.weight, step.before, step.after) for step in steps]
    refused = [Refusal(path + r.path, r.reason) for r in refused]
    for key, value in state.items():
        if isinstance(value, Mapping) and any(isinstance(k, str) for k in value):
            inner = _migrated(value, f"{path}{key}/", back)
            changed += inner.changed
            refused += inner.refused
            value = inner if inner.changed else value
        made[renamed.get(key, key)] = value
    made.changed, made.refused = tuple(changed), tuple(refused)
    if hasattr(state, "_metadata"):
        made._metadata = state._metadata  # type: ignore[attr-defined]
    return made


class _Step(NamedTuple):
    """One weight: its old keys and the new ones."""

    weight: str
    keys: dict[str, str]
    before: str
    after: str


class _Kind(NamedTuple):
    """How one normalization is kept, by hooks and by parametrizations; `{}` is the parameter's name."""

    name: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    fits: Callable[[list[Tensor]], str | None]


def _is_gain(arrays: list[Tensor]) -> str | None:
    """A gain has one axis of its weight, or none; else these are parameters that happen to be called so."""
    gain, weight = arrays
    sizes = (1,) * (weight.ndim - gain.ndim) + tuple(gain.shape)
    pairs = list(zip(sizes, weight.shape, strict=False))
    if gain.ndim in (0, weight.ndim) and all(g in (1, w) for g, w in pairs) and sum(g != 1 for g in sizes) <= 1:
        return None
    return f"shapes {tuple(gain.shape)} and {tuple(weight.shape)} are not those of a gain and its weight"


def _are_singular(arrays: list[Tensor]) -> str | None:
    """u and v belong to the weight as a matrix, of whichever axis is the first."""
    weight, u, v = arrays
    if u.ndim == v.ndim == 1 and u.numel() in weight.shape and u.numel() * v.numel() == weight.numel():
        return None
    shapes = ", ".join(str(tuple(a.shape)) for a in arrays)
    return f"shapes {shapes} are not those of a weight and its two vectors"


KINDS = (
    _Kind("spectral_norm", ("{}_orig", "{}_u", "{}_v"),
          ("parametrizations.{}.original", "parametrizations.{}.0._u", "parametrizations.{}.0._v"), _are_singular),
    _Kind("weight_norm", ("{}_g", "{}_v"),
          ("parametrizations.{}.original0", "parametrizations.{}.original1"), _is_gain),
)  # fmt: skip


def _steps(state: Mapping[str, Any], back: bool) -> tuple[list[_Step], list[Refusal]]:
    steps: list[_Step] = []
    refused: list[Refusal] = []
    used: set[str] = set()
    for kind in KINDS:
        source, target = (kind.new, kind.old) if back else (kind.old, kind.new)
        for key in [k for k in state if isinstance(k, str)]:
            at = _place(source[0], key)
            if at is None or key in used:
                continue
            keys = [_key(at, form) for form in source]
            fresh = [_key(at, form) for form in target]
            reason = _why_not(state, at, keys, fresh, kind, back)
            if reason is not None:
                refused.append(Refusal("".join(at), reason))
                continue
            used.update(keys)
            steps.append(_Step("".join(at), dict(zip(keys, fresh, strict=True)), *_said(kind, back)))
    return steps, refused


def _place(form: str, key: str) -> tuple[str, str] | None:
    """The module's path, with its dot, and the parameter's name, in a key of this form."""
    before, _, after = form.partition("{}")
    found = re.fullmatch(rf"((?:.*\.)?){re.escape(before)}([^.]+){re.escape(after)}", key)
    return (found[1], found[2]) if found else None


def _key(at: tuple[str, str], form: str) -> str:
    return at[0] + form.format(at[1])


def _said(kind: _Kind, back: bool) -> tuple[str, str]:
    words = (f"{kind.name} by hooks", f"{kind.name} by parametrizations")
    return words[::-1] if back else words


def _why_not(
    state: Mapping[str, Any], at: tuple[str, str], keys: list[str], fresh: list[str], kind: _Kind, back: bool
) -> str | None:  # fmt: skip
    missing = [k for k in keys if not isinstance(state.get(k), Tensor)]
    if missing:
        return f"{', '.join(missing)} is not there, so this is no {kind.name} that is known"
    if back:
        prefix = f"{at[0]}parametrizations.{at[1]}."
        others = [k for k in state if isinstance(k, str) and k.startswith(prefix) and k not in keys]
        if others:
            return f"it has more than a {kind.name}: {', '.join(others)}"
    there = [k for k in fresh if k in state and k not in keys]
    if there:
        return f"{', '.join(there)} is there already"
    return kind.fits([state[k] for k in keys])


def _read(path: Path) -> Any:
    """What a file holds, as arrays. Raises ReadWriteError, UsageError, MissingExtraError."""
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        with warnings.catch_warnings():  # of what it then refuses, such as a pickle of another protocol
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ReadWriteError(f"{path} cannot be read: {error.strerror or error}.") from None
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"migrate_reparam: {path} holds more than arrays and plain containers, or is no checkpoint, and loading "
            f"anything else would run code in it: {str(error).splitlines()[0]}",
            hint="Store the state dict alone: torch.save(model.state_dict(), path).",
        ) from None
    except MissingExtraError:
        raise
    except Exception as error:  # a file that is cut off, or of another kind, fails anywhere in torch's reader
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ReadWriteError(f"{path} is no checkpoint that can be read: {said}") from None


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise missing_extra("safetensors", "safetensors") from None
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from None
