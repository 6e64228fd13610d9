"""Initializations that a method presumes: `nl.init.lecun_normal(shape, key=0)`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    import numpy

__all__ = ["lecun_normal"]


def lecun_normal(shape: tuple[int, ...], *, key: Any, dtype: Any = "float64") -> numpy.ndarray:
    """Normal weights of standard deviation 1/sqrt(fan in), for weights whose first axis is the outputs (`o i ...`).

    Args: `shape`, at least (o, i); `key`, a whole number or a numpy.random.Generator; `dtype` of the result.
    Source: LeCun and others, "Efficient BackProp" (1998), equation 16; presumed by SELU (arXiv 1706.02515).
    Example:
        >>> lecun_normal((400, 100), key=0).std().round(2)
        np.float64(0.1)
    """
    import numpy as np

    shape = tuple(shape)
    if len(shape) < 2 or not all(isinstance(s, (int, np.integer)) and s >= 1 for s in shape):
        raise UsageError(f"lecun_normal: shape must be (outputs, inputs, ...) of whole numbers, got {shape!r}.")
    fan_in = math.prod(shape[1:])
    return (np.random.default_rng(key).standard_normal(shape) / math.sqrt(fan_in)).astype(dtype)
