"""The kernels against exact arithmetic: every way sets may lie in memory, every dtype, far from zero and out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hard_inputs as hard
from comparing import compare, same_bytes
from kernel_cases import CASES, Case, run
from long_references import long_reference
from normlab import kernels
from normlab.calling import Rule
from normlab.numpy.standardize import standardize as by_formula

pytest.importorskip("numba", reason="kernels need Numba")

ROWS = Case("... [c]", (6, 200), "c")
LONG = Case("... [c]", (2, 140_000), "c")
RATIOS = {"float32": [0, 1e2, 1e6], "float64": [0, 1e6, 1e12]}
GRADIENT = {True: "gradient", False: "gradient, small set"}


def random(shape: tuple[int, ...], dtype: str, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def check(case: Case, x: np.ndarray, dtype: str, **how: Any) -> None:
    """Forward without weights, backward with them (the goals count errors before the affine step)."""
    dy = random(case.shape, dtype, 2)
    weight = None if case.spread is None else random(case.spread, dtype, 3)
    plain = run(case, x, dy, **how)
    compare(plain.y, plain.truth.z, "forward", sets=plain.rows)
    made = run(case, x, dy, weight, **how)
    assert made.truth.dx is not None
    compare(made.dx, made.truth.dx, GRADIENT[case.plan.count >= 32], sets=made.rows)
    for got, wanted in ((made.dweight, made.wanted_dweight), (made.dbias, made.wanted_dbias)):
        if wanted is not None:
            assert got is not None
            compare(got, wanted, "parameter gradient", scale=np.abs(wanted).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernels_are_within_the_goals_wherever_the_mean_lies(case: Case, dtype: str) -> None:
    for ratio in RATIOS[dtype]:
        check(case, hard.ratio(ratio, case.shape, dtype), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [ROWS, LONG, Case("[n] c [...]", (9, 40, 3, 3), "c", (0, 2, 3, 1))], ids=str)
@pytest.mark.parametrize(
    "how",
    [
        {"centre": False, "spread": "rms"}, {"centre": False, "spread": "l2", "eps": 1e-12, "eps_rule": "floor"},
        {"spread": "l2"}, {"eps": 0.0},
    ],
    ids=str,
)  # fmt: skip
def test_every_spread_is_within_the_goals(how: dict[str, Any], case: Case, dtype: str) -> None:
    for ratio in (0, 1e2):
        check(case, hard.ratio(ratio, case.shape, dtype), dtype, **how)


@pytest.mark.parametrize("case", [ROWS, LONG, Case("[n] c [...]", (9, 40, 3, 3), "c", (0, 2, 3, 1))], ids=str)
@pytest.mark.parametrize(
    "how",
    [
        {"eps": 0.5, "eps_rule": "outside"}, {"eps": 3.0, "eps_rule": "floor"}, {"eps": 0.3, "eps_rule": "floor"},
        {"spread": None}, {"centre": False, "spread": "rms", "eps": 0.5, "eps_rule": "outside"},
    ],
    ids=str,
)  # fmt: skip
def test_every_rule_of_eps_is_the_formula(how: dict[str, Any], case: Case) -> None:
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


def bfloat16(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`a` rounded to bfloat16 (by cutting off), as 16 bits and as float32."""
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32) >> 16
    return bits.astype(np.uint16), (bits << 16).view(np.float32)


@pytest.mark.parametrize("case", [ROWS, LONG, Case("n (g [c]) [...]", (3, 12, 6, 6), "(g c)", sizes={"g": 4})], ids=str)
@pytest.mark.parametrize("ratio", [0, 1e2])
def test_halves_are_computed_wide_and_rounded_once(case: Case, ratio: float) -> None:
    x, dy = hard.ratio(ratio, case.shape, "float32"), random(case.shape, "float32", 2)
    for kind in ("float16", "bfloat16"):
        if kind == "float16":
            stored, given, eps = x.astype(np.float16), dy.astype(np.float16), 2.0**-10
            wide, wide_dy = stored.astype(np.float32), given.astype(np.float32)
        else:
            (stored, wide), (given, wide_dy), eps = bfloat16(x), bfloat16(dy), 2.0**-7
        done = kernels.standardize(stored, case.plan)
        assert done is not None and done.y.dtype == stored.dtype
        back = kernels.standardize_backward(given, stored, case.plan, done.kept)
        assert back is not None
        truth = long_reference(wide.ravel()[case.sets], wide_dy.ravel()[case.sets])
        assert truth.dx is not None
        for got, wanted in ((done.y, truth.z), (back[0], truth.dx)):
            number = got.astype(np.float32) if kind == "float16" else (got.astype(np.uint32) << 16).view(np.float32)
            off = np.abs(number.ravel()[case.sets] - wanted.high)
            # Below 2**-14 float16's steps no longer shrink.
            top = np.maximum(np.abs(wanted.high).max(1, keepdims=True), 2.0**-14)
            assert (off / (eps * top)).max() <= 1, kind


def test_bfloat16_is_rounded_to_even_and_keeps_nan() -> None:
    """A row of one pooled value and its negative is +-1 times the weight, so the weight is what is rounded."""
    numbers = np.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, np.nan, np.inf, -(1 + 2**-8)], np.float32)
    x, _ = bfloat16(np.array([[1.0, -1.0]] * len(numbers)))
    case = Case("n [c]", x.shape)
    done = kernels.standardize(x, case.plan, eps=0.0, weight=numbers[:, None])
    assert done is not None
    got = (done.y[:, 0].astype(np.uint32) << 16).view(np.float32)
    assert np.array_equal(got, np.array([1.0, 1 + 2**-6, 1 + 2**-7, np.nan, np.inf, -1.0], np.float32), equal_nan=True)


@pytest.mark.parametrize("case", [ROWS, LONG, Case("[n] c [...]", (9, 40, 3, 3), "c", (0, 2, 3, 1))], ids=str)
@pytest.mark.parametrize("eps", [1e-5, 0.0])
@pytest.mark.parametrize("value", [0.0, 1000.1, 1e-40, -3e38])
def test_a_constant_set_gives_exactly_the_bias(case: Case, eps: float, value: float) -> None:
    x = case.lay(np.full(case.shape, value, np.float32))
    weight, bias = random(case.spread or (), "float32"), random(case.spread or (), "float32", 2)
    done = kernels.standardize(x, case.plan, eps=eps, weight=weight, bias=bias)
    assert done is not None
    same_bytes(np.ascontiguousarray(done.y), np.broadcast_to(bias, case.plan.split).reshape(case.shape).copy())
    back = kernels.standardize_backward(
        case.lay(random(case.shape, "float32")), x, case.plan, done.kept, eps=eps, weight=weight, bias=bias
    )
    assert back is not None and np.isfinite(back[0]).all() and back[1] is not None and not back[1].any()


@pytest.mark.parametrize(
    "case", [ROWS, Case("... [c]", (2, 140_000)), Case("[n] c [...]", (9, 40, 3, 3), None, (0, 2, 3, 1))], ids=str
)
@pytest.mark.parametrize("how", [{}, {"centre": False, "spread": "rms"}], ids=["centred", "rms"])
@pytest.mark.parametrize("size", [1e20, 3e37, 1e-30, 1e-36])
def test_squares_may_leave_the_range(case: Case, how: dict[str, Any], size: float) -> None:
    x = (random(case.shape, "float64") * size).astype(np.float32)
    made = run(case, x, random(case.shape, "float32", 2), eps=0.0, **how)
    compare(made.y, made.truth.z, "forward", sets=made.rows)
    assert made.truth.dx is not None
    compare(made.dx, made.truth.dx, "gradient", sets=made.rows)


@pytest.mark.parametrize("case", [ROWS, LONG, Case("[n] c [...]", (9, 40, 3, 3), None, (0, 2, 3, 1))], ids=str)
@pytest.mark.parametrize("planted", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("how", [{}, {"centre": False, "spread": "rms"}], ids=["centred", "rms"])
def test_what_is_not_finite_stays_in_its_set(case: Case, planted: float, how: dict[str, Any]) -> None:
    x, dy = random(case.shape, "float32"), random(case.shape, "float32", 2)
    clean = kernels.standardize(case.lay(x), case.plan, **how)
    assert clean is not None
    mine = np.zeros(x.size, bool)
    mine[case.sets[1]] = True
    mine = mine.reshape(case.shape)
    x.reshape(-1)[case.sets[1][len(case.sets[1]) // 2]] = planted
    done = kernels.standardize(case.lay(x), case.plan, **how)
    assert done is not None
    same_bytes(done.y[~mine], clean.y[~mine])
    wanted = by_formula(case.lay(x), case.plan, Rule(**how)).y
    assert np.array_equal(np.isnan(done.y), np.isnan(wanted)) and np.isnan(done.y[mine]).any()
    back = kernels.standardize_backward(case.lay(dy), case.lay(x), case.plan, done.kept, **how)
    assert back is not None and not np.isnan(back[0][~mine]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [300, 140_000])
def test_a_shift_that_lies_far_from_the_mean_is_taken_again(dtype: str, length: int) -> None:
    """The four elements that the shift is made of are outliers here; without a second look six digits are lost."""
    x = random((3, length), dtype) * 1e-3
    x[:, [k * length // 4 for k in range(4)]] = 1e3
    case = Case("n [c]", x.shape)
    made = run(case, x, random(x.shape, dtype, 2))
    compare(made.y, made.truth.z, "forward", sets=made.rows)


def test_37_million_elements_in_one_set_are_as_good() -> None:
    """Case 8: sums of so many in float32 drift, in pieces they do not."""
    x = np.random.default_rng(8).random((1, 256 * 256 * 72 * 8), np.float32)
    case = Case("n [c]", x.shape)
    done = kernels.standardize(x, case.plan)
    assert done is not None
    wide = x.astype(np.float64)
    mean = wide.mean()
    var = np.square(wide - mean).mean()
    z = (wide - mean) / np.sqrt(var + 1e-5)
    compare(done.y, z, "forward")
    compare(done.mean, mean[None], "running")
    compare(done.var, var[None], "running")


@pytest.mark.parametrize("case", [Case("[n] c [...]", (4, 3, 9, 9), "c"), Case("[n] c [...]", (4, 40, 9, 9), "c", (0, 2, 3, 1)),
                                  Case("[n] c [...]", (3, 2, 300, 301), "c"), Case("n c [...]", (4, 3, 9, 9), "c")], ids=str)  # fmt: skip
def test_running_statistics_take_the_place_of_the_sets_own(case: Case) -> None:
    x, dy = case.lay(random(case.shape, "float64") + 3), case.lay(random(case.shape, "float64", 2))
    spread = case.spread or ()
    weight, bias = random(spread, "float64", 3), random(spread, "float64", 4)
    running = random(spread, "float64", 5), np.abs(random(spread, "float64", 6))
    done = kernels.standardize(x, case.plan, weight=weight, bias=bias, running=running)
    assert done is not None
    back = kernels.standardize_backward(dy, x, case.plan, done.kept, weight=weight, bias=bias, running=True)
    truth = by_formula(x, case.plan, Rule(), weight=weight, bias=bias, running=running)
    compare(done.y, truth.y, "identity")
    assert back is not None
    for got, wanted in zip(back, truth.pull(dy), strict=True):
        assert got is not None and wanted is not None
        compare(got, wanted, "identity")
