"""Properties that hold for every input, each with its bound, drawn by Hypothesis.

Inputs are whole numbers over 1024, so that shifting and scaling them is exact and only the layer's own rounding is
compared: two results that are each right to 2 units differ by at most 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import normlab as nl
from comparing import compare, same_bytes
from grid import acting
from normlab import functional
from normlab import numpy as face
from normlab.definition import Definition
from normlab.pattern import parse

few = settings(derandomize=True, deadline=None, max_examples=25)
SHAPE = st.tuples(st.integers(2, 4), st.sampled_from([2, 4, 6]), st.integers(2, 5))
WHOLE = st.integers(-(2**20), 2**20)


@st.composite
def samples(draw: st.DrawFn) -> np.ndarray:
    shape = draw(SHAPE)
    return draw(arrays.arrays(np.int64, shape, elements=WHOLE)).astype(np.float64) / 1024


def claiming(what: str) -> list[Definition]:
    return [d for d in acting() if what in d.invariances]


def layer_for(d: Definition, x: np.ndarray, eps: float | None = None) -> face.Layer:
    layout = "o i ..." if "o" in d.layout.split() else ("..." if d.layout == "..." else "n c ...")
    channels = x.shape[0] if layout == "o i ..." else x.shape[1]
    layer = face.build(d, channels, layout=layout, eps=eps if d.eps is not None else None)
    layer.params = {n: np.linspace(0.5, 2.0, a.size).reshape(a.shape) for n, a in layer.params.items()}
    layer._started = True  # a start from the data would make the layer depend on them
    return layer


def spread(d: Definition, x: np.ndarray, layer: face.Layer) -> np.ndarray:
    """For every element whether its set has any spread (is not constant, or not zero where nothing is centred)."""
    if d.forward is not None:
        return np.ones(x.shape, bool)
    sets = nl.shares(d.lines(layer.options)[""].arrange(layer.layout), x.shape, **d.factor_sizes(layer.options, x.shape[1]))
    low, high = np.full(sets.max() + 1, np.inf), np.full(sets.max() + 1, -np.inf)
    np.minimum.at(low, sets, x)
    np.maximum.at(high, sets, x)
    return ((high - low) if d.centre else np.maximum(high, -low))[sets] > 0


@pytest.mark.parametrize("d", claiming("shift"), ids=lambda d: d.name)
@few
@given(x=samples(), by=st.integers(-(2**30), 2**30))
def test_a_shift_changes_nothing(d: Definition, x: np.ndarray, by: int) -> None:
    layer = layer_for(d, x)
    compare(layer(x + by), layer(x), "identity", d.name, scale=np.abs(layer(x)).max() + 1e-3)


@pytest.mark.parametrize("d", claiming("scale"), ids=lambda d: d.name)
@few
@given(x=samples(), by=st.integers(-40, 40), odd=st.sampled_from([1, 3, 7, 1021]))
def test_a_scale_changes_nothing_where_eps_is_zero(d: Definition, x: np.ndarray, by: int, odd: int) -> None:
    layer = layer_for(d, x, eps=0.0)
    if d.states and not d.has_running:  # an estimate that is iterated: from where the other began
        start = dict(layer.state)
    y = layer(x)
    if d.states and not d.has_running:
        layer.state = start
    scaled = layer(x * odd * 2.0**by)
    if odd == 1 and d.forward is None:
        same_bytes(scaled, y, "a power of two")
    keep = spread(d, x, layer)
    row = "identity" if d.forward is None else "transcendental"
    compare(np.where(keep, scaled, 0), np.where(keep, y, 0), row, d.name, scale=np.abs(y).max() + 1e-3)


@pytest.mark.parametrize("d", claiming("permute"), ids=lambda d: d.name)
@few
@given(x=samples(), seed=st.integers(0, 1000))
def test_the_order_of_the_samples_changes_nothing(d: Definition, x: np.ndarray, seed: int) -> None:
    layer = layer_for(d, x)
    order = np.random.default_rng(seed).permutation(len(x))
    y = layer(x)
    compare(layer(x[order]), y[order], "identity", d.name, scale=np.abs(y).max() + 1e-3)


@pytest.mark.parametrize("d", claiming("independent"), ids=lambda d: d.name)
@few
@given(x=samples(), others=samples())
def test_a_sample_does_not_depend_on_the_others(d: Definition, x: np.ndarray, others: np.ndarray) -> None:
    layer = layer_for(d, x)
    y = layer(x)
    for k in range(len(x)):
        mixed = np.resize(others, x.shape).copy()
        mixed[k] = x[k]
        same_bytes(layer(mixed)[k], y[k], d.name)


@pytest.mark.parametrize("d", [d for d in acting() if d.forward is None and d.role == "norm"], ids=lambda d: d.name)
@few
@given(x=samples())
def test_twice_the_same_elements_are_the_same_statistics(d: Definition, x: np.ndarray) -> None:
    """But for lengths, which grow by the root of 2 with every doubling."""
    layer = layer_for(d, x)
    pooled = d.lines(layer.options)[""].arrange("n c ...").pooled
    axis = 0 if "n" in pooled else (2 if "..." in pooled else 1)
    grown = np.concatenate([x, x], axis) / (np.sqrt(2) if d.spread == "l2" else 1.0)
    y = layer(x)
    if axis == 1:  # as many parameters more
        parameters = {n: np.tile(a, 2) for n, a in layer.params.items()}
        layer = layer_for(d, grown)
        layer.params = parameters
    twice = layer(grown) * (np.sqrt(2) if d.spread == "l2" else 1.0)
    compare(twice, np.concatenate([y, y], axis), "identity", d.name, scale=np.abs(y).max() + 1e-3)


@few
@given(x=samples())
def test_one_group_is_layer_norm_and_a_group_a_channel_is_instance_norm(x: np.ndarray) -> None:
    channels = x.shape[1]
    weight, bias = np.linspace(1, 2, channels), np.linspace(-1, 1, channels)
    given: dict[str, Any] = {"weight": weight, "bias": bias}
    same_bytes(functional.group_norm(x, **given, groups=1), functional.layer_norm(x, **given, over="sample", layout="n c ..."))
    same_bytes(functional.group_norm(x, **given, groups=channels), functional.instance_norm(x, **given))
    flat = x.reshape(1, -1, 1)
    same_bytes(functional.whole_norm(x), functional.group_norm(flat, groups=1).reshape(x.shape))


@few
@given(x=samples())
def test_normalize_with_a_methods_line_is_the_method(x: np.ndarray) -> None:
    for d in acting():
        line = d.lines(d.validate({})).get("")
        if d.forward is None and line is not None and d.role == "norm" and line.names[0] == "n":
            sizes = d.factor_sizes(d.validate({}), x.shape[1])
            got = nl.normalize(x, str(line), centre=d.centre, spread=d.spread, eps=d.eps or 0.0, eps_rule=d.eps_rule, **sizes)
            layer = face.build(d, None, affine=False, options={"running": False} if d.has_running else {})
            same_bytes(got, layer(x), d.name)


@few
@given(x=samples(), line=st.sampled_from(["[n] c [...]", "n [c ...]", "n (g [c]) [...]", "n [c] ...", "[n c ...]", "([n] k) c [...]"]))
def test_every_set_has_mean_0_and_the_variance_that_eps_leaves(x: np.ndarray, line: str) -> None:
    """Mean 0 within 2 units of the largest, mean square var / (var + eps) within 4."""
    x = np.concatenate([x, x + 1], 0)
    sizes = {n: 2 for n in "gk" if n in parse(line).names}
    y = nl.normalize(x, line, eps=0.5, **sizes)
    sets = nl.shares(line, x.shape, **sizes)
    for number in range(int(sets.max()) + 1):
        own, before = y[sets == number], x[sets == number]
        scale = np.abs(own).max() + 1e-300
        assert abs(own.mean()) <= 2 * 2.0**-52 * scale
        var = before.var()
        assert abs((own**2).mean() - var / (var + 0.5)) <= 8 * 2.0**-52 * scale**2 + 1e-15


@few
@given(
    x=arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(2, 40)), elements=st.floats(width=32)),
    eps=st.sampled_from([0.0, 1e-12, 1e-5]),
)
def test_any_floats_at_all_give_floats_without_a_warning(x: np.ndarray, eps: float) -> None:
    """Also infinities, NaN, subnormals and the largest numbers; a finite row stays finite, forward and back."""
    for d in acting():
        if d.layout == "... c":
            layer = face.build(d, x.shape[1], eps=eps)
            y = layer(x)
            dx = layer.backward(np.ones_like(x))
            finite = np.all(np.isfinite(x), axis=1)
            assert np.all(np.isfinite(y[finite])) and not np.any(np.isnan(dx[finite]))
            assert np.all(np.abs(y[finite]) <= np.sqrt(x.shape[1]) * (1 + 1e-6))


@few
@given(x=samples())
def test_unit_norm_gives_length_one(x: np.ndarray) -> None:
    y = functional.unit_norm(x)
    for row, before in zip(y.reshape(len(x), -1), x.reshape(len(x), -1), strict=True):
        assert abs(np.linalg.norm(row) - 1) < 1e-15 * 4 or not np.any(before)


@few
@given(x=samples(), steps=st.integers(20, 60))
def test_spectral_norm_never_makes_the_largest_singular_value_less_than_one(x: np.ndarray, steps: int) -> None:
    """The estimate comes from below: sigma(w / estimate) is at least 1, and near it after enough steps."""
    w = x[:, :, 0]
    if np.linalg.matrix_rank(w) == 0:
        return
    layer = face.SpectralNorm(len(w), steps=steps)
    largest = np.linalg.svd(layer(w), compute_uv=False)[0]
    assert largest >= 1 - 1e-12


@few
@given(x=samples(), p=st.floats(0, 1))
def test_alpha_dropout_is_affine_in_what_it_keeps(x: np.ndarray, p: float) -> None:
    y = functional.alpha_dropout(x, p=p, key=1)
    assert y.shape == x.shape and np.all(np.isfinite(y))
    if p == 0:
        same_bytes(y, x)
    if p == 1:
        assert not np.any(y)


@few
@given(x=samples())
def test_running_statistics_of_one_batch_make_evaluation_equal_training(x: np.ndarray) -> None:
    """With momentum 1 and the population's variance, evaluation normalizes that batch as training did."""
    for d in acting():
        if d.has_running and set(d.lines(d.validate({}))[""].kept) == {n for s in d.states for n in s.axes.split()}:
            layer = face.build(d, x.shape[1], options={"momentum": 1.0, "running_var_biased": True, "running": True})
            y = layer(x)
            largest = np.abs(x).max() + 1
            tolerance = np.abs(y).max() + largest / np.sqrt(1e-5)  # the mean is rounded to its dtype when it is kept
            compare(layer.eval()(x), y, "identity", d.name, scale=tolerance)
