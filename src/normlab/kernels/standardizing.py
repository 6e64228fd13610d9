"""The family "standardize over these axes": which kernels do a call, decided once for each form of it.

`Standardizer` works on addresses, so a face gives it whatever memory its arrays have.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..pattern import Plan
from . import columns, pool, rows, running, runs
from .collapse import Problem, collapse
from .columns import Rule
from .halves import compute_dtype
from .layouts import Layout, lay_out
from .lines import BYTES
from .pages import LEAST_BYTES, ask_for_large

__all__ = ["Form", "Standardizer", "prepare"]

# A set of more elements is cut into pieces that several threads may take; a smaller one stays in a core's cache.
LONG = 131_072
# Runs shorter than this lie better side by side, as columns, than one after the other.
SHORT = 32
# An output of so many bytes leaves little of itself in a cache for whoever reads it next, so it is written past them:
# runs that are made of whole lines, and such as have so many that their ends do not matter.
PAST_BYTES, LINES_BYTES, MANY_BYTES = 16 * 2**20, 256, 4096
# The gradients of a weight are summed for so many blocks of rows, and for at least so many rows each.
BLOCKS, LEAST = 32, 32
RULES = {"inside": rows.INSIDE, "outside": rows.OUTSIDE, "floor": rows.FLOOR}
ALLOWED = {(True, "std"), (True, "rms"), (True, "l2"), (False, "rms"), (False, "l2"), (True, None)}


class Form(NamedTuple):
    """What a call looks like, its numbers aside."""

    strides: tuple[int, ...]  # in elements
    stored: np.dtype  # uint16: bfloat16, int16: float16
    affine: tuple[int, ...] | None  # the shape that broadcasts over the split axes
    centre: bool
    spread: str | None
    eps: float
    eps_rule: str
    known: bool  # the statistics are given


class Standardizer:
    """Forward and backward of one form of call."""

    def __init__(self, problem: Problem, form: Form, layout: Layout | None, beside: bool) -> None:
        self.problem, self.form, self.layout, self.beside = problem, form, layout, beside
        self.wide = compute_dtype(form.stored)
        kind = rows.NOTHING if form.spread is None else RULES[form.eps_rule] if form.eps else rows.INSIDE
        self.rule = Rule(form.centre, form.spread in ("std", "rms"), kind, float(form.eps))
        self.tokens = (form.stored.type(0), self.wide.type(0))
        held = problem.order
        where = [k for k in held if form.affine is not None and form.affine[k] > 1]
        self.in_order = where == sorted(where)
        self.limits = _limits(self.wide, form.eps)
        self.bytes = problem.size * form.stored.itemsize
        if layout is None:
            return
        p = layout.problem
        part = p.length if layout.each else layout.step
        self.block = max(LEAST, -(-p.sets // BLOCKS))
        self.shape = np.array(
            [
                p.outer, p.runs, p.inner, p.length, layout.parts, layout.step, layout.each, p.repeats[0], p.counts[0],
                p.repeats[2], p.counts[2], form.centre, self.rule.by_count, kind, self.block, form.known, 0,
            ],
            np.int64,
        )  # fmt: skip
        self.long = p.count > LONG
        self.weights = layout.rows * layout.width
        self.pieces = -(-part // runs.PIECE)
        self.slots = p.sets * p.runs * (1 if layout.each else layout.parts) * self.pieces
        self.group = runs.group_of(part)
        self.fixed = (self.shape.ctypes.data, self.limits.ctypes.data)
        self.past = self.shape.copy()
        self.past[-1] = 1
        self.here = (*self.tokens, *self.fixed)
        self.sets, self.swept = p.sets, p.size
        self.items = -(-p.sets // self.block) if layout.each else p.sets  # blocks whose sums are added up
        self.back = rows.backward_each if layout.each else rows.backward
        self.by_set = (self.weights, 1) if layout.each else (layout.width, layout.rows)
        large, run = self.bytes >= PAST_BYTES, part * form.stored.itemsize
        self.past_anywhere = large and run >= MANY_BYTES
        self.past_from_lines = large and run >= LINES_BYTES and run % BYTES == 0

    def _writing(self, address: int) -> tuple[Any, ...]:
        """`here`, for an output at this address."""
        if self.past_anywhere or (self.past_from_lines and address % BYTES == 0):
            return (*self.tokens, self.past.ctypes.data, self.fixed[1])
        return self.here

    def flat(self, weight: np.ndarray | None) -> np.ndarray | None:
        """A weight that broadcasts over the split axes, as it lies in memory, in the dtype that is computed with."""
        if weight is None:
            return None
        if not self.in_order:
            weight = weight.transpose(self.problem.order)
        if weight.dtype == np.uint16:  # bfloat16
            weight = (weight.astype(np.uint32) << 16).view(np.float32)
        return np.ascontiguousarray(weight, self.wide).reshape(-1)

    def _weights(self, *weights: np.ndarray | None) -> list[np.ndarray | None]:
        layout = self.layout
        assert layout is not None
        return [None if w is None else layout.write_out(w) for w in weights]

    def forward(
        self, x_at: int, y_at: int, weight: np.ndarray | None, bias: np.ndarray | None, kept: np.ndarray
    ) -> bool:
        """Write y and `kept`, (5, sets): see `rows`. False: these numbers are not for kernels."""
        if self.bytes >= LEAST_BYTES:
            ask_for_large(y_at, self.bytes)
        if self.beside:
            columns.forward(
                self.problem, self.form.stored, x_at, y_at, self.rule, weight, bias, kept, self.limits, self.form.known
            )
            return True
        layout, size = self.layout, self.problem.size
        assert layout is not None
        if not isinstance(weight, int):
            weight, bias = self._weights(weight, bias)
            if layout.each and weight is None and bias is not None:
                weight = np.ones_like(bias)
        ends = (_at(weight), _at(bias), _at(kept))
        if not self.long:
            arguments = (*self._writing(y_at), x_at, y_at, *ends)
            pool.run(rows.forward, self.sets, arguments, elements=2 * size)
            return True
        if not self.form.known:
            self._measure(x_at, kept)
        cut = (*self._writing(y_at)[:3], self.group, self.slots)
        pool.run(runs.write_slots, self._groups, (*cut, x_at, y_at, *ends), elements=size)
        return True

    @property
    def _cut(self) -> tuple[Any, ...]:
        return (*self.tokens, self.fixed[0], self.group, self.slots)

    @property
    def _groups(self) -> int:
        return -(-self.slots // self.group)

    def _measure(self, x_at: int, kept: np.ndarray) -> None:
        assert self.layout is not None
        sets, size = self.layout.problem.sets, self.problem.size
        state, found = np.full(sets, -1, np.int64), np.empty((self.slots, 2))
        held = (_at(kept), _at(found), _at(state))
        while state.any():  # twice, or up to four times where a set's mean or range is far from what was thought
            arguments = (*self.tokens, *self.fixed, x_at, *held)
            pool.run(runs.settle, sets, arguments, elements=found.size)
            if state.any():
                pool.run(runs.measure_slots, self._groups, (*self._cut, x_at, *held), elements=size)

    def read(self, mean_at: int, var_at: int, kept_at: int) -> None:
        """See `running.read`."""
        sets = self.problem.sets
        given = (self.tokens[1], sets, int(self.rule.centre), self.rule.eps, mean_at, var_at, kept_at)
        pool.spread(running.read, sets, given, 1)

    def move(self, momentum: float, biased: bool, kept_at: int, mean_at: int, var_at: int) -> None:
        """See `running.move`."""
        sets, count = self.problem.sets, self.problem.count
        factor = 1.0 if biased else count / max(count - 1, 1)
        pool.spread(running.move, sets, (self.tokens[1], sets, momentum, factor, kept_at, mean_at, var_at), 1)

    def backward(
        self, dy_at: int, x_at: int, dx_at: int, weight: np.ndarray | None, kept: np.ndarray, parameters: bool,
        into: tuple[int, int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:  # fmt: skip
        """Write dx; the gradients of weight and bias, flat, where `parameters` are wanted (affine forms only).

        `into`: where the two go, if not to new memory; where the kernels can (`straight`), and 0 for none.
        """
        if self.bytes >= LEAST_BYTES:
            ask_for_large(dx_at, self.bytes)
        if self.beside:
            found = columns.backward(
                self.problem, self.form.stored, dy_at, x_at, dx_at, self.rule, weight, kept, self.form.known
            )
            return (found[0].astype(self.wide), found[1].astype(self.wide)) if parameters else None
        layout = self.layout
        assert layout is not None
        if not isinstance(weight, int):
            (weight,) = self._weights(weight)
            if layout.each and weight is None:
                weight = np.ones(self.weights, self.wide)
        out = None
        if parameters and into is None:
            out = np.empty((2, self.weights), self.wide)
            into = (_at(out[0]), _at(out[1]))
        self._pull(dy_at, x_at, dx_at, weight, kept, into if parameters else None)
        return None if out is None else (layout.take_in(out[0]), layout.take_in(out[1]))

    def _pull(self, dy_at: int, x_at: int, dx_at: int, weight: Any, kept: Any, into: tuple[int, int] | None) -> None:
        items, ends = self.items, (dy_at, x_at, dx_at, _at(weight), _at(kept))
        if self.long:
            items, parts = self._pull_long(dy_at, x_at, dx_at, weight, kept, into is not None)
        else:
            many, here = pool.share(items, 3 * self.swept), self._writing(dx_at)
            if many == 1 or into is None:
                pool.spread(self.back, items, (*here, *ends, 0, *(into or (0, 0))), many)
                return
            parts = np.empty((items, 2, self.by_set[0]))
            pool.spread(self.back, items, (*here, *ends, _at(parts), 0, 0), many)
        if into is not None:
            pool.run(rows.fold, 1, (self.tokens[1], self.fixed[0], items, *self.by_set, _at(parts), *into), elements=0)

    @property
    def straight(self) -> bool:
        """Whether gradients of weight and bias come as these lie in memory, so that they can be written there."""
        layout = self.layout
        own = layout is not None and (not layout.each or layout.own == (layout.problem.length, 1))
        return own and not self.beside and self.in_order

    def _pull_long(
        self, dy_at: int, x_at: int, dx_at: int, weight: np.ndarray | None, kept: np.ndarray, parameters: bool
    ) -> tuple[int, np.ndarray]:
        layout, size = self.layout, self.problem.size
        assert layout is not None
        p, held = layout.problem, (_at(weight), _at(kept))
        found, slopes = np.empty((self.slots, 2)), np.empty((p.sets, 3))
        pool.run(runs.sum_slots, self._groups, (*self._cut, dy_at, x_at, *held, _at(found)), elements=2 * size)
        items = p.sets
        group = max(runs.group_of(p.length), LEAST, -(-p.sets * p.runs // BLOCKS))
        if layout.each:
            items = -(-p.sets * p.runs // group)
        parts = np.empty((items, 2, layout.width) if parameters or layout.each else 0)
        parts_at = _at(parts) if parameters or layout.each else 0
        settled = (self.tokens[1], *self.fixed, *held, _at(found), _at(slopes), parts_at)
        pool.run(runs.settle_pull, p.sets, settled, elements=found.size)
        ends = (dy_at, x_at, dx_at, *held, _at(slopes))
        if layout.each:
            arguments = (*self._writing(dx_at)[:3], group, *ends, parts_at)
            pool.run(runs.pull_each_pieces, items * self.pieces, arguments, elements=2 * size)
        else:
            cut = (*self._writing(dx_at)[:3], self.group, self.slots)
            pool.run(runs.pull_slots, self._groups, (*cut, *ends), elements=2 * size)
        return items, parts


def _at(a: np.ndarray | int | None) -> int:
    """The address of an array; an address stays one, for a face whose arrays are not NumPy's."""
    if a is None or isinstance(a, int):
        return a or 0
    return int(a.__array_interface__["data"][0])


def _limits(wide: np.dtype, eps: float) -> np.ndarray:
    """The numbers of `rows.LIMITS`: see `formula.range_unit`, which is right where these say that squares are not."""
    info = np.finfo(wide)
    half, digits = info.maxexp // 2, info.nmant
    tiny = 2.0 ** -(half - digits)
    low = 2.0 ** -(2 * half - 2 * digits) if eps**0.5 < tiny else -1.0
    bounds = (low, 2.0 ** (2 * half - 8), 2.0 ** (half - 24), tiny, 2.0 ** -(half + 24), 2.0 ** (half + digits + 1))
    # How far the mean may lie from the shift, in squared spreads, before what cancels costs too many digits.
    return np.array([eps, *bounds, 1.0 if wide == np.float32 else 0.25])


def prepare(plan: Plan, form: Form) -> Standardizer | str:
    """The kernels for a form of call, or why there are none; decided once."""
    known: dict[Form, Standardizer | str] = plan.__dict__.setdefault("_standardizers", {})
    found = known.get(form)
    if found is None:
        found = known[form] = _prepare(plan, form)
    return found


def _prepare(plan: Plan, form: Form) -> Standardizer | str:
    if (form.centre, form.spread) not in ALLOWED:
        return f"centre={form.centre} with spread={form.spread!r} has no kernel"
    problem = collapse(plan, form.strides, form.affine)
    if isinstance(problem, str):
        return problem
    layout, other = lay_out(problem), columns.covers(problem)
    beside = other is None and problem.runs > 1 and problem.inner > 1 and problem.length < SHORT
    if isinstance(layout, str):
        if other is not None:
            return layout
        return Standardizer(problem, form, None, True)
    if not beside and layout.each and layout.rows > 1 and layout.problem.count > LONG:
        return "sets this long, each with its own row of weights"
    return Standardizer(problem, form, layout, beside)
