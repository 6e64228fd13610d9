"""Accuracy against references of 106 bits and more, and the references themselves."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest

import hard_inputs as hard
import normlab as nl
from accurate import LENGTHS, METHODS, RATIOS, on_layer, row_sets, rows_of, shape_with, truth_of
from comparing import TOLERANCE, Exact, compare, error, finfo
from faces import DTYPES, Face
from grid import layouts
from long_references import Long, long_reference
from normlab.definition import Definition
from references import reference

# Every ratio in one layout, the two ends in the others.
ACCURACY = [
    (d, layout, dtype, RATIOS[dtype][:: 1 if k == 0 else len(RATIOS[dtype]) - 1])
    for d in METHODS for k, layout in enumerate(lay for lay in layouts(d) if lay != "... c" or d.layout == lay)
    for dtype in RATIOS
]  # fmt: skip


class Posed(NamedTuple):
    """An input with a cotangent, its sets as rows of indices, and what must come of it."""

    x: np.ndarray
    dy: np.ndarray
    rows: np.ndarray
    truth: Long


@lru_cache(maxsize=32)  # those of one test: the next one asks for the same on another face
def pose(name: str, layout: str, dtype: str, ratio: float, length: int) -> Posed:
    d = nl.method(name)
    shape = shape_with(d, layout, length)
    x = hard.ratio(ratio, shape, dtype, seed=length)
    dy = np.random.default_rng(length + 1).standard_normal(shape).astype(dtype)
    rows = rows_of(d, layout, shape)
    return Posed(x, dy, rows, truth_of(d, x, rows, dy))


def goal(face: Face, d: Definition, layout: str, dtype: str, ratio: float, length: int) -> None:
    x, dy, rows, truth = pose(d.name, layout, dtype, ratio, length)
    assert rows.shape[1] >= 32
    done, who, sets = on_layer(face, d, x, layout, dy=dy), f"{ratio:g}, {length}", row_sets(rows)
    assert truth.dx is not None and done.dx is not None
    compare(done.y.ravel()[rows], truth.z, "forward", who, sets=sets)
    compare(done.dx.ravel()[rows], truth.dx, "gradient", who, sets=sets)


EACH = {"ids": lambda v: getattr(v, "name", str(v).replace(" ", "_"))}


@pytest.mark.parametrize(("d", "layout", "dtype", "ratios"), ACCURACY, **EACH)
def test_the_worst_set_is_within_the_goals(d: Definition, layout: str, dtype: str, ratios: list[float], every_face: Face) -> None:
    """2 units forward, 4 back, for |mean|/spread up to 1e6 in float32 and 1e12 in float64, for the input as rounded.

    Every ratio with two lengths, in turn; all of them in the test below.
    """
    for k, ratio in enumerate(ratios):
        for length in LENGTHS[k % 2 :: 2]:
            goal(every_face, d, layout, dtype, ratio, length)


@pytest.mark.slow
@pytest.mark.parametrize(("d", "layout", "dtype", "ratios"), ACCURACY, **EACH)
def test_every_length_at_every_ratio(d: Definition, layout: str, dtype: str, ratios: list[float], every_face: Face) -> None:
    for ratio, length in product(ratios, LENGTHS):
        goal(every_face, d, layout, dtype, ratio, length)


@lru_cache(maxsize=2)
def pose_columns(dtype: str, order: Any, ratio: float) -> tuple[np.ndarray, np.ndarray, Long]:
    x = np.asarray(hard.ratio(ratio, (100_000, 3), dtype), order=order)
    dy = np.asarray(np.random.default_rng(1).standard_normal(x.shape).astype(dtype), order=order)
    return x, dy, long_reference(np.ascontiguousarray(x.T), np.ascontiguousarray(dy.T))


@pytest.mark.parametrize("ratio", [0, 1e4])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_strided_sets_are_as_good(dtype: str, order: Any, ratio: float, every_face: Face) -> None:
    """Batch norm over 100,000 rows: NumPy sums pairwise along contiguous memory only, and serially across."""
    x, dy, truth = pose_columns(dtype, order, ratio)
    done = on_layer(every_face, nl.method("batch_norm"), x, dy=dy, affine=True, memory={"C": "contiguous", "F": "transposed"}[order],
                    options={"momentum": 1.0, "running_var_biased": True})  # fmt: skip
    assert truth.dx is not None and truth.product is not None and done.dx is not None
    sets = row_sets(x.T)
    compare(np.ascontiguousarray(done.y.T), truth.z, "forward", sets=sets)
    compare(np.ascontiguousarray(done.dx.T), truth.dx, "gradient", sets=sets)
    summed = np.array([float(np.sum(p.astype(np.longdouble))) for p in truth.product.high])
    total = np.array([np.sum(c.astype(np.longdouble)) for c in dy.T], np.float64)
    for name, wanted, terms in (("weight", summed, truth.product.high), ("bias", total, dy.T)):
        # Elsewhere than on NumPy a framework may sum in its own precision: of what the sum is made of, not of the sum.
        scale = np.abs(wanted).max() if every_face.name == "numpy" else np.abs(terms.astype(float)).sum(1).max()
        compare(done.grads[name], wanted, "parameter gradient", name, scale=scale)
    compare(done.state["running_mean"][:, None], truth.mean, "running", scale=1.0 + ratio)
    compare(done.state["running_var"][:, None], truth.var, "running")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [d for d in METHODS if d.params and d.role == "norm"], ids=lambda d: d.name)
def test_parameter_gradients_are_within_the_goal(d: Definition, dtype: str, every_face: Face) -> None:
    layout = "n c ..." if d.layout != "... c" else "... c"
    shape = (40, 6, 50) if layout == "n c ..." else (2000, 6)
    x = hard.ratio(1e3, shape, dtype)
    dy = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    done = on_layer(every_face, d, x, layout, dy=dy, affine=True)
    rows = rows_of(d, layout, shape)
    truth = truth_of(d, x, rows, dy)
    assert truth.product is not None
    product = np.zeros(x.size, np.longdouble)
    product[rows.ravel()] = truth.product.high.ravel().astype(np.longdouble) + truth.product.low.ravel()
    others = tuple(a for a in range(x.ndim) if a != (1 if layout == "n c ..." else x.ndim - 1))
    weight = product.reshape(shape).sum(others).astype(np.float64)
    compare(done.grads["weight"], weight, "parameter gradient", scale=np.abs(weight).max())
    if "bias" in done.grads:
        bias = dy.astype(np.longdouble).sum(others).astype(np.float64)
        compare(done.grads["bias"], bias, "parameter gradient", scale=np.abs(bias).max())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("ratio", [0, 1e2])
@pytest.mark.parametrize("d", METHODS, ids=lambda d: d.name)
def test_half_precision_output_is_within_one_unit(d: Definition, ratio: float, dtype: str, every_face: Face) -> None:
    half(every_face, d, ratio, dtype)


def half(face: Face, d: Definition, ratio: float, dtype: str = "float16") -> None:
    layout = layouts(d)[0]
    shape = shape_with(d, layout, 300)
    x = hard.ratio(ratio, shape, "float64").astype(DTYPES[dtype])
    rows = rows_of(d, layout, shape)
    y = on_layer(face, d, x, layout).y
    truth = truth_of(d, x, rows)
    # Below 2**-14 float16's steps no longer shrink, as they would have to where a unit vector has long rows.
    scale = np.maximum(np.abs(truth.z.high).max(1, keepdims=True), float(finfo(DTYPES[dtype]).smallest_normal))
    compare(y.ravel()[rows], truth.z, "half", d.name, scale=np.broadcast_to(scale, rows.shape))


FORWARDS = {
    "selu": lambda mp, x: mp.mpf("1.0507009873554804934193349852946") * (
        x if x > 0 else mp.mpf("1.6732632423543772848170429916717") * mp.expm1(x)
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_selu_is_right_in_every_element(dtype: str, every_face: Face) -> None:
    """Near 0 exp(x) - 1 cancels: at -1e-10 a plain exp leaves six digits."""
    from mpmath import mp

    x = np.concatenate([s * 10.0 ** np.arange(-30, 3, 0.25) for s in (1, -1)]).astype(dtype)
    with mp.workprec(200):
        wanted = np.array([float(FORWARDS["selu"](mp, mp.mpf(float(v)))) for v in x])
    compare(every_face.call("selu", x), wanted, "transcendental", scale=np.abs(wanted))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_local_response_norm_is_right_in_every_element(dtype: str, every_face: Face) -> None:
    from mpmath import mp

    x = (np.random.default_rng(0).standard_normal((3, 7, 4)) * 10).astype(dtype)
    wanted = np.zeros(x.shape)
    with mp.workprec(200):
        for n, c, p in np.ndindex(*x.shape):
            window = [mp.mpf(float(x[n, k, p])) ** 2 for k in range(max(c - 2, 0), min(c + 3, 7))]
            wanted[n, c, p] = mp.mpf(float(x[n, c, p])) * (2 + mp.mpf(0.5) / 5 * mp.fsum(window)) ** mp.mpf(-0.75)
    got = every_face.call("local_response_norm", x, alpha=0.5, k=2.0)
    compare(got, wanted, "transcendental", scale=np.abs(wanted))


# The references themselves


@pytest.mark.parametrize("ratio", [0, 1e4, 1e12])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "unit_norm"])
def test_the_two_references_agree(name: str, ratio: float) -> None:
    d = nl.method(name)
    x = hard.ratio(ratio, (3, 40), "float64")
    dy = np.random.default_rng(1).standard_normal(x.shape)
    slow = reference(d, x)
    fast = truth_of(d, x, np.arange(x.size).reshape(x.shape), dy)
    assert fast.dx is not None
    for a, b in ((slow.y, fast.z), (slow.gradients(dy)[0], fast.dx)):
        apart = np.abs((a.high - b.high) + (a.low - b.low)).max() / np.abs(a.high).max()
        assert apart < 1e-19, apart


def test_errors_are_counted_as_the_goals_say() -> None:
    wanted = Exact(np.array([[1.0, 2.0], [100.0, 50.0]]), np.zeros((2, 2)))
    got = wanted.high + np.array([[2.0**-52, 0], [0, 2.0**-45]])
    units = error(got, wanted, row_sets(got))
    assert np.allclose(units, [[0.5, 0], [0, 2.0**7 / 100]], rtol=1e-12)
    assert TOLERANCE["forward"].units == 2 and TOLERANCE["gradient"].units == 4 and TOLERANCE["half"].units == 1
