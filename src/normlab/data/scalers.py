"""The scalers that `FeatureWise` chooses from: each learns a few numbers from a column, then acts by element.

Every scaler has one form, y = gain * curve((x - shift) / scale) + offset, where the curve is the identity, a
signed square root or tanh. All that it needs is learnt by `learn`, so a value is scaled alone as among many.

m and s are the mean and the population standard deviation of the column, z = (x - m) / s:

    none                 x
    centred              x - m
    z_score              z
    pareto               (x - m) / sqrt(s)
    variable_stability   z * m / s
    power                sqrt(x - min) - mean(sqrt(x - min)); below the minimum -sqrt(min - x)
    min_max              (x - min) / (max - min)
    max                  x / max|x|
    decimal              x / 10^t, t the least integer with max|x| <= 10^t
    median_mad           (x - median) / median|x - median|
    tanh                 (tanh(0.01 (x - m_H) / s_H) + 1) / 2
    tanh_variant         (tanh(0.01 z) + 1) / 2
    sigmoid              (1 - exp(-z)) / (1 + exp(-z)), between -1 and 1
    logistic             1 / (1 + exp(-z)), between 0 and 1
    min_max_signed       2 (x - min) / (max - min) - 1

m_H and s_H are the mean and the deviation after Hampel's influence function has dampened each value's distance
from the median: kept up to the 70 % quantile of the distances, constant up to the 85 % one, falling to 0 at
the 95 % one. A divisor of zero counts as one: a constant column becomes a constant.

Source: D. Singh and B. Singh, Investigating the impact of data normalization on classification performance,
Applied Soft Computing 97, 105524 (2020), compares all but `none`; the first thirteen are the pool of their
Feature wise normalization: An effective way of normalizing data, Pattern Recognition 122, 108307 (2022). The
formulas follow the authors' published programs, except where these look at the rows that are to be scaled, or
break off: `max` divides by the largest |x| of the training rows, `power` subtracts the minimum of the training
rows and goes on below it, `decimal` subtracts no minimum (the form of 2020), and `tanh` adds the median to
Hampel's mean, without which a column far from zero saturates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError, unknown

__all__ = ["POOL", "SCALERS", "Scaler", "choose_pool", "learn"]

Column = NDArray[np.float64]


def _signed_root(u: Column) -> Column:
    return np.copysign(np.sqrt(np.abs(u)), u)


_CURVES: dict[str, Callable[[Column], Column] | None] = {"line": None, "root": _signed_root, "tanh": np.tanh}


@dataclass(frozen=True, slots=True)
class Scaler:
    """What one scaler has learnt from one column: y = gain * curve((x - shift) / scale) + offset."""

    name: str
    shift: float = 0.0
    scale: float = 1.0
    curve: str = "line"
    gain: float = 1.0
    offset: float = 0.0

    def __call__(self, x: NDArray[Any]) -> Column:
        """Scale a column (n,); a new float64 array, whatever the dtype of `x`."""
        # A contiguous buffer: NumPy's tanh takes another code path, with other last bits, for strided input.
        y = np.array(x, dtype=np.float64, order="C")
        if self.shift:
            y -= self.shift
        if self.scale != 1.0:
            y /= self.scale
        curve = _CURVES[self.curve]
        if curve is not None:
            y = curve(y)
        if self.gain != 1.0:
            y *= self.gain
        if self.offset:
            y += self.offset
        return y


# -- what each scaler learns -------------------------------------------------------------------------------


def _mean(x: Column) -> float:
    if x.min() == x.max():
        return float(x[0])
    first = float(np.mean(x))  # corrected once: the plain mean of values far from zero is itself rounded
    return first + float(np.mean(x - first))


def _moments(x: Column) -> tuple[float, float]:
    """Mean and population standard deviation; the deviation of a constant column is exactly 0."""
    mean = _mean(x)
    d = x - mean
    d -= np.mean(d)
    return mean, 0.0 if x.min() == x.max() else float(np.sqrt(np.mean(d * d)))


def _or_one(divisor: float) -> float:
    return divisor if divisor else 1.0


def _none(x: Column) -> Scaler:
    return Scaler("none")


def _centred(x: Column) -> Scaler:
    return Scaler("centred", shift=_mean(x))


def _z_score(x: Column) -> Scaler:
    mean, deviation = _moments(x)
    return Scaler("z_score", mean, _or_one(deviation))


def _pareto(x: Column) -> Scaler:
    mean, deviation = _moments(x)
    return Scaler("pareto", mean, _or_one(deviation**0.5))


def _variable_stability(x: Column) -> Scaler:
    mean, deviation = _moments(x)
    return Scaler("variable_stability", mean, _or_one(deviation), gain=mean / _or_one(deviation))


def _power(x: Column) -> Scaler:
    low = float(x.min())
    return Scaler("power", low, curve="root", offset=-_mean(_signed_root(x - low)))


def _min_max(x: Column) -> Scaler:
    low, high = float(x.min()), float(x.max())
    return Scaler("min_max", low, _or_one(high - low))


def _min_max_signed(x: Column) -> Scaler:
    plain = _min_max(x)
    return Scaler("min_max_signed", plain.shift, plain.scale, gain=2.0, offset=-1.0)


def _max(x: Column) -> Scaler:
    return Scaler("max", scale=_or_one(float(np.abs(x).max())))


def _decimal(x: Column) -> Scaler:
    largest = float(np.abs(x).max())
    if not largest:
        return Scaler("decimal")
    t = int(
        np.clip(np.ceil(np.log10(largest)), -300, 308)
    )  # where 10.0**t neither overflows nor loses digits
    t += int(largest > 10.0**t) if t < 308 else 0  # the logarithm of a power of ten may be off by one ulp
    t -= int(largest <= 10.0 ** (t - 1)) if t > -300 else 0
    return Scaler("decimal", scale=10.0**t)


def _median_mad(x: Column) -> Scaler:
    median = float(np.median(x))
    return Scaler("median_mad", median, _or_one(float(np.median(np.abs(x - median)))))


def _tanh(x: Column) -> Scaler:
    median = float(np.median(x))
    mean, deviation = _moments(_hampel(x - median))
    return Scaler("tanh", median + mean, 100.0 * _or_one(deviation), "tanh", 0.5, 0.5)


def _hampel(u: Column) -> Column:
    """Hampel's influence function: u, then constant, then falling to 0, between the quantiles of |u|."""
    size = np.abs(u)
    a, b, c = (float(q) for q in np.quantile(size, (0.70, 0.85, 0.95)))
    falling = a * (c - size) / _or_one(c - b)
    return np.copysign(
        np.where(size <= a, size, np.where(size <= b, a, np.where(size <= c, falling, 0.0))), u
    )


def _tanh_variant(x: Column) -> Scaler:
    mean, deviation = _moments(x)
    return Scaler("tanh_variant", mean, 100.0 * _or_one(deviation), "tanh", 0.5, 0.5)


def _sigmoid(x: Column) -> Scaler:
    mean, deviation = _moments(x)
    return Scaler("sigmoid", mean, 2.0 * _or_one(deviation), "tanh")  # (1 - e^-z) / (1 + e^-z) = tanh(z / 2)


def _logistic(x: Column) -> Scaler:
    mean, deviation = _moments(x)
    return Scaler("logistic", mean, 2.0 * _or_one(deviation), "tanh", 0.5, 0.5)  # = (tanh(z / 2) + 1) / 2


_LEARN: dict[str, Callable[[Column], Scaler]] = {
    "none": _none,
    "centred": _centred,
    "z_score": _z_score,
    "pareto": _pareto,
    "variable_stability": _variable_stability,
    "power": _power,
    "min_max": _min_max,
    "max": _max,
    "decimal": _decimal,
    "median_mad": _median_mad,
    "tanh": _tanh,
    "tanh_variant": _tanh_variant,
    "sigmoid": _sigmoid,
    "logistic": _logistic,
    "min_max_signed": _min_max_signed,
}
SCALERS = tuple(_LEARN)
POOL = SCALERS[:13]  # the pool of the paper; the last two come from the 2020 study only


def learn(name: str, x: NDArray[Any]) -> Scaler:
    """Learn the scaler called `name` from one column of finite numbers.

    Args:
        name: one of `SCALERS`; the module's docstring has the formulas.
        x: the column (n,), n at least 1, any real dtype.

    Raises:
        UnknownNameError: no scaler has that name.

    Numerics:
        Statistics in float64; mean and deviation are centred twice. A divisor of zero counts as one.

    Example:
        >>> import numpy as np
        >>> from normlab.data.scalers import learn
        >>> column = np.array([1.0, 2.0, 3.0, 10.0])
        >>> learn("min_max", column)(np.array([1.0, 5.5, 19.0]))
        array([0. , 0.5, 2. ])
        >>> learn("decimal", column)
        Scaler(name='decimal', shift=0.0, scale=10.0, curve='line', gain=1.0, offset=0.0)
    """
    if name not in _LEARN:
        raise unknown("scaler", name, SCALERS)
    return _LEARN[name](np.array(x, dtype=np.float64))


def choose_pool(pool: str | Iterable[str]) -> tuple[str, ...]:
    """The names of a pool: `"all"`, the paper's thirteen, or one name, or several, each once, in that order."""
    if not isinstance(pool, Iterable):
        raise UsageError(f'pool must be "all", a scaler\'s name or several names, got {pool!r}.')
    names = (POOL if pool == "all" else (pool,)) if isinstance(pool, str) else tuple(pool)
    for name in names:
        if name not in SCALERS:
            raise unknown("scaler", str(name), SCALERS)
    if not names:
        known = f"Known: {', '.join(SCALERS)}."
        raise UsageError('pool: "all" or at least one scaler is required, got none.', hint=known)
    return tuple(dict.fromkeys(names))
