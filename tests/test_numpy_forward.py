"""What layers and functions give: the worked example, the exact formula, every layout, rank and dtype."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest

import normlab as nl
from comparing import compare, error, same_bytes
from grid import CHANNELS, Case, acting, cases, layouts, made_of_statistics, shape_of, spoken
from normlab import functional, kernels
from normlab import numpy as face
from normlab.definition import Definition
from normlab.errors import ShapeError
from references import largest_of, number_sets, reference

WITH_ANSWER = [d for d in acting() if d.worked is not None]


def output(made: Any) -> np.ndarray:
    """What a function gives: the result, or the first of a tuple where a state comes with it."""
    return made[0] if isinstance(made, tuple) else made


@pytest.mark.parametrize("d", WITH_ANSWER, ids=lambda d: d.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_function_gives_the_worked_example(d: Definition, dtype: str) -> None:
    w = d.worked
    assert w is not None
    given: dict[str, Any] = {**w.options, **{n: np.array(a, dtype) for n, a in w.arrays.items()}}
    given |= {"eps": w.eps} if w.eps is not None else {}
    given |= {"key": 0} if d.role == "dropout" else {}
    y = output(getattr(functional, d.name)(np.array(w.x, dtype), **given))
    assert y.dtype == dtype
    compare(y, np.array(w.y), "worked", d.name)


@pytest.mark.parametrize("d", WITH_ANSWER, ids=lambda d: d.name)
def test_the_layer_gives_the_worked_example(d: Definition) -> None:
    w = d.worked
    assert w is not None
    x = np.array(w.x)
    main = 0 if "o" in d.layout.split() else (-1 if d.layout == "... c" else 1)
    layer = face.build(d, x.shape[main] if d.layout != "..." else None, options=w.options, eps=w.eps)
    inside = {n: np.array(a) for n, a in w.arrays.items() if n in layer.params or n in layer.state}
    if len(inside) < len(w.arrays):  # a layer that makes them from a condition: it gives x where the condition is 0
        zeros = {i.name: np.zeros((len(x), 1)) for i in d.inputs if i.where != "function"}
        compare(layer(x, **zeros), x, "worked", d.name)
        return
    layer(x)  # a start that presumes data is over now
    for target in (layer.params, layer.state):
        target.update({n: a for n, a in inside.items() if n in target})
    compare(layer(x), np.array(w.y), "worked", d.name)


@pytest.mark.parametrize("affine", ["affine", "no bias", "plain"])
@pytest.mark.parametrize("case", [c for c in cases() if c.definition.forward is None], ids=spoken)
def test_the_layer_agrees_with_the_exact_formula(case: Case, affine: str) -> None:
    case = Case(case.definition, case.layout, case.shape, case.options, affine=affine)
    layer, x = case.layer(), case.x()
    truth = reference(case.definition, x, layout=case.layout, options=case.options, arrays=layer.params)
    compare(layer(x), truth.y, "forward", str(case), scale=largest_of(truth, layer))


@pytest.mark.parametrize("case", [c for c in cases(everything=False) if c.definition.has_running], ids=spoken)
def test_in_evaluation_the_layer_uses_what_it_has_kept(case: Case) -> None:
    case = Case(case.definition, case.layout, case.shape, training=False, running=True)
    layer, x = case.layer(), case.x()
    before = {n: a.copy() for n, a in layer.state.items()}
    assert int(before["num_batches_tracked"]) == 3 and np.all(before["running_var"] != 1.0)
    kept = (before["running_mean"], before["running_var"])
    truth = reference(case.definition, x, layout=case.layout, arrays=layer.params, running=kept)
    compare(layer(x), truth.y, "forward", str(case), scale=largest_of(truth, layer))
    for name, value in before.items():
        same_bytes(layer.state[name], value, name)


@pytest.mark.parametrize("case", cases(dtype="float32"), ids=spoken)
def test_by_the_formula_float32_is_the_float64_result_rounded_once(case: Case) -> None:
    layer = case.layer()
    wide = _widened(layer)
    with kernels.off():
        y32 = layer(case.x(), **case.inputs())
        y64 = wide(case.x().astype(np.float64), **{n: a.astype(np.float64) for n, a in case.inputs().items()})
    assert y32.dtype == np.float32 and y64.dtype == np.float64
    same_bytes(y32, y64.astype(np.float32), str(case))


@pytest.mark.parametrize("case", cases(everything=False, dtype="float16"), ids=spoken)
def test_half_precision_goes_in_and_comes_out(case: Case) -> None:
    layer = case.layer()
    wide = _widened(layer)
    y16 = layer(case.x(), **case.inputs())
    y64 = wide(case.x().astype(np.float64), **{n: a.astype(np.float64) for n, a in case.inputs().items()})
    assert y16.dtype == np.float16
    compare(y16, y64, "half", str(case), scale=np.maximum(np.abs(y64), 2.0**-14))
    dx = layer.backward(case.dy())
    assert dx.dtype == np.float16
    assert all(g.dtype == np.float16 for g in layer.grads.values())


def _widened(layer: face.Layer) -> face.Layer:
    """The same layer in float64, with the parameters, state and random numbers of the other."""
    wide = copy.deepcopy(layer)
    for target in (wide.params, wide.state):
        target.update({n: a.astype(np.float64) for n, a in target.items() if n != "num_batches_tracked"})
    return wide


# A layer that makes its inputs from a condition has a function that is given them: two signatures, nothing to compare.
@pytest.mark.parametrize("case", [c for c in cases() if not c.definition.inputs], ids=spoken)
def test_the_function_agrees_with_the_layer(case: Case) -> None:
    d, layer, x = case.definition, case.layer(), case.x()
    known = inspect.signature(getattr(functional, d.name)).parameters
    # An option that only starts a layer's parameters is no business of the function.
    given: dict[str, Any] = {**layer.params, **{n: v for n, v in case.options.items() if n in known}}
    given |= {} if case.layout == "..." else {"layout": case.layout}
    if d.has_running:
        # No statistics given, none returned.
        same_bytes(getattr(functional, d.name)(x, **given), layer(x), str(case))
        return
    given |= layer.state
    given |= {"training": False} if d.states or d.role == "dropout" else {}
    same_bytes(output(getattr(functional, d.name)(x, **given)), layer.eval()(x), str(case))


@pytest.mark.parametrize("case", [c for c in cases(everything=False) if c.definition.has_running], ids=spoken)
def test_a_functional_call_returns_new_statistics_and_changes_nothing(case: Case) -> None:
    d, x = case.definition, case.x()
    layer = Case(d, case.layout, case.shape, running=True).layer()
    held = {n: layer.state[n] for n in ("running_mean", "running_var")}
    before = {n: a.copy() for n, a in {**held, **layer.params, "x": x}.items()}
    made = getattr(functional, d.name)(x, **layer.params, **held, layout=case.layout)
    assert isinstance(made, tuple) and len(made) == 3
    for name, value in {**held, **layer.params, "x": x}.items():
        same_bytes(value, before[name], name)
    y = layer(x)
    for got, wanted in zip(made, (y, layer.state["running_mean"], layer.state["running_var"]), strict=True):
        same_bytes(got, wanted, str(case))
    alone = getattr(functional, d.name)(x, **layer.params, **held, layout=case.layout, training=False)
    assert isinstance(alone, np.ndarray)


@pytest.mark.parametrize("d", made_of_statistics(), ids=lambda d: d.name)
@pytest.mark.parametrize("spread", ["std", "rms", "mean_abs", "l1", "l2", "max", None])
@pytest.mark.parametrize("centre", [True, False], ids=["centred", "not_centred"])
def test_any_spread_of_a_definition_agrees_with_the_exact_formula(d: Definition, spread: str | None, centre: bool) -> None:
    for eps_rule in ("inside", "outside", "floor"):
        for eps in (0.0, 0.3):
            other = Definition(**{
                **{n: v for n, v in vars(d).items() if n in Definition.__dataclass_fields__},
                "spread": spread, "centre": centre, "eps_rule": eps_rule, "eps": eps,
            })  # fmt: skip
            x = Case(d, "i o ..." if "o" in d.layout else "n c ...", (6, CHANNELS)).x() * 0.2
            if d.pools == "n c [...]":
                x = x.reshape(2, CHANNELS, 3)
            layout = "n c ..." if "o" not in d.layout else "i o ..."
            layer = face.build(other, CHANNELS, layout=layout, affine=False)
            truth = reference(other, x, layout=layout, eps=eps)
            row = "forward" if spread in ("std", "rms", "l2", None) else "forward, mean of magnitudes"
            compare(layer(x), truth.y, row, f"{spread} {centre} {eps_rule} {eps}", sets=truth.sets.reshape(x.shape))


@pytest.mark.parametrize("definition", acting(), ids=lambda d: d.name)
def test_every_layout_gives_the_same_numbers(definition: Definition) -> None:
    usual = layouts(definition)[0]
    shape = shape_of(usual, 4)
    assert shape is not None
    first = Case(definition, usual, shape)
    layer = first.layer().eval() if definition.role != "norm" else first.layer()
    x, inputs = first.x(), first.inputs()
    y = layer(x, **inputs)
    for layout in layouts(definition)[1:]:
        if layout == "... c" and definition.layout != layout:
            continue  # no batch axis there: other sets
        moved = (0, 2, 3, 1) if "c" in layout else (1, 0, 2, 3)
        other = face.build(definition, CHANNELS, layout=layout)
        other.params, other.state, other._started = layer.params, dict(layer.state), True
        other.training = layer.training
        if definition.layout == "... c" and layout == "n c ...":
            moved = (0, 3, 1, 2)
        compare(other(np.ascontiguousarray(x.transpose(moved)), **inputs), y.transpose(moved), "identity", layout)


@pytest.mark.parametrize("case", [c for c in cases(everything=False) if len(c.shape) == 4], ids=spoken)
def test_output_and_gradient_keep_the_memory_layout_of_the_input(case: Case, way: str) -> None:
    """Case 27: elsewhere channels-last memory goes in and a contiguous copy comes out (pytorch#111824)."""
    orders = [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0), (1, 0, 3, 2)]
    layer, inputs = case.layer(), case.inputs()
    outputs = []
    for order in orders:
        x = np.ascontiguousarray(case.x().transpose(order)).transpose(np.argsort(order))
        y = layer(x, **inputs) if case.definition.role != "dropout" else layer.eval()(x, **inputs)
        dx = layer.backward(case.dy())
        wide = [k for k, size in enumerate(x.shape) if size > 1]  # the stride of a single element means nothing
        assert [y.strides[k] for k in wide] == [dx.strides[k] for k in wide] == [x.strides[k] for k in wide]
        assert not np.shares_memory(x, y)
        outputs.append((y, dx))
    for y, dx in outputs[1:]:
        if case.definition.has_running:
            continue
        for got, wanted in zip((y, dx), outputs[0], strict=True):
            if way == "formula":
                same_bytes(np.ascontiguousarray(got), np.ascontiguousarray(wanted), str(case))
            compare(got, wanted, "identity", str(case))


@pytest.mark.parametrize("sizes", [(8,), (2, 8), (3, 2, 8)], ids=str)
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_trailing_sizes_pool_all_of_them(name: str, sizes: tuple[int, ...]) -> None:
    d = nl.method(name)
    x = np.random.default_rng(0).standard_normal((4, 3, 2, 8))
    layer = getattr(face, d.class_name)(sizes)
    layer.params = {n: np.random.default_rng(5).standard_normal(sizes) for n in layer.params}
    truth = reference(d, x, arrays=layer.params, trailing=len(sizes))
    compare(layer(x), truth.y, "forward", name, scale=largest_of(truth, layer))
    same_bytes(getattr(functional, name)(x, **layer.params), layer(x), name)
    one_sample = layer(x[0]) if len(sizes) < 4 else None
    assert one_sample is None or one_sample.shape == x[0].shape
    with pytest.raises(ShapeError, match="made for"):
        layer(x[..., :4])


def test_a_bias_alone_tells_the_trailing_sizes_too() -> None:
    x = np.random.default_rng(0).standard_normal((4, 2, 8))
    both = functional.layer_norm(x, np.ones((2, 8)), np.full((2, 8), 0.5))
    same_bytes(functional.layer_norm(x, None, np.full((2, 8), 0.5)), both)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "selu"])
def test_one_axis_is_enough_where_no_batch_is_named(name: str) -> None:
    x = np.random.default_rng(0).standard_normal(8)
    many = getattr(functional, name)(np.stack([x, 2 * x]))
    same_bytes(getattr(functional, name)(x), many[0], name)


def test_the_reference_is_not_the_package() -> None:
    """The two tell sets apart in their own ways, and the reference's numbers are not float64's."""
    sets, channel = number_sets("n (g [c]) [...]", "n c ...", (2, 4, 3), (("g", 2),))
    assert sets[0, :, 0].tolist() == [0, 0, 1, 1] and channel[1, :, 2].tolist() == [0, 1, 2, 3]
    x = np.array([[1.0, 1.0 + 2.0**-52, 1.0 + 2.0**-51]])
    truth = reference(nl.method("layer_norm"), x, eps=0.0)
    assert np.all(error(truth.y.high, np.array([[-1.5, 0.0, 1.5]]) / np.sqrt(1.5), None) <= 1)
