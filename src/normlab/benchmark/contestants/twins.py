"""Other frameworks' own layers, built from a definition's `known_as`: the names of its options, translated."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from ...definition import KnownAs
from ..suite import Case
from . import Refusal

__all__ = ["build", "known"]

# What libraries call the number of channels, where a constructor asks for it.
CHANNELS = ("num_features", "num_channels", "normalized_shape", "dims", "channels")


def known(case: Case, prefix: str) -> KnownAs:
    """The entry of `known_as` with that prefix that takes arrays of the case's rank. Raises Refusal."""
    found = [k for k in case.definition.known_as if k.name.startswith(prefix)]
    ranked = [k for k in found if k.name.endswith(f"{max(len(case.shape) - 2, 1)}d")]
    plain = [k for k in found if k.name[-2:] not in ("1d", "2d", "3d")]
    if not ranked and not plain:
        raise Refusal(f"{prefix.rstrip('.')} has no layer of this kind")
    return (ranked or plain)[0]


def build(entry: KnownAs, case: Case, more: Mapping[str, Any] | None = None) -> Any:
    """The other framework's layer with our defaults; `more` are arguments of theirs."""
    module, _, name = entry.name.rpartition(".")
    made = getattr(importlib.import_module(module), name)
    names = inspect.signature(made).parameters
    definition = case.definition
    filled = definition.validate({})
    ours = {**filled, **definition.resolve(filled, case.channels), "affine": bool(definition.params)}
    ours |= {"eps": definition.eps} if definition.eps is not None else {}
    arguments = {theirs: ours[own] for theirs, own in entry.options.items() if own in ours and theirs in names}
    arguments |= {name: case.channels for name in CHANNELS if name in names}
    return made(**arguments, **{n: a for n, a in (more or {}).items() if n in names})
