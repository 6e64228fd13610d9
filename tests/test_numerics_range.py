"""The numbered cases about no spread, little range and few digits. What others make of them is in `elsewhere.md`."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import hard_inputs as hard
import normlab as nl
from accurate import METHODS, in_rows, on_layer, row_sets, rows_of, shape_with, truth_of
from comparing import compare, same_bytes
from faces import DTYPES, Face
from grid import layouts
from long_references import long_reference
from normlab.definition import Definition
from normlab.errors import ShapeError
from references import reference


@pytest.mark.parametrize("value", [0.0, 1000.1, -7e-20, 65504.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_case_10_a_constant_set_gives_the_bias_and_a_set_of_one_is_refused(value: float, dtype: str, every_face: Face) -> None:
    """Elsewhere the mean's rounding comes out times 1/sqrt(eps) (pytorch#94288; 7e-3 in torch's batch norm)."""
    x = np.full((16, 24), value).astype(DTYPES[dtype])
    bias = np.linspace(-1, 1, 24).astype(DTYPES[dtype])
    for eps in (0.0, 1e-12, 1e-5):
        for name in ("batch_norm", "layer_norm", "whole_norm", "group_norm"):
            y = every_face.call(name, x, bias, bias, eps=eps, **({"groups": 3} if name == "group_norm" else {}))
            same_bytes(np.ascontiguousarray(y), np.ascontiguousarray(np.broadcast_to(bias, x.shape)), f"{name}, eps {eps}")
    with pytest.raises(ShapeError, match=r"group_norm: x of shape \(7, 27\) has 1 element in each set"):
        every_face.call("group_norm", np.ones((7, 27), DTYPES[dtype]), groups=27)


@pytest.mark.parametrize("length", [2, 3, 7, 31, 32, 33, 97, 128, 129, 1023, 1024, 1025, 4097])
def test_case_10_a_constant_row_of_any_length_has_no_spread(length: int, every_face: Face) -> None:
    """With eps 0 the least that is left of the mean would come out as 1."""
    values = np.array([1000.1, 0.1, 1e15 + 0.3, 7e-12, -2 / 3])[:, None]
    for dtype in ("float32", "float64"):
        y = every_face.call("layer_norm", np.broadcast_to(values, (5, length)).astype(dtype), eps=0.0)
        assert not np.any(y), dtype


@cache
def outside(eps: float) -> Definition:
    base = nl.method("layer_norm")
    fields = {n: v for n, v in vars(base).items() if n in Definition.__dataclass_fields__}
    return Definition(**{**fields, "eps_rule": "outside", "eps": eps})


@pytest.mark.parametrize("spread", [1e-8, 1e-160, 0.0])
def test_case_11_eps_outside_the_root(spread: float, every_face: Face) -> None:
    """At spread 1e-8 the gradient of the root alone is divided by about 0: NaN (Flux.jl#2421)."""
    for eps in (1e-5, 1e-12, 0.0):
        d = outside(eps)
        x = spread * np.random.default_rng(0).standard_normal((3, 40))
        dy = np.random.default_rng(1).standard_normal(x.shape)
        done, truth = on_layer(every_face, d, x, dy=dy), reference(d, x)
        compare(done.y, truth.y, "forward", sets=truth.sets.reshape(x.shape))
        wanted, *_, scale = truth.gradients(dy)
        assert done.dx is not None
        compare(done.dx, wanted, "gradient", scale=scale)
        same_bytes(every_face.normalize(x, "n [c]", eps=eps, eps_rule="outside"), done.y)


def test_case_12_a_variance_is_never_negative(every_face: Face) -> None:
    """E[x^2] - E[x]^2 can come out below 0, and its root is NaN in training (equinox#314).

    Here it is a mean of squares. A running variance that came from elsewhere, slightly negative, is under the root
    together with eps.
    """
    for value in (1 / 3, 1e6 + 0.1, 1e15):
        done = on_layer(every_face, nl.method("batch_norm"), np.full((3, 1000), value, np.float32), options={"momentum": 1.0})
        assert np.all(done.state["running_var"] >= 0) and not np.any(done.y)
    one, held = np.ones((2, 3), np.float32), {"running_mean": np.ones(3, np.float32), "running_var": np.full(3, -1e-9, np.float32)}
    assert np.array_equal(every_face.call("batch_norm", one, **held, training=False), np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_case_13_a_tiny_eps_and_a_zero_vector_in_half_precision(dtype: str, every_face: Face) -> None:
    """eps 1e-12 is 0 in float16, so that a zero vector is 0/0 (diffusers#13316)."""
    x = np.zeros((2, 8), DTYPES[dtype])
    x[1] = np.arange(8)
    for d in METHODS:
        if d.layout == "... c" or d.name == "unit_norm":
            done = on_layer(every_face, d, x, eps=1e-12, dy=np.ones_like(x))
            assert done.y.dtype == DTYPES[dtype] and not np.any(done.y[0])
            assert np.all(np.isfinite(done.y.astype(float))), d.name
            # Without spread a gradient is as large as 1 / sqrt(eps), beyond float16; it is never NaN.
            assert done.dx is not None and not np.any(np.isnan(done.dx.astype(float))), d.name
    compare(every_face.call("unit_norm", x)[1], np.arange(8) / np.sqrt(140), "half")


def test_case_14_values_whose_squares_leave_half_precision(every_face: Face) -> None:
    """float16 values above 256 squared are infinite (onnxruntime#28442, pytorch#66707)."""
    x = hard.half_large()
    for d in METHODS:
        if d.layout == "... c":
            y = on_layer(every_face, d, x).y
            compare(y, truth_of(d, x, np.arange(x.size).reshape(x.shape)).z, "half", d.name, sets=row_sets(x))


def test_case_15_weight_and_input_at_the_end_of_half_precision(every_face: Face) -> None:
    """65504 overflows before it is widened: here widening comes first, and the result is cut once at the end."""
    x = np.array([[65504.0, -65504.0, 65504.0, 0.0]], np.float16)
    in_rows(x, every_face.call("layer_norm", x), "half")
    z = long_reference(x).z.high
    large = every_face.call("layer_norm", x, np.full(4, 65504.0, np.float16))
    assert np.array_equal(np.isinf(large), np.abs(z) > 1) and not np.any(np.isnan(large))
    compare(large[np.isfinite(large)], (z * 65504.0)[np.abs(z) <= 1], "half")
    y = every_face.call("layer_norm", x, np.full(4, 2.0**-10, np.float16), np.full(4, 65000.0, np.float16))
    assert np.all(np.isfinite(y))


SCALES = [(1e20, "float32"), (1e-30, "float32"), (2.0**600, "float64"), (2.0**-600, "float64"), (2.0**1000, "float64")]


@pytest.mark.parametrize(("scale", "dtype"), SCALES, ids=lambda v: str(v) if isinstance(v, str) else f"{v:.0e}")
@pytest.mark.parametrize("d", METHODS, ids=lambda d: d.name)
def test_case_16_squares_beyond_the_range(d: Definition, scale: float, dtype: str, every_face: Face) -> None:
    """float32 near 1e20 (the square is infinite) and near 1e-30 (it is 0): elsewhere the RMS is 0 or infinite.

    NumPy's float32 is widened; elsewhere, and in float64 near 1e200 and 1e-200, what would leave the range is brought
    into it by a power of two. Gradients are compared where they themselves are in the range.
    """
    layout = layouts(d)[0]
    shape = shape_with(d, layout, 64)
    rows = rows_of(d, layout, shape)
    x = (np.random.default_rng(16).standard_normal(shape) * scale).astype(dtype)
    dy = np.random.default_rng(17).standard_normal(shape).astype(dtype)
    done = on_layer(every_face, d, x, layout, eps=0.0 if d.eps is not None else None, dy=dy)
    truth = truth_of(d, x.astype(np.float64) / scale, rows, dy, eps=0.0)
    assert truth.dx is not None and done.dx is not None
    compare(done.y.ravel()[rows], truth.z, "forward", f"{scale}", sets=row_sets(rows))
    if scale < 2.0**900:
        # In units of scale in float64, so that nothing is rounded once more; then what is counted is float32's eps.
        back = done.dx.ravel()[rows].astype(np.float64) * scale
        largest = np.abs(truth.dx.high).max(1, keepdims=True) * np.finfo(dtype).eps / np.finfo(np.float64).eps
        compare(back, truth.dx, "gradient", f"{scale}", scale=np.broadcast_to(largest, rows.shape))


def test_case_16_the_smallest_differences_are_not_lost_when_squared(every_face: Face) -> None:
    """Values about 2**-470 that differ in their last bits: the squares of the differences would be 0."""
    for exponent in (-440, -470, -500, -508, -520, -900):
        x = (1.0 + np.random.default_rng(0).integers(0, 8, (2, 40)) * 2.0**-52) * 2.0**exponent
        y = every_face.call("layer_norm", x, eps=0.0)
        truth = long_reference(x * 2.0**-exponent, eps=0.0)
        compare(y, truth.z, "forward", str(exponent), sets=row_sets(x))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)
def test_case_31_what_is_not_finite_stays_in_its_row(bad: float, every_face: Face) -> None:
    """NaN and infinities in one row, forward and back."""
    x = np.random.default_rng(0).standard_normal((5, 33)).astype(np.float32)
    dy = np.random.default_rng(1).standard_normal((5, 33)).astype(np.float32)
    for d in METHODS:
        if d.layout == "... c":
            clean = on_layer(every_face, d, x, dy=dy)
            dirty = x.copy()
            dirty[2, 7] = bad
            done = on_layer(every_face, d, dirty, dy=dy)
            assert not np.all(np.isfinite(done.y[2])) and done.dx is not None and clean.dx is not None
            same_bytes(np.delete(done.y, 2, 0), np.delete(clean.y, 2, 0), d.name)
            same_bytes(np.delete(done.dx, 2, 0), np.delete(clean.dx, 2, 0), f"{d.name}, back")


@pytest.mark.parametrize("dtype", DTYPES)
def test_case_31_signed_zeros_and_subnormals(dtype: str, every_face: Face) -> None:
    """-0.0 is 0, and subnormals are numbers: with eps 0 they are normalized like any others.

    JAX on a CPU takes subnormals for 0, by XLA's own switch: then their sets have no spread, and give 0.
    """
    zero = np.array([[-0.0, 0.0, -0.0, 0.0]], DTYPES[dtype])
    for eps in (0.0, 1e-5):
        assert not any(np.any(every_face.call(name, zero, eps=eps)) for name in ("layer_norm", "rms_norm"))
    counts = np.random.default_rng(0).integers(-50, 50, (3, 40))
    tiny = {"float64": 5e-324, "float32": 1e-45, "float16": 6e-8, "bfloat16": 9.2e-41}[dtype]
    x = (counts * np.array(tiny, DTYPES[dtype])).astype(DTYPES[dtype])
    y = every_face.call("layer_norm", x, eps=0.0)
    if every_face.keeps_subnormals(dtype):
        row = "half" if "float16" in dtype else "forward"
        compare(y, long_reference(counts.astype(float), eps=0.0).z, row, dtype, sets=row_sets(x))
    else:
        assert not np.any(y)
    assert not np.any(np.isnan(every_face.call("rms_norm", x).astype(float)))
