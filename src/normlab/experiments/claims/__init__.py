"""What the literature and the study note claim, as experiments that run here: one file a claim.

A claim says before it runs what would make it hold; what came is said whether it is favourable or not.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Sequence

from normlab.errors import unknown

from .claim import Claim

__all__ = ["chosen_claims", "claims"]


@functools.cache
def claims() -> tuple[Claim, ...]:
    """Every claim, by its letter: each module of this folder that is named `x_...` holds one, called `claim`."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name[1:2] == "_")
    found = tuple(importlib.import_module(f"{__name__}.{name}").claim for name in names)
    wrong = [c.letter for c, name in zip(found, names, strict=True) if name[0] != c.letter]
    if wrong or len({c.letter for c in found}) < len(found):
        raise RuntimeError(f"claims: each must have its own letter, that of its file: {wrong}")
    return found


def chosen_claims(letters: Sequence[str] = ()) -> tuple[Claim, ...]:
    """Those asked for, in the order of the letters; all where none is. Raises UnknownNameError."""
    every = {c.letter: c for c in claims()}
    for letter in letters:
        if letter not in every:
            raise unknown("claim", str(letter), every)
    return tuple(c for letter, c in every.items() if not letters or letter in letters)
