"""A look into one layer of a comparison: the corner, inputs x units, that its document keeps of the last layer only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from .arms import read_arms
from .draws import draw, load
from .inputs import scaled
from .measure import Document, sample
from .network import forward
from .repeatable import by_the_formula
from .settings import Settings

__all__ = ["samples"]


def samples(methods: Sequence[str], layer: int, *, preset: str | None = None, **given: Any) -> list[Document | None]:
    """What layer `layer` of each arm hands on, as `sample` of an arm's document has it; arms must be able to act.

    The arguments are those of `compare`. None for an arm whose values there are not finite.
    """
    settings = Settings.read(preset, given)
    inputs = load(settings.data)
    with by_the_formula(), np.errstate(all="ignore"):
        draws = draw(settings, inputs, settings.seed)
        found = []
        for arm in read_arms(list(methods), settings.rules):
            own = scaled(arm, draws)
            x = np.ascontiguousarray(np.moveaxis(own.x, 1, -1)) if settings.is_conv else own.x
            *_, last = islice(forward(arm, settings, own, x), layer)
            found.append(sample(last.out))
        return found
