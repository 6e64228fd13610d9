"""The MLX face reaches the accuracy that the formula promises, where `mx.fast` and `mlx.nn` do not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import hard_inputs as hard
import normlab as nl
from accurate import LENGTHS, METHODS, row_sets, rows_of, shape_with, truth_of
from comparing import TOLERANCE, compare, error
from grid import Case, cases
from long_references import long_reference
from normlab.definition import Definition
from normlab.functional import function
from normlab.mlx import build
from normlab.mlx.reducing import CHAIN, LANES, largest, mean, smallest, total

RATIOS = {"float32": [0, 1e2, 1e4, 1e6], "float64": [0, 1e6, 1e12]}
GOAL = 2  # units of eps times the largest of the set, in float32 (numerics.md)


def there_and_back(d: Definition, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dtype = getattr(mx, x.dtype.name)
    with mx.stream(mx.cpu):
        arrays = mx.array(x, dtype=dtype), mx.array(dy, dtype=dtype)
        y, dx = mx.vjp(lambda a: function(d)(a), [arrays[0]], [arrays[1]])
        return np.array(y[0]), np.array(dx[0])


@pytest.mark.parametrize("dtype", RATIOS)
@pytest.mark.parametrize("d", METHODS, ids=lambda d: d.name)
def test_errors_are_within_the_goal_however_far_the_mean(d: Definition, dtype: str) -> None:
    for ratio in RATIOS[dtype]:
        for length in LENGTHS:
            random = np.random.default_rng(length)
            shape = shape_with(d, d.layout, length)
            x = (random.standard_normal(shape) + ratio).astype(dtype)
            dy = random.standard_normal(shape).astype(dtype)
            rows = rows_of(d, d.layout, shape)
            truth = truth_of(d, x, rows, dy)
            y, dx = there_and_back(d, x, dy)
            who = f"{d.name}, {dtype}, mean {ratio:g} spreads away, sets of {rows.shape[1]}"
            compare(y.ravel()[rows], truth.z, "forward", who, sets=row_sets(rows))
            assert truth.dx is not None
            compare(dx.ravel()[rows], truth.dx, "gradient", who, sets=row_sets(rows))


def hard_rows() -> dict[str, np.ndarray]:
    """The numbered cases as rows, each a set: what `mx.fast` is tried on too."""
    tiny, huge = hard.tiny_and_huge()[::-1]
    found = {
        "1: randn + 2000": hard.batch_far_from_zero().T,
        "2: 32,768 elements, 0.01 randn + 100": hard.narrow_rows(4),
        "4: sixteen values about 1449": hard.fourteen_hundred(),
        "5: randn + 1e6": hard.ratio(1e6, (8, 1000)),
        "10: constant rows of 1000.1": hard.constant_rows(1000.1),
        "16: randn of 1e20": huge,
        "16: randn of 1e-30": tiny,
        "ordinary": hard.ratio(0, (8, 1000)),
    }
    return {name: np.ascontiguousarray(x) for name, x in found.items()}


def units(y: Any, x: np.ndarray, **how: Any) -> float:
    """The worst error over the rows of x; a row without spread that is not 0 has no unit, so its size is given."""
    truth = long_reference(x, eps=1e-5, **how).z
    y = np.array(y)
    if not np.any(truth.high):
        return float(np.abs(y).max()) and np.inf
    return float(error(y, truth, row_sets(x)).max())


@pytest.mark.parametrize("case", hard_rows())
@pytest.mark.parametrize("d", [d for d in METHODS if d.layout.endswith(" c")], ids=lambda d: d.name)
def test_hard_rows(d: Definition, case: str) -> None:
    x = hard_rows()[case]
    how = {"centre": d.centre, "spread": d.spread}
    assert units(function(d)(mx.array(x)), x, **how) <= GOAL


@pytest.mark.parametrize(
    ("fast", "how", "fails"),
    [
        (mx.fast.layer_norm, {"centre": True, "spread": "std"}, ["1: randn + 2000", "5: randn + 1e6", "10: constant rows of 1000.1", "16: randn of 1e20"]),
        (mx.fast.rms_norm, {"centre": False, "spread": "rms"}, ["2: 32,768 elements, 0.01 randn + 100", "16: randn of 1e20"]),
    ],
    ids=["layer_norm", "rms_norm"],
)  # fmt: skip
def test_why_mx_fast_is_not_used(fast: Callable[..., mx.array], how: dict[str, Any], fails: list[str]) -> None:
    """When this fails, MLX's fused operations have become right, and the face may take them."""
    affine = [None, None] if how["centre"] else [None]
    wrong = {n for n, x in hard_rows().items() if not units(fast(mx.array(x), *affine, 1e-5), x, **how) <= GOAL}
    assert wrong >= set(fails)


def test_a_row_of_nan_stays_alone() -> None:
    x = np.random.default_rng(0).standard_normal((6, 37)).astype(np.float32)
    clean = np.array(nl.functional.layer_norm(mx.array(x)))
    x[2, 5], x[4, 0] = np.nan, np.inf
    y, dx = (np.array(a[0]) for a in mx.vjp(nl.functional.layer_norm, [mx.array(x)], [mx.ones(x.shape)]))
    strange = np.isnan(y).any(axis=1)
    assert list(np.flatnonzero(strange)) == [2, 4] and list(np.flatnonzero(np.isnan(dx).any(axis=1))) == [2, 4]
    assert np.array_equal(y[~strange], clean[~strange])  # and not a byte of the others changed


@pytest.mark.parametrize("value", [0.0, 1000.1, -3.0e38])
@pytest.mark.parametrize("eps", [1e-5, 0.0])
@pytest.mark.parametrize("d", [d for d in METHODS if d.centre], ids=lambda d: d.name)
def test_a_constant_set_gives_the_bias_and_no_gradient(d: Definition, eps: float, value: float) -> None:
    x = mx.full((4, 8) if d.layout.endswith(" c") else (4, 8, 6), value)
    bias = mx.arange(8) + 0.5
    y, dx = mx.vjp(lambda a: function(d)(a, None, bias, eps=eps), [x], [mx.ones(x.shape)])
    shape = (8,) if d.layout.endswith(" c") else (8, 1)
    assert np.array_equal(y[0], np.broadcast_to(np.array(bias).reshape(shape), x.shape))
    assert np.array_equal(dx[0], np.zeros(x.shape))


@pytest.mark.parametrize("length", [1, CHAIN, CHAIN + 1, 97, 131, LANES * CHAIN, LANES * CHAIN + 1, 4099, 10_007])
@pytest.mark.parametrize("axes", [(-1,), (0,), (0, 2), None])
def test_sums_in_stages_are_sums(length: int, axes: tuple[int, ...] | None) -> None:
    """Below, at and past the lengths at which a stage begins; primes, which no stage divides; kept axes on each side."""
    shape = {(-1,): (3, length), (0,): (length, 3), (0, 2): (3, 2, length), None: (2, length)}[axes]
    x = np.random.default_rng(length).random(shape).astype(np.float32) + 1
    a, exact = mx.array(x), x.astype(np.float64)
    for keepdims in (False, True):
        whole = exact.sum(axis=axes, keepdims=keepdims)
        # Sums of at most CHAIN numbers of one sign, four stages deep at most.
        compare(np.array(total(a, axes, keepdims)), whole, "parameter gradient", scale=whole)
        compare(np.array(mean(a, axes, keepdims)), exact.mean(axis=axes, keepdims=keepdims), "parameter gradient")
        assert np.array_equal(largest(a, axes, keepdims), x.max(axis=axes, keepdims=keepdims))
        assert np.array_equal(smallest(a, axes, keepdims), x.min(axis=axes, keepdims=keepdims))
    assert total(a, ()) is a


def test_a_sum_over_a_long_column_does_not_drift() -> None:
    """MLX's own gradient of a bias adds rows one by one; 100,003 of them are off by far more than a unit."""
    g = np.random.default_rng(0).random((100_003, 4)).astype(np.float32)
    exact = g.astype(np.float64).sum(axis=0)
    layer = nl.mlx.LayerNorm(4)

    def through(bias: mx.array) -> mx.array:
        layer.bias = bias
        return layer(mx.array(g))

    ours = np.array(mx.vjp(through, [mx.zeros(4)], [mx.array(g)])[1][0])
    theirs = np.array(mx.vjp(lambda b: mx.zeros(g.shape) + b, [mx.zeros(4)], [mx.array(g)])[1][0])
    compare(ours, exact, "parameter gradient")
    assert error(theirs, exact).max() > 4


def as_numpy(case: Case, layer: Any, array: Any) -> Any:
    """A layer of the NumPy face with the same parameters and state, as rounded."""
    twin = case.layer()
    twin.params.update({n: array(layer[n]) for n in twin.params})
    twin.state.update({n: array(layer[n]) for n in twin.state if n != "num_batches_tracked"})
    return twin


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_case_agrees_with_numpy_in_float64(dtype: str) -> None:
    """All methods, layouts, ranks and options of the registry, there and back, in training and evaluation."""
    kind = getattr(mx, dtype)
    # Of the largest of all sets; half precision is rounded once, at the end.
    eps, limit = {"float32": (2.0**-23, TOLERANCE["gradient"].units), "bfloat16": (2.0**-7, TOLERANCE["half"].units)}[dtype]
    met = set()
    with mx.stream(mx.cpu):

        def array(a: mx.array) -> np.ndarray:
            return np.array(a.astype(mx.float64))

        for training in (True, False):
            for case in cases(training=training):
                d = case.definition
                if d.role == "dropout" and training and case.options != {"p": 1}:
                    continue  # other random numbers
                source = case.layer()
                layer = build(
                    d, case.channels, options=dict(source.options), layout=case.layout, affine=case.affine != "plain",
                )  # fmt: skip
                for n, a in {**source.params, **source.state}.items():
                    layer[n] = mx.array(np.asarray(a), dtype=layer[n].dtype)
                layer.train(training)
                twin = as_numpy(case, layer, array)
                x, dy = (mx.array(a, dtype=kind) for a in (case.x(), case.dy()))
                inputs = {n: mx.array(a, dtype=kind) for n, a in case.inputs().items()}
                started = {n: layer[n] for n in source.state}

                def run(x: mx.array, layer: Any = layer, started: Any = started, inputs: Any = inputs) -> mx.array:
                    for n, a in started.items():
                        layer[n] = a
                    return layer(x, **inputs)

                y, dx = (a[0] for a in mx.vjp(run, [x], [dy]))
                wanted = twin(array(x), **{n: array(a) for n, a in inputs.items()})
                assert y.dtype == dx.dtype == kind and y.shape == x.shape
                for what, got, true in (("forward", y, wanted), ("gradient", dx, twin.backward(array(dy)))):
                    off = np.abs(array(got) - true).max() / (eps * max(np.abs(true).max(), 1e-30))
                    assert off <= limit, f"{case}, {what}: {off:.3g} units"
                met.add(d.name)
    assert met == {d.name for d in {c.definition for c in cases()}}


TWINS = [(d, k) for d in {c.definition.name: c.definition for c in cases()}.values() for k in d.known_as if k.name.startswith("mlx.nn.")]
THEIRS = {"dims": 12, "num_features": 12, "pytorch_compatible": True, "num_groups": 3, "affine": True}


@pytest.mark.parametrize(("d", "known"), TWINS, ids=[k.name for _, k in TWINS])
def test_mlx_s_own_layer_does_the_same(d: Definition, known: Any) -> None:
    """With the options that `known_as` translates, three steps of training and evaluation."""
    theirs_class = getattr(nn, known.name.rpartition(".")[2])
    takes = inspect.signature(theirs_class).parameters
    assert set(known.options) <= set(takes)
    translated = {ours: THEIRS[name] for name, ours in known.options.items() if name in THEIRS}
    theirs = theirs_class(**{n: v for n, v in THEIRS.items() if n in takes})
    layout = {"layout": "n ... c"} if d.layout == "n c ..." else {}
    channels = 12 if d.params else None
    ours = build(d, channels, options={n: v for n, v in translated.items() if n != "affine"}, **layout)
    random = np.random.default_rng(0)
    for name in (n for n in ("weight", "bias") if n in theirs):
        ours[name] = theirs[name] = mx.array(random.standard_normal(12).astype(np.float32))
    for step in range(3):
        x = mx.array(random.standard_normal((4, 5, 12)).astype(np.float32) + step)
        dy = mx.array(random.standard_normal((4, 5, 12)).astype(np.float32))
        (y,), (dx,) = mx.vjp(ours, [x], [dy])
        (wanted,), (dwanted,) = mx.vjp(theirs, [x], [dy])
        compare(np.array(y), np.array(wanted), "torch", known.name)
        compare(np.array(dx), np.array(dwanted), "torch gradient", known.name)
    for name in (n for n in ("running_mean", "running_var") if n in theirs):
        compare(np.array(ours[name]), np.array(theirs[name]), "torch", name)
    compare(np.array(ours.eval()(x)), np.array(theirs.eval()(x)), "torch", known.name)


def test_every_twin_was_met() -> None:
    assert {k.name for _, k in TWINS} == {f"mlx.nn.{n}" for n in ("BatchNorm", "LayerNorm", "InstanceNorm", "GroupNorm", "RMSNorm", "SELU")}
