"""Sets side by side: every way that columns, blocks of rows and folded rows are cut, against exact arithmetic."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import hard_inputs as hard
from comparing import compare, same_bytes
from kernel_cases import LAST, Case, run
from long_references import long_reference

pytest.importorskip("numba", reason="kernels need Numba")

from normlab import kernels
from normlab.calling import Rule
from normlab.kernels import columns
from normlab.kernels.collapse import Problem, collapse
from normlab.numpy.standardize import standardize as by_formula

CASES = [
    # Columns: 31, 32, 33 about a vector's 16 lanes twice, 64 from where rows are not folded to reach 64, a prime.
    *(Case("[n] c", (33, c), "c") for c in (31, 32, 33, 64, 127)),
    # Rows: 2, the fewest that have a spread; 31, 32, 33 about what is summed before float64; a prime.
    *(Case("[n] c", (n, 300), "c") for n in (2, 31, 32, 33, 101)),
    Case("[n] c", (7, 5), "c", why="folded to one row, nothing left over"),
    Case("[n] c", (2003, 3), "c", why="folded, and the last row is not a whole one"),
    Case("[n] c", (1025, 257), "c", why="one row and one column above a block: apart, folded"),
    Case("[n] c", (513, 1100), "c", why="apart, not folded; the last block of rows has one"),
    Case("[n] c", (65, 2100), None, why="several blocks side by side, no weight"),
    Case("[n] c [...]", (3, 40, 7, 7), "c", LAST),
    Case("[n] c [...]", (2, 24, 67, 67), "c", LAST, why="apart and folded"),
    Case("n c [...]", (3, 70, 9, 9), "c", LAST, why="sets of each sample"),
    Case("n c [...]", (5, 300, 6, 6), "c", LAST),
    Case("n (g [c]) [...]", (3, 48, 9, 9), "(g c)", LAST, {"g": 16}, why="three columns to a set"),
    Case("n (g [c]) [...]", (2, 260, 5, 5), "(g c)", LAST, {"g": 130}),
    Case("n (g [c]) [...]", (2, 64, 40, 41), "(g c)", LAST, {"g": 4}, why="apart: sets of columns of blocks of rows"),
    Case("n [c] ...", (3, 37, 8, 9), "c", why="a weight for each row"),
    Case("n [c] ...", (2, 40, 3, 3), "c", why="rows shorter than a vector"),
    Case("n [c] ...", (2, 96, 32, 32), "c", why="rows a page apart"),
    Case("n [c] ...", (2, 33, 50, 51), None),
    Case("[n c] ...", (4, 6, 8, 9), "c", why="a weight that starts over along the rows"),
]  # fmt: skip
NARROW, FOLDED, BY_ROW = Case("[n] c", (300, 40), "c"), Case("[n] c", (2003, 3), "c"), Case("n [c] ...", (3, 37, 8, 9), "c")
GROUPS = Case("n (g [c]) [...]", (3, 48, 9, 9), "(g c)", LAST, {"g": 16})
KINDS = [NARROW, FOLDED, BY_ROW, GROUPS]
RATIOS = {"float32": [0, 1e6], "float64": [0, 1e12]}


def random(shape: tuple[int, ...], dtype: str = "float32", seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def problem(case: Case) -> Problem:
    found = collapse(case.plan, tuple(s // 4 for s in case.lay(np.empty(case.shape, np.float32)).strides), case.spread)
    assert isinstance(found, Problem), found
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_here_is_one_of_columns(case: Case) -> None:
    """Otherwise the tests below would try other kernels."""
    x = case.lay(random(case.shape))
    done = kernels.standardize(x, case.plan, weight=None if case.spread is None else np.ones(case.spread, np.float32))
    assert done is not None and done.standardizer.beside


def test_the_cases_meet_every_way_of_cutting() -> None:
    cuts = [columns.cut(problem(case)) for case in CASES]
    assert any(c.columns > c.period for c in cuts) and any(c.extra for c in cuts) and any(c.by_row for c in cuts)
    assert any(c.down > 1 and c.columns == c.period for c in cuts) and any(c.down > 1 and c.columns > c.period for c in cuts)
    assert any(c.block_columns < c.columns for c in cuts) and any(c.length > 1 and c.down > 1 for c in cuts)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_element_is_in_one_block(case: Case) -> None:
    p = problem(case)
    c = columns.cut(p)
    assert c.rows * c.columns + c.extra == c.size and c.size * c.outer == p.size
    assert c.block_columns % c.length == 0 and 0 < c.block_rows <= c.rows and c.extra < c.columns


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_columns_are_within_the_goals_wherever_the_mean_lies(case: Case, dtype: str) -> None:
    for ratio in RATIOS[dtype]:
        x, dy = hard.ratio(ratio, case.shape, dtype), random(case.shape, dtype, 2)
        weight = None if case.spread is None else random(case.spread, dtype, 3)
        plain = run(case, x, dy) if weight is None or BY_ROW.line == case.line else run(case, x, dy, np.ones_like(weight))
        compare(plain.y, plain.truth.z, "forward", sets=plain.rows)
        made = run(case, x, dy, weight)
        assert made.truth.dx is not None
        compare(made.dx, made.truth.dx, "gradient" if case.plan.count >= 32 else "gradient, small set", sets=made.rows,
                scale=None if case.plan.count >= 32 else small_scale(made.truth, case, dy, weight))  # fmt: skip
        for got, wanted in ((made.dweight, made.wanted_dweight), (made.dbias, made.wanted_dbias)):
            if wanted is not None:
                assert got is not None
                compare(got, wanted, "parameter gradient", scale=np.abs(wanted).max())


def small_scale(truth: Any, case: Case, dy: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """The largest |g| / D of each set: what small sets are measured by."""
    g = dy.reshape(case.plan.split) * (1.0 if weight is None else weight.astype(np.float64))
    top = np.abs(g).ravel()[case.sets].max(1, keepdims=True)
    below = np.sqrt(np.asarray(truth.var.high) + 1e-5)
    return np.broadcast_to(top / below, case.sets.shape)


@pytest.mark.parametrize("case", KINDS, ids=str)
@pytest.mark.parametrize(
    "how",
    [
        {"eps": 0.5, "eps_rule": "outside"}, {"eps": 3.0, "eps_rule": "floor"}, {"eps": 0.3, "eps_rule": "floor"},
        {"spread": None}, {"spread": "l2"}, {"centre": False, "spread": "rms"}, {"centre": False, "spread": "l2"},
        {"centre": False, "spread": "rms", "eps": 0.5, "eps_rule": "outside"}, {"eps": 0.0},
    ],
    ids=str,
)  # fmt: skip
def test_every_rule_is_the_formula(how: dict[str, Any], case: Case) -> None:
    x, dy = case.lay(hard.ratio(2, case.shape, "float64")), case.lay(random(case.shape, "float64", 2))
    weight, bias = random(case.spread or (), "float64", 3), random(case.spread or (), "float64", 4)
    done = kernels.standardize(x, case.plan, weight=weight, bias=bias, **how)
    assert done is not None
    back = kernels.standardize_backward(dy, x, case.plan, done.kept, weight=weight, bias=bias, **how)
    truth = by_formula(x, case.plan, Rule(**how), weight=weight, bias=bias)
    compare(done.y, truth.y, "identity")
    assert back is not None
    for got, wanted in zip(back, truth.pull(dy), strict=True):
        assert got is not None and wanted is not None
        compare(got, wanted, "identity")


@pytest.mark.parametrize("case", [NARROW, FOLDED, GROUPS], ids=str)
def test_given_statistics_are_used_and_nothing_flows_back_through_them(case: Case) -> None:
    """Evaluation: for the inverse of what multiplied, dx is dy times it and no more."""
    x, dy = case.lay(hard.ratio(3, case.shape, "float64")), case.lay(random(case.shape, "float64", 2))
    weight, bias = random(case.spread or (), "float64", 3), random(case.spread or (), "float64", 4)
    kept = [case.plan.split[k] if k in case.plan.kept else 1 for k in range(len(case.plan.split))]
    mean, var = random(tuple(kept), "float64", 5), 1 + random(tuple(kept), "float64", 6) ** 2
    done = kernels.standardize(x, case.plan, weight=weight, bias=bias, running=(mean, var))
    assert done is not None
    back = kernels.standardize_backward(dy, x, case.plan, done.kept, weight=weight, bias=bias, running=True)
    truth = by_formula(x, case.plan, Rule(), weight=weight, bias=bias, running=(mean, var))
    compare(done.y, truth.y, "identity")
    assert back is not None
    for got, wanted in zip(back, truth.pull(dy), strict=True):
        assert got is not None and wanted is not None
        compare(got, wanted, "identity")


@pytest.mark.parametrize("case", KINDS, ids=str)
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("ratio", [0, 1e2])
def test_halves_are_computed_wide_and_rounded_once(case: Case, kind: str, ratio: float) -> None:
    x, dy = hard.ratio(ratio, case.shape, "float32"), random(case.shape, "float32", 2)
    if kind == "float16":
        stored, given, eps = x.astype(np.float16), dy.astype(np.float16), 2.0**-10
        wide, wide_dy = stored.astype(np.float32), given.astype(np.float32)
    else:
        eps, (stored, given) = 2.0**-7, ((np.ascontiguousarray(a).view(np.uint32) >> 16).astype(np.uint16) for a in (x, dy))
        wide, wide_dy = ((a.astype(np.uint32) << 16).view(np.float32) for a in (stored, given))
    done = kernels.standardize(case.lay(stored), case.plan)
    assert done is not None and done.y.dtype == stored.dtype
    back = kernels.standardize_backward(case.lay(given), case.lay(stored), case.plan, done.kept)
    assert back is not None
    truth = long_reference(wide.ravel()[case.sets], wide_dy.ravel()[case.sets])
    assert truth.dx is not None
    for got, wanted in ((done.y, truth.z), (back[0], truth.dx)):
        got = np.ascontiguousarray(got)
        number = got.astype(np.float32) if kind == "float16" else (got.astype(np.uint32) << 16).view(np.float32)
        off = np.abs(number.ravel()[case.sets] - wanted.high)
        top = np.maximum(np.abs(wanted.high).max(1, keepdims=True), 2.0**-14)  # float16's steps shrink no further
        assert (off / (eps * top)).max() <= 1, kind


@pytest.mark.parametrize("case", KINDS, ids=str)
@pytest.mark.parametrize("eps", [1e-5, 0.0])
@pytest.mark.parametrize("value", [0.0, 1000.1, -3e38])
def test_a_constant_set_gives_exactly_the_bias(case: Case, eps: float, value: float) -> None:
    x = case.lay(np.full(case.shape, value, np.float32))
    weight, bias = random(case.spread or ()), random(case.spread or (), seed=2)
    done = kernels.standardize(x, case.plan, eps=eps, weight=weight, bias=bias)
    assert done is not None
    same_bytes(np.ascontiguousarray(done.y), np.broadcast_to(bias, case.plan.split).reshape(case.shape).copy())
    dy = case.lay(random(case.shape, seed=3))
    back = kernels.standardize_backward(dy, x, case.plan, done.kept, eps=eps, weight=weight, bias=bias)
    assert back is not None and np.isfinite(back[0]).all()


@pytest.mark.parametrize("case", KINDS, ids=str)
@pytest.mark.parametrize("how", [{}, {"centre": False, "spread": "rms"}], ids=["centred", "rms"])
@pytest.mark.parametrize("size", [1e20, 3e37, 1e-30])
def test_one_set_may_leave_the_range_and_the_others_do_not_feel_it(case: Case, how: dict[str, Any], size: float) -> None:
    """Case 16, in one set of many; the others must have the bytes that they have without it."""
    x = random(case.shape, "float64")
    weight = np.ones(case.spread or (), np.float32)
    ordinary = kernels.standardize(case.lay(x.astype(np.float32)), case.plan, weight=weight, eps=0.0, **how)
    x.reshape(-1)[case.sets[1]] *= size
    made = run(case, x.astype(np.float32), random(case.shape, seed=2), weight, eps=0.0, **how)
    compare(made.y, made.truth.z, "forward", sets=made.rows)
    assert made.truth.dx is not None and ordinary is not None
    compare(made.dx, made.truth.dx, "gradient", sets=made.rows)
    clean = np.ascontiguousarray(ordinary.y).ravel()[case.sets]
    same_bytes(np.delete(made.y, 1, 0), np.delete(clean, 1, 0))


@pytest.mark.parametrize("case", KINDS, ids=str)
@pytest.mark.parametrize("planted", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_its_set(case: Case, planted: float) -> None:
    x, dy = random(case.shape), random(case.shape, seed=2)
    clean = kernels.standardize(case.lay(x), case.plan)
    x.reshape(-1)[case.sets[1][len(case.sets[1]) // 2]] = planted
    done = kernels.standardize(case.lay(x), case.plan)
    assert clean is not None and done is not None
    back = kernels.standardize_backward(case.lay(dy), case.lay(x), case.plan, done.kept)
    assert back is not None
    got, wanted, dx = (np.ascontiguousarray(a).ravel()[case.sets] for a in (done.y, clean.y, back[0]))
    same_bytes(np.delete(got, 1, 0), np.delete(wanted, 1, 0))
    assert np.isnan(got[1]).all() and not np.isnan(np.delete(dx, 1, 0)).any()


@pytest.mark.parametrize("order", ["up", "down"])
def test_a_trend_over_the_rows_costs_no_digits(order: str) -> None:
    """Each block of rows has a mean of its own, a thousand of its spreads from the next one's."""
    case = Case("[n] c", (5000, 7), "c")
    trend = 1e3 * np.arange(5000)[:: 1 if order == "up" else -1, None] / 64
    x = (trend + random(case.shape, "float64")).astype(np.float32)
    made = run(case, x, random(case.shape, seed=2), np.ones((1, 7), np.float32))
    compare(made.y, made.truth.z, "forward", sets=made.rows)
    assert made.truth.dx is not None
    compare(made.dx, made.truth.dx, "gradient", sets=made.rows)


def test_a_first_row_that_is_an_outlier_costs_no_digits() -> None:
    """What is subtracted first is the first row."""
    for shape in ((100, 80), (4000, 80)):  # in two sweeps, and in one that must be found wanting
        case = Case("[n] c", shape, "c")
        x = random(case.shape)
        x[0] = 1e6
        made = run(case, x, random(case.shape, seed=2), np.ones((1, 80), np.float32))
        compare(made.y, made.truth.z, "forward", sets=made.rows)


def both_ways(case: Case, x: np.ndarray, dy: np.ndarray, threads: int) -> list[np.ndarray]:
    weight = random(case.spread or (), seed=3)
    done = kernels.standardize(x, case.plan, weight=weight, bias=weight, threads=threads)
    assert done is not None
    back = kernels.standardize_backward(dy, x, case.plan, done.kept, weight=weight, bias=weight, threads=threads)
    assert back is not None and back[1] is not None and back[2] is not None
    return [done.y, done.kept, back[0], back[1], back[2]]


# Large enough that two threads are wanted: see pool.WORTH_ELEMENTS.
SHARED = [
    Case("[n] c", (1500, 300), "c"), Case("[n] c", (300, 1500), "c"), Case("n [c] ...", (5, 60, 40, 40), "c"),
    Case("n (g [c]) [...]", (4, 48, 60, 60), "(g c)", LAST, {"g": 16}), Case("n c [...]", (40, 80, 14, 14), "c", LAST),
]  # fmt: skip


@pytest.mark.parametrize("case", SHARED, ids=str)
def test_any_number_of_threads_and_four_callers_at_once_give_the_same_bytes(case: Case) -> None:
    x, dy = case.lay(random(case.shape)), case.lay(random(case.shape, seed=2))
    alone = both_ways(case, x, dy, 1)
    found: list[list[np.ndarray]] = [both_ways(case, x, dy, 2)]
    callers = [threading.Thread(target=lambda: found.append(both_ways(case, x, dy, 2))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(120)
    assert len(found) == 5
    for one in found:
        for got, wanted in zip(one, alone, strict=True):
            same_bytes(got, wanted)


def test_a_sample_is_the_same_beside_any_others() -> None:
    """Methods that keep n: what a sample becomes does not depend on how many there are."""
    for line, shape, memory, sizes in (
        ("n [c] ...", (5, 96, 32, 32), (), {}), ("n c [...]", (5, 70, 9, 9), LAST, {}), ("n (g [c]) [...]", (5, 48, 40, 40), LAST, {"g": 8}),
    ):  # fmt: skip
        x = random(shape)
        many, one = Case(line, shape, None, memory, sizes), Case(line, (1, *shape[1:]), None, memory, sizes)
        all_, alone = (kernels.standardize(c.lay(a), c.plan) for c, a in ((many, x), (one, x[3:4])))
        assert all_ is not None and alone is not None
        same_bytes(np.ascontiguousarray(all_.y[3:4]), np.ascontiguousarray(alone.y))


def test_weights_that_no_column_or_row_can_hold_are_refused() -> None:
    for counts in ((2, 1, 1, 1), (1, 3, 4, 1)):
        assert columns.covers(Problem(2, 3, 4, 1, counts=counts)) is not None
    assert columns.covers(Problem(2, 3, 4, 1, counts=(1, 1, 4, 1))) is None
