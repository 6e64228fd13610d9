"""Accuracy against references of 106 bits and more, the numbered cases, and bytes that do not depend on company.

What torch does with the same inputs is in `elsewhere.md`, which `elsewhere.py` writes.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hard_inputs as hard
import numpy as np
import pytest
from comparing import TOLERANCE, Exact, compare, error, same_bytes
from grid import acting, layouts, made_of_statistics
from long_references import Long, long_reference
from references import reference
from threadpoolctl import threadpool_limits

import normlab as nl
from normlab import functional
from normlab import numpy as face
from normlab.definition import Definition
from normlab.errors import ShapeError

METHODS = made_of_statistics()
RATIOS = {"float32": [0, 1, 1e2, 1e4, 1e6], "float64": [0, 1, 1e2, 1e4, 1e6, 1e9, 1e12]}
# The elements of a set: a prime, one beside a vector's multiple, one above NumPy's block of 128, one past a long block.
LENGTHS = [37, 129, 1000, 4099]


def rows_of(d: Definition, layout: str, shape: tuple[int, ...], options: dict[str, Any] | None = None) -> np.ndarray:
    """(sets, elements) indices into the flat array, by the numbers that `shares` gives (tested by counting)."""
    filled = d.validate(options or {})
    line = d.lines(filled)[""].arrange(layout)
    channels = shape[layout.split().index("c") if layout.endswith("...") else -1] if "c" in layout else shape[0]
    numbers = nl.shares(line, shape, **d.factor_sizes(filled, channels)).ravel()
    return np.argsort(numbers, kind="stable").reshape(int(numbers.max()) + 1, -1)


def truth_of(d: Definition, x: np.ndarray, rows: np.ndarray, dy: np.ndarray | None = None, eps: float | None = None) -> Long:
    g = None if dy is None else dy.ravel()[rows]
    return long_reference(
        x.ravel()[rows], g, centre=d.centre, spread=d.spread or "std", eps_rule=d.eps_rule,
        eps=(d.eps or 0.0) if eps is None else eps,
    )  # fmt: skip


def row_sets(a: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.arange(len(a))[:, None], a.shape)


def shape_with(d: Definition, layout: str, length: int) -> tuple[int, ...]:
    """A shape in which a set has about `length` elements, and a few sets."""
    pooled = d.lines(d.validate({}))[""].arrange(layout).pooled
    sizes = {"n": 3, "c": 6, "o": 3, "i": 5, "...": 5}
    inside = [n for n in layout.split() if n in pooled or (n == "c" and "c" in pooled)]
    long = inside[-1] if inside else "c"
    if long == "c" and "g" in d.lines(d.validate({}))[""].names:
        long = "..."
    sizes[long] = length
    return tuple(sizes[n] for n in layout.split())


ACCURACY = [
    (d, layout, dtype, ratio)
    for d in METHODS for layout in [lay for lay in layouts(d) if lay != "... c" or d.layout == lay]
    for dtype in RATIOS for ratio in RATIOS[dtype]
]  # fmt: skip


@pytest.mark.parametrize(("d", "layout", "dtype", "ratio"), ACCURACY, ids=lambda v: getattr(v, "name", str(v).replace(" ", "_")))
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


# The numbered cases


def in_rows(x: np.ndarray, y: np.ndarray, row: str = "forward", **how: Any) -> None:
    """Every row of x and y is one set."""
    compare(y, long_reference(x, **how).z, row, sets=row_sets(x))


def test_case_1_a_small_batch_far_from_zero() -> None:
    """randn(5, 4) + 2000: torch 1.7 gave variances up to 48425 (pytorch#51102)."""
    x = hard.batch_far_from_zero()
    layer = face.BatchNorm(4, dtype="float32", momentum=1.0)
    y = layer(x)
    truth = long_reference(np.ascontiguousarray(x.T))
    compare(np.ascontiguousarray(y.T), truth.z, "forward", sets=row_sets(x.T))
    compare(layer.state["running_var"][:, None] * np.float32(0.8), truth.var, "running")


@pytest.mark.parametrize("rows", [8, pytest.param(1024, marks=pytest.mark.slow)])
def test_case_2_long_rows_with_little_spread(rows: int) -> None:
    """(1024, 32768), 0.01 randn + 100: elsewhere the variance came out 0 instead of 1e-4 (pytorch#40302)."""
    x = hard.narrow_rows(rows)
    y = functional.layer_norm(x)
    for first in range(0, rows, 64):
        in_rows(x[first : first + 64], y[first : first + 64])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_case_3_a_spread_far_below_the_mean(dtype: str) -> None:
    """1e6 with spread 1e-3, 1e7 with 1e-2: one pass in float32 gives NaN or 100 % error (onnxruntime#31973)."""
    for x in hard.far(dtype):
        in_rows(x, functional.layer_norm(x))
        if dtype == "float64":
            in_rows(x, functional.layer_norm(x, eps=0.0), eps=0.0)


def test_case_4_sixteen_values_about_1449() -> None:
    """MLX on a GPU gave rows of NaN (mlx#2238)."""
    x = hard.fourteen_hundred()
    in_rows(x, functional.layer_norm(x))


def test_case_5_a_million_spreads_from_zero() -> None:
    """x + 1e6: Flax's default variance blows up by its own test's comment."""
    for d in METHODS:
        shape = shape_with(d, layouts(d)[0], 500)
        x = hard.ratio(1e6, shape)
        rows = rows_of(d, layouts(d)[0], shape)
        channels = shape[layouts(d)[0].split().index("c" if "c" in layouts(d)[0] else "o")]
        y = face.build(d, channels, layout=layouts(d)[0], affine=False)(x)
        compare(y.ravel()[rows], truth_of(d, x, rows).z, "forward", d.name, sets=row_sets(rows))


def test_case_6_a_million_values_near_1e12() -> None:
    """1e12 + U(0, 1), float64: Welford's running update is off by 2.5e-4."""
    x = hard.million_near_1e12()
    dy = np.random.default_rng(0).standard_normal(x.shape)
    layer = face.LayerNorm(x.shape[1])
    y = layer(x)
    truth = long_reference(x, dy)
    assert truth.dx is not None
    compare(y, truth.z, "forward")
    compare(layer.backward(dy), truth.dx, "gradient")


def test_case_7_a_running_mean_near_1e15() -> None:
    """Mean 1e15, spread 1: a mean that is moved by small steps freezes, for a step below half an ulp (1/16) is lost.

    The normalization itself is exact to the goal. A running mean can be no better than its dtype and its momentum: it
    stops where momentum times the distance is under half an ulp, which is stated here as its bound.
    """
    x = hard.ratio(1e15, (400, 3), "float64")
    layer = face.BatchNorm(3, momentum=0.1)
    y = layer(x)
    truth = long_reference(np.ascontiguousarray(x.T))
    compare(np.ascontiguousarray(y.T), truth.z, "forward", sets=row_sets(x.T))
    for _ in range(400):
        layer(x)
    ulp = np.spacing(1e15)
    assert np.all(np.abs(layer.state["running_mean"] - truth.mean.high.ravel()) <= ulp / 2 / 0.1 + ulp)


@pytest.mark.slow
def test_case_8_a_group_of_38_million() -> None:
    """U[0, 1), 256 * 256 * 72 * 8 values in one group: serial float32 sums drift (pytorch#54293)."""
    x = np.random.default_rng(8).random((1, 8, 256, 256, 72), np.float32)
    y = functional.group_norm(x, groups=1)
    in_rows(x.reshape(1, -1), y.reshape(1, -1))


def test_case_9_group_norm_does_not_depend_on_the_memory_layout() -> None:
    """Channels last, mean far above spread: torch gives two answers for two layouts, 13,863 units off at 1e2."""
    x = hard.channels_last_far()
    y = functional.group_norm(x, groups=4)
    rows = rows_of(nl.method("group_norm"), "n c ...", x.shape, {"groups": 4})
    compare(y.ravel()[rows], long_reference(x.ravel()[rows]).z, "forward", sets=row_sets(rows))
    same_bytes(np.ascontiguousarray(y), functional.group_norm(np.ascontiguousarray(x), groups=4))
    moved = np.moveaxis(x, 1, -1)
    same_bytes(np.ascontiguousarray(np.moveaxis(functional.group_norm(moved, groups=4, layout="n ... c"), -1, 1)),
               np.ascontiguousarray(y))  # fmt: skip


@pytest.mark.parametrize("value", [0.0, 1000.1, -7e-20, 65504.0])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_case_10_a_constant_set_gives_the_bias_and_a_set_of_one_is_refused(value: float, dtype: str) -> None:
    """Elsewhere the mean's rounding comes out times 1/sqrt(eps) (pytorch#94288; 7e-3 in torch's batch norm)."""
    x = hard.constant_rows(value, dtype)
    bias = np.linspace(-1, 1, 24).astype(dtype)
    for eps in (0.0, 1e-12, 1e-5):
        for y in (
            functional.batch_norm(x, bias, bias, eps=eps),
            functional.layer_norm(x, bias, bias, eps=eps),
            functional.whole_norm(x, bias, bias, eps=eps),
            functional.group_norm(x, bias, bias, eps=eps, groups=3),
        ):
            same_bytes(y, np.ascontiguousarray(np.broadcast_to(bias, x.shape)))
    with pytest.raises(ShapeError, match=r"group_norm: x of shape \(7, 27\) has 1 element in each set"):
        face.GroupNorm(27, groups=27)(np.ones((7, 27), dtype))


@pytest.mark.parametrize("spread", [1e-8, 1e-160, 0.0])
def test_case_11_eps_outside_the_root(spread: float) -> None:
    """At spread 1e-8 the gradient of the root alone is divided by about 0: NaN (Flux.jl#2421)."""
    base = nl.method("layer_norm")
    fields = {n: v for n, v in vars(base).items() if n in Definition.__dataclass_fields__}
    for eps in (1e-5, 1e-12, 0.0):
        d = Definition(**{**fields, "eps_rule": "outside", "eps": eps})
        x = spread * np.random.default_rng(0).standard_normal((3, 40))
        dy = np.random.default_rng(1).standard_normal(x.shape)
        layer = face.build(d, 40, affine=False)
        truth = reference(d, x)
        compare(layer(x), truth.y, "forward", sets=truth.sets.reshape(x.shape))
        wanted, *_, scale = truth.gradients(dy)
        compare(layer.backward(dy), wanted, "gradient", scale=scale)
        plain = nl.normalize(x, "n [c]", eps=eps, eps_rule="outside")
        same_bytes(plain, layer(x))


def test_case_12_a_variance_is_never_negative() -> None:
    """E[x^2] - E[x]^2 can come out below 0, and its root is NaN in training (equinox#314).

    Here it is a mean of squares. A running variance that came from elsewhere, slightly negative, is under the root
    together with eps.
    """
    for value in (1 / 3, 1e6 + 0.1, 1e15):
        x = np.full((3, 1000), value, np.float32)
        layer = face.BatchNorm(1000, momentum=1.0)
        y = layer(x)
        assert np.all(layer.state["running_var"] >= 0) and not np.any(y)
    y = functional.batch_norm(np.ones((2, 3)), running_mean=np.ones(3), running_var=np.full(3, -1e-9), training=False)
    assert np.array_equal(y, np.zeros((2, 3)))


def test_case_13_a_tiny_eps_and_a_zero_vector_in_half_precision() -> None:
    """eps 1e-12 is 0 in float16, so that a zero vector is 0/0 (diffusers#13316)."""
    x = np.zeros((2, 8), np.float16)
    x[1] = np.arange(8)
    for d in METHODS:
        if d.layout == "... c" or d.name == "unit_norm":
            y = face.build(d, 8, eps=1e-12, affine=False)(x)
            assert y.dtype == np.float16 and not np.any(y[0]) and np.all(np.isfinite(y))
    compare(functional.unit_norm(x)[1], np.arange(8) / np.sqrt(140), "half")


def test_case_14_values_whose_squares_leave_half_precision() -> None:
    """float16 values above 256 squared are infinite (onnxruntime#28442, pytorch#66707)."""
    x = hard.half_large()
    for d in METHODS:
        if d.layout == "... c":
            y = face.build(d, 64, affine=False)(x)
            compare(y, truth_of(d, x, np.arange(x.size).reshape(x.shape)).z, "half", d.name, sets=row_sets(x))


def test_case_15_weight_and_input_at_the_end_of_half_precision() -> None:
    """65504 overflows before it is widened: here widening comes first, and the result is cut once at the end."""
    x = np.array([[65504.0, -65504.0, 65504.0, 0.0]], np.float16)
    in_rows(x, functional.layer_norm(x), "half")
    weight = np.full(4, 65504.0, np.float16)
    z = long_reference(x).z.high
    with np.errstate(over="ignore"):
        wanted = (z * 65504.0).astype(np.float16)
    same_bytes(functional.layer_norm(x, weight), wanted)
    small = np.full(4, 2.0**-10, np.float16)
    y = functional.layer_norm(x, small * np.float16(0) + small, weight)
    assert np.all(np.isfinite(y))


@pytest.mark.parametrize("d", METHODS, ids=lambda d: d.name)
def test_case_16_squares_beyond_the_range(d: Definition) -> None:
    """float32 near 1e20 (the square is infinite) and near 1e-30 (it is 0): elsewhere the RMS is 0 or infinite.

    Here float32 is widened; float64 near 1e200 and 1e-200, where the same would happen, is brought into range by a
    power of two.
    """
    layout = layouts(d)[0]
    shape = shape_with(d, layout, 64)
    rows = rows_of(d, layout, shape)
    channels = shape[layout.split().index("c" if "c" in layout else "o")]
    base = np.random.default_rng(16).standard_normal(shape)
    dy = np.random.default_rng(17).standard_normal(shape)
    for scale, dtype in ((1e20, "float32"), (1e-30, "float32"), (2.0**600, "float64"), (2.0**-600, "float64"), (2.0**1000, "float64")):
        x = (base * scale).astype(dtype)
        layer = face.build(d, channels, layout=layout, affine=False, eps=0.0 if d.eps is not None else None)
        y = layer(x)
        truth = truth_of(d, x.astype(np.float64) / scale, rows, dy, eps=0.0)
        assert truth.dx is not None
        compare(y.ravel()[rows], truth.z, "forward", f"{scale}", sets=row_sets(rows))
        if dtype == "float64" and scale < 2.0**900:
            dx = layer.backward(dy).ravel()[rows] * scale
            compare(dx, truth.dx, "gradient", f"{scale}", sets=row_sets(rows))


def test_case_16_the_smallest_differences_are_not_lost_when_squared() -> None:
    """Values about 2**-470 that differ in their last bits: the squares of the differences would be 0."""
    for exponent in (-440, -470, -500, -508, -520, -900):
        x = (1.0 + np.random.default_rng(0).integers(0, 8, (2, 40)) * 2.0**-52) * 2.0**exponent
        y = functional.layer_norm(x, eps=0.0)
        truth = long_reference(x * 2.0**-exponent, eps=0.0)
        compare(y, truth.z, "forward", str(exponent), sets=row_sets(x))


def test_case_17_the_running_variance_is_unbiased_unless_told() -> None:
    """Biased or not; with one value per channel n/(n-1) is infinite (pytorch#1410): here that is a set of one."""
    x = np.random.default_rng(0).standard_normal((4, 3))
    for biased, ddof in ((True, 0), (False, 1)):
        layer = face.BatchNorm(3, momentum=1.0, running_var_biased=biased)
        layer(x)
        compare(layer.state["running_var"], x.var(0, ddof=ddof), "identity")
    layer = face.BatchNorm(3)
    with pytest.raises(ShapeError, match="1 element in each set"):
        layer(x[:1])
    assert np.array_equal(layer.state["running_var"], np.ones(3))


def test_case_18_momentum_is_the_weight_of_the_new_value() -> None:
    """Elsewhere it weighs the old one: off by 1 - m."""
    layer = face.BatchNorm(1, momentum=0.1)
    layer(np.array([[9.0], [11.0]]))
    compare(layer.state["running_mean"], np.array([1.0]), "identity")
    compare(layer.state["running_var"], np.array([0.9 + 0.1 * 2.0]), "identity")


@pytest.mark.parametrize(("channels", "groups"), [(48, 16), (30, 6), (33, 11), (31, 1), (96, 32)])
def test_case_23_groups_whose_size_is_no_power_of_two(channels: int, groups: int) -> None:
    """48 channels in 16 groups: a kernel library's maximum error was 0.594."""
    x = np.random.default_rng(0).standard_normal((3, channels, 5)).astype(np.float32)
    y = functional.group_norm(x, groups=groups)
    rows = x.reshape(3 * groups, -1)
    in_rows(rows, y.reshape(rows.shape))


def test_case_28_instance_norm_with_running_statistics_is_batch_norm_in_evaluation() -> None:
    """Elsewhere the two disagree (pytorch#58843)."""
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    held = {"running_mean": np.arange(4.0), "running_var": np.arange(1.0, 5.0)}
    same_bytes(
        functional.instance_norm(x, **held, training=False), functional.batch_norm(x, **held, training=False)
    )


def test_case_29_the_default_eps_is_the_same_for_every_dtype() -> None:
    """Elsewhere eps=None means finfo(dtype).eps: the same model drifts silently from one dtype to the other."""
    for d in METHODS:
        if d.eps is not None:
            assert {face.build(d, 8, dtype=t).eps for t in ("float16", "float32", "float64")} == {d.eps}
    x = np.array([[3e-3, -4e-3]])
    wanted = x / np.sqrt(1.25e-5 + 1e-5)
    for dtype in ("float16", "float32", "float64"):
        y = functional.rms_norm(x.astype(dtype))
        compare(y.astype(np.float64), wanted, "central differences", dtype, scale=1e3 if dtype == "float16" else 1.0)


def test_case_30_the_cast_comes_after_the_weight() -> None:
    """Gemma, Llama and others differ in half precision by casting before or after the weight; ours is rounded once."""
    x = np.random.default_rng(0).standard_normal((50, 64)).astype(np.float16)
    w = (1 + np.random.default_rng(1).standard_normal(64)).astype(np.float16)
    z = long_reference(x, centre=False, spread="rms").z.high
    after = (z * w.astype(np.float64)).astype(np.float16)
    before = z.astype(np.float16) * w
    y = functional.rms_norm(x, w)
    same_bytes(y, after)
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)
def test_case_31_what_is_not_finite_stays_in_its_row(bad: float) -> None:
    """NaN and infinities in one row; -0.0; subnormals."""
    x = np.random.default_rng(0).standard_normal((5, 33)).astype(np.float32)
    clean = functional.layer_norm(x)
    x[2, 7] = bad
    y = functional.layer_norm(x)
    assert not np.any(np.isfinite(y[2, 7]))
    same_bytes(np.delete(y, 2, 0), np.delete(clean, 2, 0))


def test_case_31_signed_zeros_and_subnormals() -> None:
    """-0.0 is 0, and subnormals are numbers: with eps 0 they are normalized like any others."""
    zero = np.array([[-0.0, 0.0, -0.0, 0.0]])
    for eps in (0.0, 1e-5):
        assert not np.any(functional.layer_norm(zero, eps=eps)) and not np.any(functional.rms_norm(zero, eps=eps))
    counts = np.random.default_rng(0).integers(-50, 50, (3, 40))
    for dtype, tiny in (("float64", 5e-324), ("float32", 1e-45), ("float16", 6e-8)):
        x = (counts * np.array(tiny, dtype)).astype(dtype)
        compare(functional.layer_norm(x, eps=0.0), long_reference(counts.astype(float), eps=0.0).z, "forward" if dtype != "float16" else "half",
                dtype, sets=row_sets(x))  # fmt: skip
        assert not np.any(np.isnan(functional.rms_norm(x)))


@pytest.mark.parametrize("length", [2, 3, 7, 8, 9, 31, 32, 33, 127, 128, 129, 255, 256, 257, 1023, 1024, 1025])
def test_case_32_lengths_beside_powers_of_two(length: int) -> None:
    """2^k and one more or less: where blocks and vectors end."""
    x = hard.ratio(10.0, (3, length), "float64")
    in_rows(x, functional.layer_norm(x))
    in_rows(x, functional.rms_norm(x), centre=False, spread="rms")


# Bytes


ROW_WISE = [d for d in acting() if "independent" in d.invariances and d.role == "norm"]
ROW_SHAPE = (100, 16, 9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["n c ...", "n ... c"])
@pytest.mark.parametrize("d", ROW_WISE, ids=lambda d: d.name)
def test_a_rows_bytes_do_not_depend_on_the_rows_beside_it(d: Definition, layout: str, dtype: str) -> None:
    """n = 1 against n = 100, in C and F order, forward and back."""
    x = np.random.default_rng(0).standard_normal(ROW_SHAPE).astype(dtype)
    x[3], x[4] = 1e6, np.nan  # company must not matter, however bad
    dy = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
    layer = face.build(d, ROW_SHAPE[layout.split().index("c")] if layout != "n ... c" else 9, layout=layout)
    y = layer(x)
    dx = layer.backward(dy)
    for order in ("C", "F"):
        for rows in (slice(0, 1), slice(57, 58), slice(99, 100), slice(10, 13), slice(0, 100)):
            part, dpart = np.asarray(x[rows], order=order), np.asarray(dy[rows], order=order)
            same_bytes(np.ascontiguousarray(layer(part)), np.ascontiguousarray(y[rows]), f"{order} {rows}")
            same_bytes(np.ascontiguousarray(layer.backward(dpart)), np.ascontiguousarray(dx[rows]), f"{order} {rows}")


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_threads_and_their_number_do_not_change_the_bytes(d: Definition) -> None:
    """Case 34: different sums for one thread and several elsewhere."""
    layout = d.layout
    shape = (40, 64, 30)
    channels = {"... c": 30, "n c ...": 64}.get(layout, 40)
    x = np.random.default_rng(0).standard_normal(shape)
    inputs = {i.name: np.random.default_rng(1).standard_normal((shape[0], 1)) for i in d.inputs if i.where != "function"}
    layer = face.build(d, channels)

    def run(_: int) -> bytes:
        twin = copy.deepcopy(layer)
        y = twin(x, **inputs)
        return y.tobytes() + twin.backward(y).tobytes()

    with threadpool_limits(1, "blas"):
        wanted = run(0)
    with threadpool_limits(2, "blas"):
        assert run(0) == wanted
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(8))) == {wanted}


def test_the_bytes_are_the_same_in_another_process() -> None:
    """From run to run, whatever the hash seed."""
    code = (
        "import hashlib, numpy as np\nfrom normlab import numpy as face, registry\nh = hashlib.sha256()\n"
        "for d in registry.methods():\n"
        "    if d.role != 'input':\n"
        "        x = np.random.default_rng(0).standard_normal((8, 8, 8))\n"
        "        layer = face.build(d, 8)\n"
        "        y = layer(x, **{i.name: x[:, :1, 0] for i in d.inputs if i.where != 'function'})\n"
        "        h.update(y.tobytes() + layer.backward(y).tobytes())\n"
        "print(h.hexdigest())\n"
    )
    found = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1 and len(found.pop()) == 65


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


def test_every_numbered_case_is_a_test_or_has_its_reason() -> None:
    named = "".join(p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("test_*.py"))
    for number in hard.APPLIES:
        assert f"test_case_{number}_" in named or f"Case {number}:" in named or f"Case {number}'" in named or any(
            f"ases {a} and {b}:" in named for a in range(1, 36) for b in range(1, 36) if number in (a, b)
        ), number  # fmt: skip
    assert set(hard.APPLIES) | set(hard.NOT_HERE) == set(range(1, 36))


def test_the_table_of_what_others_do_has_every_case_and_ours_are_right() -> None:
    """Written by `elsewhere.py`; a case that goes wrong here must not be committed with its number beside it."""
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in Path(__file__).with_name("elsewhere.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and line[2].isdigit()
    ]
    assert {int(r[0]) for r in rows} == set(range(1, 36))
    for row in rows:
        refusal = int(row[0]) in (10, 17, 32) and "raises ShapeError" in row[-1]
        said = int(row[0]) in (7, 32) and (row[-1].startswith("gives") or "ulp" in row[-1])
        assert int(row[0]) in hard.NOT_HERE or row[-1].startswith("right") or refusal or said, row
