"""Accuracy against references of 106 bits and more, and the references themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hard_inputs as hard
import normlab as nl
from accurate import LENGTHS, METHODS, RATIOS, row_sets, rows_of, shape_with, truth_of
from comparing import TOLERANCE, Exact, compare, error
from grid import layouts
from long_references import long_reference
from normlab import functional
from normlab import numpy as face
from normlab.definition import Definition
from references import reference

# Every ratio in one layout, the two ends in the others.
ACCURACY = [
    (d, layout, dtype, ratio)
    for d in METHODS for k, layout in enumerate(lay for lay in layouts(d) if lay != "... c" or d.layout == lay)
    for dtype in RATIOS for ratio in RATIOS[dtype][:: 1 if k == 0 else len(RATIOS[dtype]) - 1]
]  # fmt: skip


@pytest.mark.parametrize(
    ("d", "layout", "dtype", "ratio"), ACCURACY, ids=lambda v: getattr(v, "name", str(v).replace(" ", "_"))
)
def test_the_worst_set_is_within_the_goals(d: Definition, layout: str, dtype: str, ratio: float) -> None:
    """2 units forward, 4 back, for |mean|/spread up to 1e6 in float32 and 1e12 in float64, for the input as rounded."""
    for length in LENGTHS:
        shape = shape_with(d, layout, length)
        x = hard.ratio(ratio, shape, dtype, seed=length)
        dy = np.random.default_rng(length + 1).standard_normal(shape).astype(dtype)
        layer = face.build(d, shape[layout.split().index("c") if "c" in layout else layout.split().index("o")],
                           layout=layout, affine=False)  # fmt: skip
        y = layer(x)
        dx = layer.backward(dy)
        rows = rows_of(d, layout, shape)
        assert rows.shape[1] >= 32
        truth = truth_of(d, x, rows, dy)
        assert truth.dx is not None
        who = f"{length}"
        compare(y.ravel()[rows], truth.z, "forward", who, sets=row_sets(rows))
        compare(dx.ravel()[rows], truth.dx, "gradient", who, sets=row_sets(rows))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("ratio", [0, 1e4])
def test_long_strided_sets_are_as_good(dtype: str, order: Any, ratio: float) -> None:
    """Batch norm over 100,000 rows: NumPy sums pairwise along contiguous memory only, and serially across."""
    x = np.asarray(hard.ratio(ratio, (100_000, 3), dtype), order=order)
    dy = np.asarray(np.random.default_rng(1).standard_normal(x.shape).astype(dtype), order=order)
    layer = face.BatchNorm(3, dtype=dtype, momentum=1.0, running_var_biased=True)
    y = layer(x)
    dx = layer.backward(dy)
    truth = long_reference(np.ascontiguousarray(x.T), np.ascontiguousarray(dy.T))
    assert truth.dx is not None and truth.product is not None
    sets = row_sets(x.T)
    compare(np.ascontiguousarray(y.T), truth.z, "forward", sets=sets)
    compare(np.ascontiguousarray(dx.T), truth.dx, "gradient", sets=sets)
    summed = np.array([[float(np.sum(p.astype(np.longdouble)))] for p in truth.product.high])
    compare(layer.grads["weight"][:, None], summed, "parameter gradient", scale=np.abs(summed).max())
    total = np.array([np.sum(c.astype(np.longdouble)) for c in dy.T], np.float64)
    compare(layer.grads["bias"], total, "parameter gradient", scale=np.abs(total).max())
    compare(layer.state["running_mean"][:, None], truth.mean, "running", scale=1.0 + ratio)
    compare(layer.state["running_var"][:, None], truth.var, "running")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [d for d in METHODS if d.params and d.role == "norm"], ids=lambda d: d.name)
def test_parameter_gradients_are_within_the_goal(d: Definition, dtype: str) -> None:
    layout = "n c ..." if d.layout != "... c" else "... c"
    shape = (40, 6, 50) if layout == "n c ..." else (2000, 6)
    x = hard.ratio(1e3, shape, dtype)
    dy = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    layer = face.build(d, 6, layout=layout, dtype=dtype)
    layer(x)
    layer.backward(dy)
    rows = rows_of(d, layout, shape)
    truth = truth_of(d, x, rows, dy)
    assert truth.product is not None
    product = np.zeros(x.size, np.longdouble)
    product[rows.ravel()] = truth.product.high.ravel().astype(np.longdouble) + truth.product.low.ravel()
    others = tuple(a for a in range(x.ndim) if a != (1 if layout == "n c ..." else x.ndim - 1))
    weight = product.reshape(shape).sum(others).astype(np.float64)
    compare(layer.grads["weight"], weight, "parameter gradient", scale=np.abs(weight).max())
    if "bias" in layer.grads:
        bias = dy.astype(np.longdouble).sum(others).astype(np.float64)
        compare(layer.grads["bias"], bias, "parameter gradient", scale=np.abs(bias).max())


@pytest.mark.parametrize("ratio", [0, 1e2])
@pytest.mark.parametrize("d", METHODS, ids=lambda d: d.name)
def test_half_precision_output_is_within_one_unit(d: Definition, ratio: float) -> None:
    layout = layouts(d)[0]
    shape = shape_with(d, layout, 300)
    x = hard.ratio(ratio, shape, "float16")
    rows = rows_of(d, layout, shape)
    channels = shape[layout.split().index("c" if "c" in layout else "o")]
    y = face.build(d, channels, layout=layout, affine=False)(x)
    truth = truth_of(d, x, rows)
    # Below 2**-14 float16's steps no longer shrink, as they would have to where a unit vector has long rows.
    scale = np.maximum(np.abs(truth.z.high).max(1, keepdims=True), 2.0**-14)
    compare(y.ravel()[rows], truth.z, "half", d.name, scale=np.broadcast_to(scale, rows.shape))


FORWARDS = {
    "selu": lambda mp, x: mp.mpf("1.0507009873554804934193349852946") * (
        x if x > 0 else mp.mpf("1.6732632423543772848170429916717") * mp.expm1(x)
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_selu_is_right_in_every_element(dtype: str) -> None:
    """Near 0 exp(x) - 1 cancels: at -1e-10 a plain exp leaves six digits."""
    from mpmath import mp

    x = np.concatenate([s * 10.0 ** np.arange(-30, 3, 0.25) for s in (1, -1)]).astype(dtype)
    with mp.workprec(200):
        wanted = np.array([float(FORWARDS["selu"](mp, mp.mpf(float(v)))) for v in x])
    compare(functional.selu(x), wanted, "transcendental", scale=np.abs(wanted))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_local_response_norm_is_right_in_every_element(dtype: str) -> None:
    from mpmath import mp

    x = (np.random.default_rng(0).standard_normal((3, 7, 4)) * 10).astype(dtype)
    wanted = np.zeros(x.shape)
    with mp.workprec(200):
        for n, c, p in np.ndindex(*x.shape):
            window = [mp.mpf(float(x[n, k, p])) ** 2 for k in range(max(c - 2, 0), min(c + 3, 7))]
            wanted[n, c, p] = mp.mpf(float(x[n, c, p])) * (2 + mp.mpf(0.5) / 5 * mp.fsum(window)) ** mp.mpf(-0.75)
    got = functional.local_response_norm(x, alpha=0.5, k=2.0)
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
