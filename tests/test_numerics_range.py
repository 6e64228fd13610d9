"""The numbered cases about no spread, little range and few digits. What torch does is in `elsewhere.md`."""

from __future__ import annotations

import numpy as np
import pytest

import hard_inputs as hard
import normlab as nl
from accurate import METHODS, in_rows, row_sets, rows_of, shape_with, truth_of
from comparing import compare, same_bytes
from grid import layouts
from long_references import long_reference
from normlab import functional
from normlab import numpy as face
from normlab.definition import Definition
from normlab.errors import ShapeError
from references import reference


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
    for scale, dtype in (
        (1e20, "float32"),
        (1e-30, "float32"),
        (2.0**600, "float64"),
        (2.0**-600, "float64"),
        (2.0**1000, "float64"),
    ):
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
