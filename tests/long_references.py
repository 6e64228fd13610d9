"""The reference for long sets: pairs of float64 by error-free transformations, sums by `math.fsum`.

`references` goes one element at a time through mpmath; this goes through arrays, and is itself checked against it. A
pair (high, low) holds 106 bits: the rounding error of a sum or product of two float64 numbers is a float64 number
again, so it is kept instead of lost (Knuth's two-sum, Dekker's two-product).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from comparing import Exact

__all__ = ["Long", "long_reference"]

SPLITTER = 134217729.0  # 2**27 + 1 cuts 53 bits into two halves whose products are exact


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    p = a * b
    ah, bh = SPLITTER * a, SPLITTER * b
    ah, bh = ah - (ah - a), bh - (bh - b)
    al, bl = a - ah, b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


class Pair(NamedTuple):
    """high + low."""

    high: Any
    low: Any

    def __add__(self, other: Any) -> Pair:
        s, e = two_sum(self.high, other.high)
        return Pair(*two_sum(s, e + self.low + other.low))

    def __neg__(self) -> Pair:
        return Pair(-self.high, -self.low)

    def __mul__(self, other: Any) -> Pair:
        p, e = two_product(self.high, other.high)
        return Pair(*two_sum(p, e + self.high * other.low + self.low * other.high))

    def __truediv__(self, other: Any) -> Pair:
        q = self.high / other.high
        r = self + (-(other * Pair(q, 0.0 * q)))
        return Pair(*two_sum(q, (r.high + r.low) / other.high))

    def root(self) -> Pair:
        r = np.sqrt(self.high)
        left = self + (-Pair(*two_product(r, r)))
        return Pair(*two_sum(r, left.high / (2 * r)))

    def sum_of_rows(self) -> Pair:
        """(rows, m) -> (rows, 1); each row's sum is rounded only at 106 bits."""
        sums = []
        for high, low in zip(np.atleast_2d(self.high), np.atleast_2d(self.low), strict=True):
            values = [*high.tolist(), *low.tolist()]
            s = math.fsum(values)
            values.append(-s)
            sums.append((s, math.fsum(values)))
        found = np.array(sums)
        return Pair(found[:, :1], found[:, 1:])


class Long(NamedTuple):
    """Of (rows, m) sets: the normalized rows, their mean and variance, and the gradient for a cotangent."""

    z: Exact
    mean: Exact
    var: Exact
    dx: Exact | None
    product: Exact | None  # g z, of which a weight's gradient is the sum


def long_reference(
    x: np.ndarray, g: np.ndarray | None = None, *, centre: bool = True, eps: float = 1e-5, spread: str = "std",
    eps_rule: str = "inside",
) -> Long:  # fmt: skip
    """Of sets as rows, for the spreads that are roots of sums of squares, with eps inside the root or as a floor."""
    assert spread in ("std", "rms", "l2") and eps_rule in ("inside", "floor")
    x = x.astype(np.float64)
    m = Pair(np.float64(x.shape[-1]), np.float64(0.0))
    wide = Pair(x, np.zeros_like(x))
    mean = wide.sum_of_rows() / m
    about = wide + (-mean)
    d = about if centre else wide
    square = (d * d).sum_of_rows()
    square = square if spread == "l2" else square / m
    extra = Pair(np.full_like(square.high, eps if eps_rule == "inside" else 0.0), np.zeros_like(square.high))
    below = (square + extra).root()
    if eps_rule == "floor":
        assert np.all(below.high > eps), "the floor is for sets without spread, which are tested elsewhere"
    z = d / below
    var = (about * about).sum_of_rows() / m
    if g is None:
        return Long(Exact(*z), Exact(*mean), Exact(*var), None, None)
    g = g.astype(np.float64)
    pulled = Pair(g, np.zeros_like(g))
    product = pulled * z
    along = product.sum_of_rows()
    along = along if spread == "l2" else along / m
    dx = pulled + (-(z * along))
    if centre:
        dx = dx + (-(pulled.sum_of_rows() / m))
    return Long(Exact(*z), Exact(*mean), Exact(*var), Exact(*(dx / below)), Exact(*product))
