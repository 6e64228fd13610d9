"""Initializations that a method presumes: `nl.init.lecun_normal(shape, key=0)`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .constraints import is_number
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

    sizes = shape if isinstance(shape, (tuple, list)) else ()
    if len(sizes) < 2 or not all(is_number(s, whole=True) and s >= 1 for s in sizes):
        raise UsageError(f"lecun_normal: shape must be (outputs, inputs, ...) of whole numbers, got {shape!r}.")
    try:
        random = np.random.default_rng(key)
    except (TypeError, ValueError):
        raise UsageError(f"lecun_normal: key must be a whole number or a generator, got {key!r}.") from None
    return (random.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))).astype(dtype)
