"""The one comparison of the tests, with the one table of tolerances. It raises; it returns nothing to forget.

Errors are counted in units of eps (2**-23 for float32, 2**-52 for float64, 2**-10 for float16, 2**-7 for bfloat16)
times the largest absolute value of the set: |got - wanted| / (eps * max |wanted| over the set). Half a unit is what
the best rounding of the true value can cost. How the figures come about, in float64 (float32 and float16 input is widened first, so
only the last rounding is left: 0.5):

    forward    x - mean, less the residue: 2 roundings at most, of half a unit each; the mean square, corrected once:
               its division and the sum with eps halved by the root: about 1; the root and the division: 1. Together 3
               where all fall the same way, which they do not: the worst of a million sets came out at 1.9.
    gradient   the same for z, once more for g z and its sum, two subtractions and one product: about twice as much.
    growth     sums are pairwise over contiguous memory and corrected once: no growth with the length was seen up to
               30,000 elements; a serial sum would add half a unit for every element.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

__all__ = ["TOLERANCE", "Exact", "Row", "compare", "error", "finfo", "same_bytes"]

finfo = ml_dtypes.finfo  # knows bfloat16 beside NumPy's own


class Row(NamedTuple):
    """What a comparison may be off by: `units` of eps times the largest of the set, or `share` of it whatever the eps."""

    units: float
    share: float
    why: str


TOLERANCE = {
    "forward": Row(2, 0, "numerics.md's goal for float32; held in float64 too, see above"),
    "forward, affine": Row(3, 0, "2 for z; the product with the weight and the sum with the bias round by half a unit each"),
    "forward, affine, elsewhere": Row(4, 0, "3 for z, where all of the above fall the same way (JAX, MLX: no goal, but right); seen: 3.06"),
    "forward, mean of magnitudes": Row(3, 0, "nothing halves the error of a mean of |d|, as the root halves it elsewhere"),
    "gradient": Row(4, 0, "numerics.md's goal; for sets of 32 elements or more, where the gradient does not cancel away"),
    "gradient, small set": Row(16, 0, "in units of the largest |g| / D: two projections take most of so few elements away"),
    "parameter gradient": Row(4, 0, "a pairwise sum of products that are each right to 2; of the largest over channels"),
    "half": Row(1, 0, "computed in float64 and rounded once: 0.5, and 0.5 for a reference that was rounded too"),
    "running": Row(2, 0, "a statistic, corrected once, and three operations to mix it in"),
    "transcendental": Row(8, 0, "NumPy promises 4 units for tanh and power; a product, a sum and a quotient come with it"),
    "worked": Row(4, 0, "a handful of operations on small whole numbers, written down to 16 digits"),
    "central differences": Row(0, 1e-6, "the issue's figure: (f(x+h) - f(x-h)) / 2h with h = 1e-5 is off by h^2 + eps/h = 1e-10"),
    "torch": Row(32, 0, "at |mean| about spread torch's own error is a few units (16 at 1e2); this compares meanings, not digits"),
    "torch gradient": Row(128, 0, "torch sums a weight's gradient over all rows in the input's own precision"),
    "identity": Row(8, 0, "two formulas that are equal on paper, each right to 2, and a shift or scale rounded in between"),
}  # fmt: skip


class Exact(NamedTuple):
    """A reference beyond float64: `high + low`, both float64."""

    high: np.ndarray
    low: np.ndarray


def _difference(got: np.ndarray, wanted: np.ndarray | Exact) -> tuple[np.ndarray, np.ndarray]:
    """got - wanted and |wanted|, in float64. Equal infinities and two NaN differ by 0."""
    high, low = wanted if isinstance(wanted, Exact) else (np.asarray(wanted, np.float64), 0.0)
    if got.shape != high.shape:
        raise AssertionError(f"shape {got.shape} instead of {high.shape}")
    g = got.astype(np.float64)
    with np.errstate(invalid="ignore"):
        d = np.where((np.isnan(g) & np.isnan(high)) | ((g == high) & np.isinf(g)), 0.0, (g - high) - low)
    return d, np.abs(high)


def error(got: np.ndarray, wanted: np.ndarray | Exact, sets: np.ndarray | None = None, scale: Any = None) -> np.ndarray:
    """|got - wanted| in units of eps times the largest |wanted| of the element's set (`sets` numbers them), or `scale`."""
    d, size = _difference(got, wanted)
    if scale is None:
        sets = np.zeros(size.shape, np.int64) if sets is None else sets
        largest = np.zeros(int(sets.max(initial=0)) + 1)
        np.maximum.at(largest, sets.ravel(), np.where(np.isfinite(size), size, 0.0).ravel())
        scale = largest[sets]
    eps = float(finfo(got.dtype).eps)
    tiny = float(finfo(got.dtype).smallest_subnormal)  # where the largest is 0 every difference is too much
    return np.where(d == 0, 0.0, np.abs(d) / np.maximum(eps * np.asarray(scale), tiny))


def compare(
    got: np.ndarray, wanted: np.ndarray | Exact, row: str, who: str = "", *, sets: np.ndarray | None = None, scale: Any = None
) -> None:
    """Raise AssertionError unless `got` is `wanted` within the row of the table called `row`."""
    units, share, why = TOLERANCE[row]
    allowed = units + share / float(finfo(got.dtype).eps)
    found = error(got, wanted, sets, scale)
    if not np.all(found <= allowed):  # written so that NaN is too much
        bad = np.where(np.isnan(found), np.inf, found)
        where = np.unravel_index(int(np.argmax(bad)), bad.shape)
        high = wanted.high if isinstance(wanted, Exact) else np.asarray(wanted)
        raise AssertionError(
            f"{who}: {float(found[where]):.3g} units of {got.dtype}'s eps instead of {allowed:.3g} ({row}: {why}) "
            f"at {tuple(map(int, where))}: got {got[where]!r}, wanted {high[where]!r}"
        )


def same_bytes(got: np.ndarray, wanted: np.ndarray, who: str = "") -> None:
    """Raise AssertionError unless both have the same dtype, shape and bytes."""
    if (got.dtype, got.shape, got.tobytes()) != (wanted.dtype, wanted.shape, wanted.tobytes()):
        differ = "" if got.shape != wanted.shape else f", {int(np.sum(got != wanted))} of {got.size} elements differ"
        raise AssertionError(f"{who}: {got.dtype}{got.shape} against {wanted.dtype}{wanted.shape}{differ}")
