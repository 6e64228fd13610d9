"""`standardize` for NumPy arrays: from arrays to addresses and back."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..pattern import Plan
from . import pool, rows
from .standardizing import Form, Standardizer, prepare

__all__ = ["Done", "covers", "recall", "standardize", "standardize_backward"]

_AS_IT_IS = nullcontext()
STORED = {np.dtype(t): np.dtype(s) for t, s in ((np.float32, np.float32), (np.float64, np.float64))}
# A half comes as it is, or, bfloat16, as its 16 bits.
STORED |= {np.dtype(np.float16): np.dtype(np.int16), np.dtype(np.uint16): np.dtype(np.uint16)}


@dataclass
class Done:
    """A finished forward pass: y, and of every set what `kept` holds, in the dtype that was computed with.

    `kept` is (5, sets): mean, residue, rstd, mean square about the mean (l2: the sum), and the unit that these are in,
    a power of two that is 1 for ordinary numbers; sets in the order in which they lie in memory.
    """

    y: np.ndarray
    kept: np.ndarray
    plan: Plan
    standardizer: Standardizer

    def _shown(self, values: np.ndarray) -> np.ndarray:
        problem, plan = self.standardizer.problem, self.plan
        own = values.reshape(problem.kept).transpose(problem.back)
        return own.reshape([plan.split[a] for a in plan.kept])

    @property
    def mean(self) -> np.ndarray:
        """The mean of every set, in the plan's order of kept axes."""
        return self._shown((self.kept[rows.MEAN] + self.kept[rows.RESIDUE]) / self.kept[rows.UNIT])

    @property
    def var(self) -> np.ndarray:
        """The (population) mean square of what was divided; for l2 the sum of squares."""
        unit = self.kept[rows.UNIT]
        with np.errstate(over="ignore"):  # beyond the dtype it is infinite
            return self._shown(self.kept[rows.SQUARE] / unit / unit)

    @property
    def rstd(self) -> np.ndarray:
        """What multiplied the centred x."""
        return self._shown(self.kept[rows.RSTD] * self.kept[rows.UNIT])


def _standardizer(
    x: np.ndarray, plan: Plan, affine: tuple[int, ...] | None, centre: bool, spread: str | None, eps: float,
    eps_rule: str, known: bool,
) -> Standardizer | str:  # fmt: skip
    stored = STORED.get(x.dtype)
    if stored is None:
        return f"{x.dtype} has no kernel"
    size = x.itemsize
    if not x.flags.aligned or x.shape != plan.shape:
        return "x is not aligned in memory" if x.shape == plan.shape else "x has another shape than its plan"
    strides = tuple([s // size for s in x.strides])
    return prepare(plan, Form(strides, stored, affine, centre, spread, eps, eps_rule, known))


def _affine(weight: np.ndarray | None, bias: np.ndarray | None) -> tuple[int, ...] | None:
    one = weight if weight is not None else bias
    return None if one is None else one.shape


def covers(
    x: np.ndarray, plan: Plan, *, centre: bool = True, spread: str | None = "std", eps: float = 1e-5,
    eps_rule: str = "inside", weight: np.ndarray | None = None, bias: np.ndarray | None = None,
    running: tuple[np.ndarray, np.ndarray] | None = None,
) -> str | None:  # fmt: skip
    """Why no kernel does `standardize` with these arguments; None where one does."""
    if weight is not None and bias is not None and weight.shape != bias.shape:
        return "weight and bias have different axes"
    known = running is not None
    found = _standardizer(x, plan, _affine(weight, bias), centre, spread, eps, eps_rule, known)
    return found if isinstance(found, str) else None


def standardize(
    x: np.ndarray, plan: Plan, *, centre: bool = True, spread: str | None = "std", eps: float = 1e-5,
    eps_rule: str = "inside", weight: np.ndarray | None = None, bias: np.ndarray | None = None,
    running: tuple[np.ndarray, np.ndarray] | None = None, out: np.ndarray | None = None, threads: int | None = None,
) -> Done | None:  # fmt: skip
    """Normalize x over the axes that `plan` pools; None where no kernel does (see `covers`).

    Args:
        x: float32, float64, float16, or uint16 that holds bfloat16; of the plan's shape, dense in any order of axes.
        weight, bias: they broadcast over the plan's split axes, both with the same axes.
        running: mean and variance that take the place of x's own, likewise.
        out: memory for y, with x's dtype and strides; None: new.
        threads: the most that may share the work.

    Returns: y in x's dtype and memory order, with what the way back needs.
    """
    if weight is not None and bias is not None and weight.shape != bias.shape:
        return None
    known = running is not None
    found = _standardizer(x, plan, _affine(weight, bias), centre, spread, eps, eps_rule, known)
    if isinstance(found, str):
        return None
    y = np.empty_like(x) if out is None else out
    kept = np.empty((5, found.problem.sets), found.wide)
    if running is not None and not recall(found, plan, kept, running):
        return None
    x_at, y_at = x.__array_interface__["data"][0], y.__array_interface__["data"][0]
    with pool.at_most(threads) if threads else _AS_IT_IS:
        done = found.forward(x_at, y_at, found.flat(weight), found.flat(bias), kept)
    return Done(y, kept, plan, found) if done else None


def recall(found: Standardizer, plan: Plan, kept: np.ndarray, running: tuple[np.ndarray, np.ndarray]) -> bool:
    """Fill `kept` with a mean and a variance from elsewhere; False where they do not fit the sets."""
    form, problem = found.form, found.problem
    if form.spread not in ("std", "rms"):
        return False
    mean, square = (np.asarray(a, np.float64) for a in running)
    full = [plan.split[a] if a in plan.kept else 1 for a in range(len(plan.split))]
    try:
        mean, square = (np.broadcast_to(a, full).transpose(problem.order).reshape(-1) for a in (mean, square))
    except ValueError:  # they have an axis that is pooled here
        return False
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(square)
        if form.eps == 0:
            below = root
        elif form.eps_rule == "inside":
            below = np.sqrt(square + form.eps)
        else:
            below = root + form.eps if form.eps_rule == "outside" else np.maximum(root, form.eps)
        kept[rows.RSTD] = np.where(below == 0, 0.0, 1.0 / below)
    kept[rows.MEAN] = mean if form.centre else 0.0
    kept[rows.RESIDUE] = mean - kept[rows.MEAN] if form.centre else 0.0
    kept[rows.SQUARE], kept[rows.UNIT] = square, 1.0
    return True


def standardize_backward(
    dy: np.ndarray, x: np.ndarray, plan: Plan, kept: np.ndarray, *, centre: bool = True, spread: str | None = "std",
    eps: float = 1e-5, eps_rule: str = "inside", weight: np.ndarray | None = None, bias: np.ndarray | None = None,
    running: bool = False, out: np.ndarray | None = None, threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None] | None:  # fmt: skip
    """The gradients of x, weight and bias for `dy`; None where no kernel does.

    Args:
        kept: of the forward pass (`Done.kept`), with the same x and arguments.
        bias: any array of the bias's shape; it is asked whether there is one.
        running: whether the statistics came from elsewhere, and nothing flows back through them.

    Returns: dx in x's dtype and memory order, and the others in the dtype that was computed with, in `weight`'s shape.
    """
    found = _standardizer(x, plan, _affine(weight, bias), centre, spread, eps, eps_rule, running)
    if isinstance(found, str) or dy.dtype != x.dtype or dy.shape != x.shape:
        return None
    if dy.strides != x.strides or not dy.flags.aligned:
        given, dy = dy, np.empty_like(x)
        dy[...] = given
    dx = np.empty_like(x) if out is None else out
    at = [a.__array_interface__["data"][0] for a in (dy, x, dx)]
    parameters = weight is not None or bias is not None
    with pool.at_most(threads) if threads else _AS_IT_IS:
        summed: Any = found.backward(at[0], at[1], at[2], found.flat(weight), kept, parameters)
    if summed is None:
        return dx, None, None
    shape = weight.shape if weight is not None else bias.shape  # type: ignore[union-attr]
    dweight, dbias = (_own(found, s, shape) for s in summed)
    return dx, dweight if weight is not None else None, dbias if bias is not None else None


def _own(found: Standardizer, flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A flat gradient in the shape and order of axes of its weight."""
    if found.in_order:
        return flat.reshape(shape)
    order = found.problem.order
    return flat.reshape([shape[k] for k in order]).transpose(np.argsort(order))


_recall = recall
