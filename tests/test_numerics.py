"""The numbered cases. What torch does with the same inputs is in `elsewhere.md`, which `elsewhere.py` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hard_inputs as hard
import normlab as nl
from accurate import METHODS, row_sets, rows_of, shape_with, truth_of
from comparing import compare, same_bytes
from grid import layouts
from long_references import long_reference
from normlab import functional
from normlab import numpy as face
from normlab.definition import Definition
from normlab.errors import ShapeError
from references import reference

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
    same_bytes(functional.instance_norm(x, **held, training=False), functional.batch_norm(x, **held, training=False))


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
