"""The JAX face in float32: as accurate as promised under the compiler, far from zero, over long sets, at the range's ends."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hard_inputs as hard
import normlab as nl
from accurate import METHODS, in_rows, row_sets, rows_of, shape_with, truth_of
from comparing import compare, same_bytes
from long_references import long_reference
from normlab.definition import Definition
from normlab.jax import build

ids = {"ids": lambda value: getattr(value, "name", str(value))}


def there_and_back(d: Definition, x: np.ndarray, dy: np.ndarray, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """y and dx of a layer without weights, jitted."""
    channels = x.shape[d.layout.split().index("o")] if d.role == "weight" else None
    layer = build(d, channels, affine=False, options={"running": False} if d.has_running else {}, **settings)
    params, state = layer.init(0)

    @jax.jit
    def both(x: Any, dy: Any) -> Any:
        y, pull = jax.vjp(lambda x: layer(params, state, x)[0], x)
        return y, pull(dy)[0]

    return tuple(map(np.asarray, both(x, dy)))  # type: ignore[return-value]


@pytest.mark.parametrize("ratio", [0, 1e6, *(pytest.param(r, marks=pytest.mark.slow) for r in (1, 1e2, 1e4))])
@pytest.mark.parametrize("d", METHODS, **ids)
def test_the_goals_of_accuracy_are_met(d: Definition, ratio: float) -> None:
    """The goals of the other faces, forward and backward. 129: beside a vector's multiple; 4099: a prime, past a long block."""
    for length in (129, 4099):
        shape = shape_with(d, d.layout, length)
        x = hard.ratio(ratio, shape)
        dy = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
        y, dx = there_and_back(d, x, dy)
        rows = rows_of(d, d.layout, shape)
        truth = truth_of(d, x, rows, dy)
        assert truth.dx is not None
        compare(y.ravel()[rows], truth.z, "forward", d.name, sets=row_sets(rows))
        compare(dx.ravel()[rows], truth.dx, "gradient", d.name, sets=row_sets(rows))


@pytest.mark.parametrize("x", [hard.batch_far_from_zero().T, hard.narrow_rows(16), *hard.far("float32"), hard.fourteen_hundred()], ids=["1", "2", "3", "3 too", "4"])
def test_the_cases_of_large_means(x: np.ndarray) -> None:
    x = np.ascontiguousarray(x)
    in_rows(x, np.asarray(nl.functional.layer_norm(jnp.asarray(x))), eps=1e-5)
    in_rows(x, np.asarray(nl.functional.batch_norm(jnp.asarray(x.T))).T, eps=1e-5)


@pytest.mark.slow
def test_a_set_of_38_million_elements() -> None:
    """Case 8: sums in float32, one by one, would stop at 16.7 million. Float64 is truth enough: 1e-9 of a unit off."""
    x = np.random.default_rng(8).random((1, 256 * 256 * 72 * 8), dtype=np.float32)
    d = x - x.mean(dtype=np.float64)
    y = np.asarray(nl.functional.layer_norm(jnp.asarray(x)))
    compare(y, d / np.sqrt(np.mean(d * d) + 1e-5), "forward")


@pytest.mark.parametrize("x", hard.tiny_and_huge(), ids=["near 1e20", "near 1e-30"])
def test_squares_that_leave_the_range(x: np.ndarray) -> None:
    """Case 16. With eps 1e-30 the tiny ones are beside eps, whose unit's square would leave the range too."""
    for eps in (0.0, 1e-30, 1e-5):
        y = np.asarray(nl.functional.layer_norm(jnp.asarray(x), eps=eps))
        in_rows(x, y, eps=eps)
        r = np.asarray(nl.functional.rms_norm(jnp.asarray(x), eps=eps))
        in_rows(x, r, eps=eps, centre=False, spread="rms")


@pytest.mark.parametrize("size", [1e-18, 1e-15, 1e15, 1e17])
def test_running_statistics_come_back_out_of_their_units(size: float) -> None:
    """XLA makes a / b / b into a / (b * b), and the square of a unit of 2**-88 is 0 in float32."""
    x = (size * (np.random.default_rng(0).standard_normal((50, 4)) + 1)).astype(np.float32)
    zero = jnp.zeros(4)
    _, mean, var = nl.functional.batch_norm(jnp.asarray(x), running_mean=zero, running_var=zero, momentum=1.0, eps=0.0)
    compare(np.asarray(mean), x.mean(0, dtype=np.float64), "running")
    compare(np.asarray(var), x.var(0, ddof=1, dtype=np.float64), "running")


@pytest.mark.parametrize("count", [24, 1000, 100_003])
@pytest.mark.parametrize("value", [0.0, 1000.1, -7e-20, 65504.0, 3.3e7, 1e30])
def test_a_constant_set_gives_exactly_the_bias(value: float, count: int) -> None:
    """Case 10. XLA divides by multiplying with a rounded reciprocal: the mean of 100,003 times 1000.1 is not 1000.1."""
    x, bias = jnp.full((2, count), value, jnp.float32), jnp.linspace(-1, 1, count, dtype=jnp.float32)
    for eps in (0.0, 1e-12, 1e-5):
        y = nl.functional.layer_norm(x, bias, bias, eps=eps)
        same_bytes(np.asarray(y), np.asarray(jnp.broadcast_to(bias, x.shape)), f"eps {eps}")


def test_a_constant_set_has_the_gradient_of_the_formula() -> None:
    """That it is known to be constant changes no slope: dx = (g - mean g) / sqrt(eps), and 0 with eps 0."""
    d, x = nl.method("layer_norm"), np.full((3, 7), 1000.1, np.float32)
    dy = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    wanted = (dy - dy.mean(1, dtype=np.float64, keepdims=True)) / np.sqrt(1e-5)
    compare(there_and_back(d, x, dy, eps=1e-5)[1], wanted, "gradient", sets=row_sets(x))
    assert not np.any(there_and_back(d, x, dy, eps=0.0)[1])


def test_what_is_not_finite_stays_in_its_set() -> None:
    """Case 31, forward and backward."""
    x = np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32)
    dy = np.random.default_rng(1).standard_normal((6, 16)).astype(np.float32)
    clean = there_and_back(nl.method("layer_norm"), x, dy)
    x[[1, 3, 4], 5] = np.nan, np.inf, -np.inf
    for found, whole in zip(there_and_back(nl.method("layer_norm"), x, dy), clean, strict=True):
        same_bytes(found[[0, 2, 5]], whole[[0, 2, 5]])
        assert np.isnan(found[[1, 3, 4]]).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened_before_anything_is_squared(dtype: str) -> None:
    """Cases 13 to 15: computed in float32 and rounded once, so within one unit of the truth for the input as it is."""
    x = jnp.asarray(hard.half_large()).astype(dtype)
    weight = jnp.full(x.shape[1], 65504.0, dtype)
    wide = np.asarray(x.astype(jnp.float32))
    y = nl.functional.layer_norm(x)
    assert y.dtype == x.dtype
    compare(np.asarray(y), long_reference(wide).z, "half", sets=row_sets(wide))
    assert np.isfinite(np.asarray(nl.functional.layer_norm(x / 64, weight / 8).astype(jnp.float32))).all()
    zero = nl.functional.rms_norm(jnp.zeros((2, 8), dtype), eps=1e-12)
    assert not np.any(np.asarray(zero.astype(jnp.float32)))


def test_float64_is_right_where_the_mean_is_1e12_spreads_away() -> None:
    """Cases 6 and 7."""
    with jax.enable_x64(True):
        for x in (hard.million_near_1e12(), hard.ratio(1e15, (4, 999), "float64")):
            in_rows(x, np.asarray(nl.functional.layer_norm(jnp.asarray(x))))
