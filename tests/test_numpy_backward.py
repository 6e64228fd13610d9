"""Gradients: against central differences, against the exact formula, for stacks of cotangents, in every mode."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import normlab as nl
from comparing import compare, same_bytes
from grid import CHANNELS, Case, acting, cases, made_of_statistics, spoken
from normlab import numpy as face
from normlab.definition import Definition
from normlab.errors import DtypeError, ShapeError, UsageError
from normlab.pattern import parse
from references import reference

STEP = 1e-5  # of order eps**(1/3), where truncation and rounding cost the same


def by_differences(layer: face.Layer, x: np.ndarray, inputs: dict[str, np.ndarray], dy: np.ndarray, **call: Any) -> dict[str, np.ndarray]:
    """d(sum of y dy) for every element of x (called ""), every parameter and every input, one at a time."""

    def value() -> float:
        twin = copy.copy(layer)  # the same arrays; but its random numbers and state stay behind
        twin.state, twin._generator = dict(layer.state), copy.deepcopy(layer._generator)
        return float(np.sum(twin(x, **inputs, **call) * dy))

    found = {}
    for name, array in {"": x, **layer.params, **inputs}.items():
        slope = np.zeros_like(array)
        for index in np.ndindex(*array.shape):
            here = array[index]
            step = STEP * max(1.0, abs(here))
            array[index] = here + step
            above = value()
            array[index] = here - step
            slope[index] = (above - value()) / (2 * step)
            array[index] = here
        found[name] = slope
    return found


def check_by_differences(layer: face.Layer, x: np.ndarray, inputs: dict[str, np.ndarray], dy: np.ndarray, **call: Any) -> None:
    wanted = by_differences(layer, x, inputs, dy, **call)
    layer(x, **inputs, **call)
    got = {"": layer.backward(dy), **layer.grads}
    assert got.keys() == wanted.keys()
    largest = max(float(np.abs(w).max(initial=0.0)) for w in wanted.values())
    for name, slope in wanted.items():
        scale = max(float(np.abs(slope).max(initial=0.0)), 1e-3 * largest)
        compare(got[name], slope, "central differences", name or "x", scale=scale)


@pytest.mark.parametrize("case", cases(), ids=spoken)
def test_backward_agrees_with_central_differences(case: Case) -> None:
    check_by_differences(case.layer(), case.x(), case.inputs(), case.dy())


@pytest.mark.parametrize("affine", ["affine", "no bias", "plain"])
@pytest.mark.parametrize("case", [c for c in cases(everything=False) if len(c.shape) == 3], ids=spoken)
def test_backward_agrees_with_central_differences_in_evaluation(case: Case, affine: str) -> None:
    case = Case(case.definition, case.layout, case.shape, affine=affine, training=False)
    check_by_differences(case.layer(), case.x(), case.inputs(), case.dy())


@pytest.mark.parametrize("affine", ["no bias", "plain"])
@pytest.mark.parametrize("case", [c for c in cases(everything=False) if len(c.shape) == 3], ids=spoken)
def test_backward_agrees_with_central_differences_without_affine(case: Case, affine: str) -> None:
    case = Case(case.definition, case.layout, case.shape, affine=affine)
    check_by_differences(case.layer(), case.x(), case.inputs(), case.dy())


@pytest.mark.parametrize("d", [d for d in made_of_statistics() if d.role != "weight"], ids=lambda d: d.name)
def test_backward_agrees_with_central_differences_under_a_mask(d: Definition) -> None:
    options = {"over": "sample"} if any(o.name == "over" for o in d.options) else {}
    layer = face.build(d, CHANNELS, layout="n c ...", options=options)
    if not {"n", "..."} & set(d.lines(layer.options)[""].arrange("n c ...").pooled):
        with pytest.raises(UsageError):
            layer(np.ones((2, CHANNELS, 3)), mask=np.ones((2, 3), bool))
        return
    layer.params = {n: np.random.default_rng(5).standard_normal(a.shape) for n, a in layer.params.items()}
    x = np.random.default_rng(0).standard_normal((3, CHANNELS, 4))
    mask = np.random.default_rng(2).random((3, 4)) > 0.35
    check_by_differences(layer, x, {}, np.random.default_rng(6).standard_normal(x.shape), mask=mask)


SPREADS = ["std", "rms", "mean_abs", "l1", "l2", "max", None]


def with_spread(spread: str | None, centre: bool, eps_rule: str, eps: float, pools: str = "n (g [c]) [...]") -> Definition:
    base = nl.method("group_norm")
    fields = {n: v for n, v in vars(base).items() if n in Definition.__dataclass_fields__}
    return Definition(**{**fields, "spread": spread, "centre": centre, "eps_rule": eps_rule, "eps": eps, "pools": pools})


@pytest.mark.parametrize("eps", [0.0, 0.3])
@pytest.mark.parametrize("eps_rule", ["inside", "outside", "floor"])
@pytest.mark.parametrize("centre", [True, False], ids=["centred", "not_centred"])
@pytest.mark.parametrize("spread", SPREADS)
def test_backward_of_any_spread_agrees_with_the_exact_formula(
    spread: str | None, centre: bool, eps_rule: str, eps: float
) -> None:
    d = with_spread(spread, centre, eps_rule, eps)
    x = np.random.default_rng(1).standard_normal((2, CHANNELS, 3)) + 0.3
    dy = np.random.default_rng(2).standard_normal(x.shape)
    mask = np.random.default_rng(3).random((2, 3)) > 0.2
    for m in (None, mask):
        layer = face.build(d, CHANNELS, options={"groups": 2})
        layer.params = {n: np.random.default_rng(5).standard_normal(a.shape) for n, a in layer.params.items()}
        truth = reference(d, x, options={"groups": 2}, arrays=layer.params, mask=m)
        layer(x, mask=m)
        dx = layer.backward(dy)
        wanted, dweight, dbias, scale = truth.gradients(dy)
        compare(dx, wanted, "gradient, small set", f"{spread} {centre} {eps_rule} {eps}", scale=scale)
        compare(layer.grads["weight"], dweight, "gradient, small set")
        compare(layer.grads["bias"], dbias, "gradient, small set")
        if m is None:
            check_by_differences(layer, x, {}, dy)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [c for c in cases() if c.definition.forward is None], ids=spoken)
def test_backward_agrees_with_the_exact_formula(case: Case, dtype: str) -> None:
    case = Case(case.definition, case.layout, case.shape, case.options, dtype)
    layer, x, dy = case.layer(), case.x(), case.dy()
    truth = reference(case.definition, x, layout=case.layout, options=case.options, arrays=layer.params)
    layer(x)
    dx = layer.backward(dy)
    wanted, dweight, dbias, scale = truth.gradients(dy)
    assert dx.dtype == x.dtype
    compare(dx, wanted, "gradient, small set", str(case), scale=scale)
    for name, gradient in zip(case.definition.affine, (dweight, dbias), strict=True):
        if name in layer.params:
            assert layer.grads[name].dtype == layer.params[name].dtype
            compare(layer.grads[name], gradient, "gradient, small set", name)


@pytest.mark.parametrize("case", cases(everything=False), ids=spoken)
def test_a_stack_of_cotangents_gives_what_each_gives_alone(case: Case) -> None:
    layer, inputs = case.layer(), case.inputs()
    layer(case.x(), **inputs)
    stack = np.random.default_rng(9).standard_normal((3, *case.shape))
    dx, grads = layer.backward(stack), layer.grads
    assert dx.shape == stack.shape
    for k in range(3):
        compare(dx[k], layer.backward(stack[k]), "identity", str(case))
        assert layer.grads.keys() == grads.keys()
        for name, alone in layer.grads.items():
            compare(grads[name][k], alone, "identity", name)
    none = layer.backward(stack[:0])
    assert none.shape == (0, *case.shape) and all(g.shape[0] == 0 for g in layer.grads.values())


@pytest.mark.parametrize("case", [c for c in cases(everything=False) if len(c.shape) == 4], ids=spoken)
def test_backward_may_be_called_again_and_overwrites(case: Case) -> None:
    layer, inputs = case.layer(), case.inputs()
    layer(case.x(), **inputs)
    first, grads = layer.backward(case.dy()), layer.grads
    kept = {n: g.copy() for n, g in grads.items()}
    layer.backward(2 * case.dy())
    for name, gradient in grads.items():
        same_bytes(gradient, kept[name], "what was given out stays as it was")
        assert layer.grads[name] is not gradient
    same_bytes(layer.backward(case.dy()), first, "the same cotangent again")
    for name, gradient in layer.grads.items():
        same_bytes(gradient, kept[name], name)


@pytest.mark.parametrize("case", [c for c in cases(everything=False) if len(c.shape) == 4], ids=spoken)
def test_what_changes_in_place_after_the_call_does_not_change_the_way_back(case: Case) -> None:
    layer, x, inputs = case.layer(), case.x(), case.inputs()
    dy = case.dy()
    y = layer(x, **inputs)
    wanted, grads = layer.backward(dy), dict(layer.grads)
    for array in (x, y, *layer.params.values(), *inputs.values(), *layer.state.values()):
        array[...] = 7
    same_bytes(layer.backward(dy), wanted, str(case))
    for name, gradient in layer.grads.items():
        same_bytes(gradient, grads[name], name)


@pytest.mark.parametrize("shape", [(5,), (4, 8, 3), (5, 8, 1), (2, 2, 5, 8), (8,), ()], ids=str)
def test_a_cotangent_must_have_the_shape_of_the_output(shape: tuple[int, ...]) -> None:
    layer = face.BatchNorm(8)
    layer(np.random.default_rng(0).standard_normal((5, 8)))
    with pytest.raises(ShapeError, match=r"dy must have the output's shape \(5, 8\), got"):
        layer.backward(np.ones(shape))


@pytest.mark.parametrize("dy", [np.ones((5, 8)) * 1j, np.full((5, 8), "a"), np.full((5, 8), None)], ids=["complex", "text", "object"])
def test_a_cotangent_must_hold_real_numbers(dy: np.ndarray) -> None:
    layer = face.BatchNorm(8)
    layer(np.random.default_rng(0).standard_normal((5, 8)))
    with pytest.raises(DtypeError, match="dy must hold real numbers"):
        layer.backward(dy)


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_backward_needs_a_call_first(d: Definition) -> None:
    with pytest.raises(UsageError, match=f"{d.class_name}: call the layer before backward"):
        getattr(face, d.class_name)(8).backward(np.ones((2, 8)))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 5, 3, 2), (2, 5, 3, 2, 2)], ids=str)
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_a_weight_gradient_sums_over_all_rows_of_any_rank(name: str, shape: tuple[int, ...]) -> None:
    """Case 24: elsewhere the number of rows is taken wrongly where the rank is above 2."""
    layer = getattr(face, nl.method(name).class_name)(shape[-1])
    x, dy = np.random.default_rng(0).standard_normal((2, *shape))
    layer(x)
    layer.backward(dy)
    flat = getattr(face, nl.method(name).class_name)(shape[-1])
    flat(x.reshape(-1, shape[-1]))
    flat.backward(dy.reshape(-1, shape[-1]))
    for parameter, gradient in layer.grads.items():
        same_bytes(gradient, flat.grads[parameter], parameter)


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 4097])
def test_a_weight_gradient_counts_every_row_once(rows: int) -> None:
    """Case 25: elsewhere rows beyond a tile are counted twice. The gradient of the bias for ones is the number of rows."""
    x = np.random.default_rng(0).standard_normal((rows, 5))
    layer = face.LayerNorm(5)
    y = layer(x)
    layer.backward(np.ones_like(x))
    assert np.array_equal(layer.grads["bias"], np.full(5, float(rows)))
    compare(layer.grads["weight"], y.sum(0), "identity", scale=np.abs(y).sum(0))


@pytest.mark.parametrize("eps_rule", ["inside", "outside", "floor"])
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("eps", [0.0, 1e-12, 1e-5])
def test_a_constant_set_has_a_finite_gradient(spread: str | None, eps_rule: str, eps: float) -> None:
    """Case 11's neighbour: at no spread at all 0/0 must not appear on the way back."""
    for centre in (True, False):
        layer = face.build(with_spread(spread, centre, eps_rule, eps), CHANNELS, options={"groups": 2})
        for value in (0.0, 1000.1):
            layer(np.full((2, CHANNELS, 3), value))
            dx = layer.backward(np.random.default_rng(0).standard_normal((2, CHANNELS, 3)))
            assert np.all(np.isfinite(dx)) and all(np.all(np.isfinite(g)) for g in layer.grads.values())


def test_a_nan_on_the_way_back_stays_in_its_set() -> None:
    x = np.random.default_rng(0).standard_normal((3, CHANNELS, 4))
    layer = face.GroupNorm(CHANNELS, groups=2, affine=False)
    layer(x)
    dy = np.ones_like(x)
    dy[1, 5, 2] = np.nan
    bad = np.isnan(layer.backward(dy))
    assert np.array_equal(bad, nl.shares("n (g [c]) [...]", x.shape, g=2) == 3)


def test_gradients_of_conditions_reach_the_caller() -> None:
    layer = face.FiLM(4, condition=3)
    z = np.random.default_rng(0).standard_normal((2, 3))
    layer(np.ones((2, 4, 5)), z)
    layer.backward(np.ones((2, 4, 5)))
    assert layer.grads["z"].shape == (2, 3) and set(layer.grads) == {"projection", "offset", "z"}


def test_the_slope_of_selu_at_zero_is_that_of_the_left_side() -> None:
    """A gradient between the two sides' (1.05 and 1.76) would do; half of one side's, which `minimum` gives, would not."""
    layer = face.SELU()
    layer(np.array([0.0, -1e-300, -0.0, 1e-300]))
    slopes = layer.backward(np.ones(4))
    assert np.allclose(slopes, [1.7580993408473766, 1.7580993408473766, 1.7580993408473766, 1.0507009873554805], rtol=1e-15)


def test_every_registered_method_was_differentiated() -> None:
    met = {c.definition.name for c in cases()}
    assert met == {d.name for d in acting()}
    assert {len(c.shape) for c in cases()} == {2, 3, 4, 5}
    assert all(parse(p).pooled for d in acting() if isinstance(d.pools, str) for p in [d.pools])
