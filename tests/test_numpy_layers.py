"""Layers as objects: state, modes, copies, names, and everything they refuse."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from comparing import compare, same_bytes
from grid import CHANNELS, Case, acting, cases, layouts, shape_of, spoken

import normlab as nl
from normlab import functional, registry
from normlab import numpy as face
from normlab.definition import Definition, from_line
from normlab.errors import DtypeError, NormlabError, ShapeError, UnknownNameError, UsageError
from normlab.signatures import MOST_CHANNELS

CASES = [c for c in cases(everything=False) if len(c.shape) == 4 and c.layout == layouts(c.definition)[0]]
RUNNING = [d for d in acting() if d.has_running]


def made(d: Definition, **settings: Any) -> face.Layer:
    layer: face.Layer = getattr(face, d.class_name)(CHANNELS, **settings)
    return layer


# State and modes


@pytest.mark.parametrize("d", RUNNING, ids=lambda d: d.name)
@pytest.mark.parametrize("biased", [False, True], ids=["unbiased", "biased"])
def test_momentum_weighs_the_new_value(d: Definition, biased: bool) -> None:
    """Cases 17 and 18: elsewhere momentum weighs the old value, and the stored variance is the population's."""
    layer = made(d, running=True, momentum=0.3, running_var_biased=biased)
    mean, var = layer.state["running_mean"], layer.state["running_var"]
    for step in range(3):
        x = np.random.default_rng(step).standard_normal((4, CHANNELS, 5)) * 2 + step
        layer(x)
        line = d.lines(layer.options)[""]
        axes = tuple(a for a, name in enumerate(("n", "c", "...")) if name in line.pooled)
        count = np.prod([x.shape[a] for a in axes])
        batch_mean, batch_var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        batch_var = batch_var if biased else batch_var * count / (count - 1)
        missing = (0,) if batch_mean.shape[0] > 1 else ()
        new_mean = batch_mean.mean(missing, keepdims=True).reshape(mean.shape)
        new_var = batch_var.mean(missing, keepdims=True).reshape(var.shape)
        mean, var = 0.7 * mean + 0.3 * new_mean, 0.7 * var + 0.3 * new_var
        compare(layer.state["running_mean"], mean, "running", d.name, scale=np.abs(x).mean())
        compare(layer.state["running_var"], var, "running", d.name)
        assert layer.state["num_batches_tracked"] == step + 1


@pytest.mark.parametrize("d", RUNNING, ids=lambda d: d.name)
def test_momentum_none_is_the_cumulative_mean(d: Definition) -> None:
    layer = made(d, running=True, momentum=None, running_var_biased=True)
    single = made(d, running=True, momentum=1.0, running_var_biased=True)
    seen = []
    for step in range(5):
        x = np.random.default_rng(step).standard_normal((4, CHANNELS, 5)) + step
        layer(x)
        single(x)
        seen.append((single.state["running_mean"], single.state["running_var"]))
    for k, name in enumerate(("running_mean", "running_var")):
        compare(layer.state[name], np.mean([s[k] for s in seen], axis=0), "running", name)


@pytest.mark.parametrize("d", RUNNING, ids=lambda d: d.name)
def test_state_moves_in_training_only_and_only_where_there_is_one(d: Definition) -> None:
    x = Case(d, "n c ...", (4, CHANNELS, 5)).x()
    layer = made(d, running=True)
    assert layer.training and layer.eval() is layer and not layer.training
    before = {n: a.copy() for n, a in layer.state.items()}
    layer(x)
    for name, value in before.items():
        same_bytes(np.asarray(layer.state[name]), value, name)
    assert layer.train() is layer and layer.training
    layer(x)
    assert layer.state["num_batches_tracked"] == 1 and layer.state["num_batches_tracked"].dtype == np.int64
    assert all(isinstance(a, np.ndarray) for a in layer.state.values())
    without = made(d, running=False)
    assert without.state == {}
    same_bytes(without.eval()(x), without.train()(x), "no statistics kept: one mode")


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_parameters_and_state_have_the_dtype_asked_for(d: Definition, dtype: str) -> None:
    layer = made(d, dtype=dtype)
    arrays = {**layer.params, **layer.state}
    assert all(a.dtype == dtype for n, a in arrays.items() if n != "num_batches_tracked")
    case = Case(d, d.layout, shape_of(d.layout, 3) or (), dtype="float32")
    y = layer(case.x(), **case.inputs())
    assert y.dtype == np.float32  # that of x, whatever the parameters have
    after = {**layer.params, **layer.state}
    assert {n: a.dtype for n, a in after.items()} == {n: a.dtype for n, a in arrays.items()}


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_a_layer_gives_the_same_bytes_from_run_to_run(d: Definition) -> None:
    case = Case(d, d.layout, shape_of(d.layout, 3) or ())
    first, second = made(d), made(d)
    for _ in range(2):
        same_bytes(first(case.x(), **case.inputs()), second(case.x(), **case.inputs()), d.name)
    for key in (5, np.random.default_rng(5)):
        same_bytes(made(d, key=key)(case.x(), **case.inputs()), made(d, key=5)(case.x(), **case.inputs()), d.name)


def test_random_numbers_follow_the_key_and_go_on_from_call_to_call() -> None:
    layer, other = face.AlphaDropout(p=0.5), face.AlphaDropout(p=0.5, key=1)
    x = np.ones((50, 4))
    first = layer(x)
    assert not np.array_equal(first, layer(x)) and not np.array_equal(first, other(x))
    compare(layer.eval()(x), x, "worked")
    same_bytes(functional.alpha_dropout(x, p=0.5, key=3), functional.alpha_dropout(x, p=0.5, key=3))
    with pytest.raises(UsageError, match="give key="):
        functional.alpha_dropout(x, p=0.5)


@pytest.mark.parametrize("key", ["a", -1, 1.5, [1.5], object()])
def test_a_key_must_be_a_number_or_a_generator(key: Any) -> None:
    for call in (lambda: face.AlphaDropout(key=key), lambda: functional.alpha_dropout(np.ones(3), p=0.5, key=key)):
        with pytest.raises(UsageError, match="key must be a whole number"):
            call()
    with pytest.raises(UsageError, match="key must be a whole number"):
        nl.init.lecun_normal((3, 4), key=key)


@pytest.mark.parametrize("shape", [(3,), 3, (3, 0), (3, 2.5), ("a", 2)], ids=str)
def test_lecun_normal_wants_the_shape_of_weights(shape: Any) -> None:
    with pytest.raises(UsageError, match="shape must be"):
        nl.init.lecun_normal(shape, key=0)


def test_lecun_normal_has_standard_deviation_one_over_root_fan_in() -> None:
    w = nl.init.lecun_normal((200, 50, 2), key=0, dtype="float32")
    assert w.dtype == np.float32 and abs(w.std() * 10 - 1) < 0.02
    same_bytes(w, nl.init.lecun_normal((200, 50, 2), key=np.random.default_rng(0), dtype="float32"))


def test_a_spectral_layer_iterates_in_training_only() -> None:
    w = np.random.default_rng(0).standard_normal((6, 4))
    layer = face.SpectralNorm(6)
    start = layer.state["u"].copy()
    layer.eval()(w)
    same_bytes(layer.state["u"], start, "evaluation")
    for _ in range(200):
        layer.train()(w)
    compare(np.linalg.svd(layer(w), compute_uv=False)[0], np.array(1.0), "identity")
    compare(np.linalg.norm(layer.state["u"]), np.array(1.0), "identity")


@pytest.mark.parametrize("start", ["norm", "one"])
@pytest.mark.parametrize("layout", ["o i ...", "i o ..."])
def test_weight_norm_starts_as_it_is_told(start: str, layout: str) -> None:
    v = np.random.default_rng(0).standard_normal((6, 4) if layout[0] == "o" else (4, 6))
    axis = 1 if layout[0] == "o" else 0
    layer = face.WeightNorm(6, start=start, layout=layout)
    w = layer(v)
    wanted = v if start == "norm" else v / np.linalg.norm(v, axis=axis, keepdims=True)
    compare(w, wanted, "identity", start)
    layer(2 * v)  # the start is over: only the direction of v matters now
    compare(layer(2 * v), w, "identity", start)


@pytest.mark.parametrize("layout", ["o i ...", "i o ..."])
def test_weight_norm_from_data_makes_each_response_zero_one(layout: str) -> None:
    random = np.random.default_rng(0)
    v, x = random.standard_normal((6, 4)), random.standard_normal((50, 4)) + 1
    v = v if layout[0] == "o" else np.ascontiguousarray(v.T)
    layer = face.WeightNorm(6, start="data", layout=layout)
    with pytest.raises(UsageError, match="start='data' needs the responses"):
        layer(v)
    extra = layer.start(v, lambda w: x @ (w.T if layout[0] == "o" else w))
    w = layer(v)
    response = x @ (w.T if layout[0] == "o" else w) + extra["bias"]
    assert np.allclose(response.mean(0), 0, atol=1e-14) and np.allclose(response.std(0), 1, rtol=1e-14)


# Copies and names


@pytest.mark.parametrize("case", CASES, ids=spoken)
@pytest.mark.parametrize("way", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"])
def test_a_layer_survives_copying(case: Case, way: Any) -> None:
    layer = case.layer()
    layer(case.x(), **case.inputs())
    layer.backward(case.dy())
    twin = way(layer)
    assert type(twin) is type(layer) and repr(twin) == repr(layer)
    for mine, yours in ((layer.params, twin.params), (layer.state, twin.state), (layer.grads, twin.grads)):
        assert mine.keys() == yours.keys()
        for name in mine:
            same_bytes(np.asarray(mine[name]), np.asarray(yours[name]), name)
            assert not np.shares_memory(mine[name], yours[name])
    with pytest.raises(UsageError, match="call the layer before backward"):
        twin.backward(case.dy())  # the latest call was the other's
    same_bytes(twin(case.x(), **case.inputs()), layer(case.x(), **case.inputs()), "both go on alike")
    same_bytes(twin.backward(case.dy()), layer.backward(case.dy()), "both go on alike")


def test_a_layer_of_a_line_survives_copying() -> None:
    layer = face.build(from_line("n (g [c]) [...]", {"g": 2}), 4)
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    y = layer(x)
    same_bytes(pickle.loads(pickle.dumps(layer))(x), y)
    same_bytes(copy.deepcopy(layer)(x), y)
    assert type(copy.deepcopy(layer)) is type(layer)


def test_a_layer_is_unpickled_in_a_process_that_knows_only_its_name() -> None:
    text = pickle.dumps(face.BatchNorm(3))
    code = "import pickle, sys; print(repr(pickle.loads(sys.stdin.buffer.read())))"
    done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, check=True)
    assert done.stdout.decode().strip() == repr(face.BatchNorm(3))


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"bias": False}, {"dtype": "float32"}], ids=str)
def test_the_representation_makes_the_same_layer_again(d: Definition, settings: dict[str, Any]) -> None:
    layer = made(d, **settings)
    twin = eval(repr(layer), {d.class_name: getattr(face, d.class_name)})
    assert repr(twin) == repr(layer) and twin.params.keys() == layer.params.keys()
    assert (" eps=" in repr(layer)) == (d.eps is not None)


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_build_makes_the_class_that_has_the_name(d: Definition) -> None:
    assert type(face.build(d, CHANNELS)) is getattr(face, d.class_name)
    assert face.build(d, CHANNELS).definition is d


# What a layer is made with


@pytest.mark.parametrize("channels", [0, -1, 2.0, "8", True, [8], (), (4, 0), (2.5,), 10**20, MOST_CHANNELS + 1, np.float64(3)])
def test_channels_must_be_a_whole_number(channels: Any) -> None:
    with pytest.raises(UsageError, match=r"channels must be a whole number from 1 to 2147483647"):
        face.LayerNorm(channels)


@pytest.mark.parametrize("channels", [np.int64(8), np.uint8(8), (np.int32(2), 4)])
def test_channels_may_be_numpys_whole_numbers(channels: Any) -> None:
    assert face.LayerNorm(channels).params["weight"].size == 8
    assert "int" not in repr(face.LayerNorm(channels))


def test_a_tuple_of_channels_is_for_trailing_sizes() -> None:
    with pytest.raises(UsageError, match=r"BatchNorm: channels must be one whole number, got \(2, 4\)"):
        face.BatchNorm((2, 4))


@pytest.mark.parametrize("d", [d for d in acting() if d.params or d.states], ids=lambda d: d.name)
def test_a_layer_that_learns_needs_its_channels(d: Definition) -> None:
    with pytest.raises(UsageError, match=f"{d.class_name}: give the number of channels"):
        getattr(face, d.class_name)(None)


@pytest.mark.parametrize("dtype", ["int32", "complex128", "bool", "foo", object, np.longdouble, "U3"])
def test_a_layer_has_a_floating_point_dtype(dtype: Any) -> None:
    with pytest.raises(DtypeError, match="BatchNorm: dtype must be a floating-point type"):
        face.BatchNorm(8, dtype=dtype)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 1e-3}, "unknown argument of BatchNorm 'epsilon'. Did you mean eps"),
        ({"momentun": 1e-3}, "Did you mean momentum"),
        ({"groups": 2}, "unknown argument of BatchNorm 'groups'"),
        ({"eps": -1}, "eps must be a finite number of at least 0"),
        ({"layout": "n ..."}, "must name c"),
        ({"layout": ["n", "c"]}, "must be text"),
        ({"layout": "n [c]"}, "no square brackets"),
        ({"layout": "n c c"}, "stands twice"),
        ({"layout": "n q ..."}, "must"),
    ],
)
def test_a_layer_refuses_what_it_does_not_know(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        face.BatchNorm(8, **settings)(np.ones((4, 8, 2)))


@pytest.mark.parametrize("d", [d for d in acting() if d.eps is None], ids=lambda d: d.name)
def test_a_method_without_eps_takes_none(d: Definition) -> None:
    with pytest.raises(UsageError, match="has no eps"):
        made(d, eps=1e-3)


def test_large_options_are_refused_with_their_limit() -> None:
    with pytest.raises(UsageError, match=r"spectral_norm: steps must be .* at most 10000, got 1000000"):
        face.SpectralNorm(8, steps=10**6)
    with pytest.raises(UsageError, match=r"film: condition must be .* at most 1e\+06"):
        face.FiLM(8, condition=10**9)
    x = np.random.default_rng(0).standard_normal((2, 3, 4))  # a window wider than the channels is the channels
    compare(functional.local_response_norm(x, size=10**300), x, "identity")
    wide = functional.local_response_norm(x, size=10**9, alpha=1e9)
    compare(wide, x / (1 + (x * x).sum(1, keepdims=True)) ** 0.75, "identity")
    with pytest.raises(UsageError, match="size must be"):
        functional.local_response_norm(np.ones((2, 3)), size=10**400)


def test_over_sample_needs_a_layout_that_names_samples() -> None:
    """In the default layout `... c` the batch is one of `...`: all of it would share one statistic, silently."""
    x = np.random.default_rng(0).standard_normal((3, 4, 8))
    for call in (lambda: face.LayerNorm(8, over="sample")(x), lambda: functional.layer_norm(x, over="sample")):
        with pytest.raises(UsageError, match="does not name them"):
            call()
    assert np.allclose(functional.layer_norm(x, over="sample", layout="n ... c").mean((1, 2)), 0, atol=1e-15)


# What a layer is called with


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1.0, 2.0]], "must be a NumPy array, got list"),
        (1.5, "must be a NumPy array, got float"),
        (None, "must be a NumPy array, got NoneType"),
        (np.ones((2, 8), int), "floating-point elements up to float64, got int64"),
        (np.ones((2, 8), bool), "got bool"),
        (np.ones((2, 8), complex), "got complex128"),
        (np.full((2, 8), None), "got object"),
        (np.full((2, 8), "a"), "got <U1"),
        (np.ones((2, 8), np.longdouble), "up to float64"),
        (np.ma.array(np.ones((2, 8)), mask=False), "a masked one would lose its mask"),
        (np.array(1.0), "must have at least one axis, got a 0-d array"),
        (np.float64(1.0), "must be a NumPy array, got float64"),
    ],
    ids=["list", "float", "none", "int", "bool", "complex", "object", "text", "longdouble", "masked", "0d", "scalar"],
)
def test_what_is_no_array_of_floats_is_refused(d: Definition, x: Any, message: str) -> None:
    inputs = [np.ones((2, 1))] * len([i for i in d.inputs if i.where != "function"])
    name = f"{d.name}: {d.subject} must"
    with pytest.raises(NormlabError, match=name) as caught:
        made(d)(x, *inputs)
    assert message in str(caught.value)
    others = {"weight": np.ones((2, 8))} if d.name == "film" else {}
    others |= {"u": np.ones(8)} if d.name == "spectral_norm" else {}
    others |= {"key": 0} if d.role == "dropout" else {}
    with pytest.raises(NormlabError, match="must") as caught:
        getattr(functional, d.name)(x, **others)
    assert message in str(caught.value) or "must be a NumPy array" in str(caught.value)


def test_an_array_of_another_framework_is_named() -> None:
    import torch

    for call in (lambda t: nl.normalize(t, "n [c]"), functional.selu):
        with pytest.raises(DtypeError, match=r"must be a NumPy array, got torch\.Tensor\. Convert with numpy\.asarray"):
            call(torch.ones(2, 3))


@pytest.mark.parametrize("d", [d for d in acting() if d.params and d.role == "norm"], ids=lambda d: d.name)
@pytest.mark.parametrize("value", [np.ones(CHANNELS) * 1j, np.full(CHANNELS, None), np.full(CHANNELS, "a"), [[1], [2, 3]]])
def test_a_parameter_must_hold_real_numbers(d: Definition, value: Any) -> None:
    layout = {"layout": "n c ..."} if d.layout != "n c ..." else {}
    with pytest.raises(NormlabError, match=f"{d.name}: weight must"):
        getattr(functional, d.name)(np.ones((3, CHANNELS, 2)), value, **layout)


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_the_wrong_number_of_channels_names_both(d: Definition) -> None:
    for layout in layouts(d):
        if layout == "...":
            continue
        case = Case(d, layout, shape_of(layout, 3) or ())
        names = layout.split()
        axis = names.index("c" if "c" in names else "o") - (len(names) if names[-1] in "c" else 0)
        x = np.repeat(case.x(), 2, axis)
        with pytest.raises(ShapeError, match=f"{d.name}: the layer was made for {CHANNELS} channels"):
            made(d, layout=layout)(x, **case.inputs())
        without = face.build(d, CHANNELS, layout=layout, affine=False)
        if d.start is None:
            with pytest.raises(ShapeError, match="was made for"):
                without(x, **case.inputs())


@pytest.mark.parametrize(
    ("shape", "layout", "message"),
    [
        ((8,), "n c ...", "needs at least 2 axes, got 1"),
        ((4, 0), "n c ...", "at least one channel"),
        ((4, 0, 3), "n c ...", "at least one channel"),
        ((0, 0), "n c ...", "at least one channel"),
        ((4, 8, 2), "n c", "needs 2 axes, got 3"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(shape: tuple[int, ...], layout: str, message: str) -> None:
    for call in (lambda: functional.batch_norm(np.ones(shape), layout=layout), lambda: face.InstanceNorm(None, affine=False, layout=layout)(np.ones(shape))):
        with pytest.raises(ShapeError, match=message):
            call()


@pytest.mark.parametrize("name", ["running_mean", "running_var"])
def test_running_statistics_come_in_pairs_and_fit(name: str) -> None:
    x = np.ones((4, 8))
    with pytest.raises(UsageError, match="give both running_mean and running_var"):
        functional.batch_norm(x, **{name: np.ones(8)})
    pair = {"running_mean": np.zeros(8), "running_var": np.ones(8), name: np.ones(7)}
    with pytest.raises(ShapeError, match=rf"batch_norm: {name} must have shape \(c,\) = \(8,\), got \(7,\)"):
        functional.batch_norm(x, **pair)
    with pytest.raises(UsageError, match="momentum=None .* needs a layer"):
        functional.batch_norm(x, running_mean=np.zeros(8), running_var=np.ones(8), momentum=None)


@pytest.mark.parametrize(
    ("weight", "message"),
    [((3, 7), r"weight must have the axes \(n=3, c=8\), or x's whole shape \(3, 8, 2\), got shape \(3, 7\)"), ((8,), "got shape"), ((3, 8, 1), "got shape")],
)
def test_a_condition_must_fit_the_input(weight: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        functional.film(np.ones((3, 8, 2)), np.ones(weight))


def test_the_inputs_of_a_call_are_checked() -> None:
    layer, x = face.FiLM(8, condition=5), np.ones((3, 8, 2))
    for z in (np.ones((3, 4)), np.ones((2, 5)), np.ones(5)):
        with pytest.raises(ShapeError, match=r"film: z must have the axes \(n=3, d=5\)"):
            layer(x, z)
    with pytest.raises(UsageError, match="z is required"):
        layer(x)
    with pytest.raises(UsageError, match="takes 1 inputs besides x, got 2"):
        layer(x, np.ones((3, 5)), np.ones((3, 5)))
    with pytest.raises(UnknownNameError, match="unknown input of FiLM 'y'"):
        layer(x, y=np.ones((3, 5)))
    with pytest.raises(UnknownNameError, match="unknown input of BatchNorm 'z'"):
        face.BatchNorm(8)(x, z=x)


def test_film_takes_a_factor_for_each_position_in_any_layout() -> None:
    random = np.random.default_rng(0)
    x, w, b = random.standard_normal((3, 2, 8, 4))
    wanted = w * x + b
    compare(functional.film(x, w, b), wanted, "identity")
    moved = [np.moveaxis(a, 1, -1) for a in (x, w, b)]
    compare(functional.film(*moved, layout="n ... c"), np.moveaxis(wanted, 1, -1), "identity")
    per_channel = functional.film(np.moveaxis(x, 1, -1), w[:, :, 0], layout="n ... c")
    compare(per_channel, np.moveaxis(x * w[:, :, :1], 1, -1), "identity")


# Corners


@pytest.mark.parametrize("case", CASES, ids=spoken)
def test_an_empty_batch_is_an_empty_output(case: Case) -> None:
    if "c" not in case.layout and case.layout != "...":
        return  # weights have no batch
    d, layer = case.definition, case.layer()
    before = {n: np.asarray(a).copy() for n, a in layer.state.items()}
    axis = case.layout.split().index("n") if "n" in case.layout.split() else 0
    x = np.delete(case.x(), slice(None), axis)
    inputs = {n: a[:0] for n, a in case.inputs().items()}
    y = layer(x, **inputs)
    assert y.shape == x.shape and y.dtype == x.dtype
    assert layer.backward(y).shape == x.shape
    assert layer.grads.keys() == {*layer.params, *inputs}
    assert all(not np.any(g) and g.shape == layer.params[n].shape for n, g in layer.grads.items() if n in layer.params)
    assert layer.backward(np.zeros((3, *x.shape))).shape == (3, *x.shape)
    for name, value in before.items():
        same_bytes(np.asarray(layer.state[name]), value, name)
    if before:
        made_ = getattr(functional, d.name)(
            x, layout=case.layout, running_mean=before["running_mean"], running_var=before["running_var"]
        )
        assert len(made_) == 3 and not np.shares_memory(made_[1], before["running_mean"])


SINGLE = [("batch_norm", (1, 8)), ("batch_norm", (1, 8, 1, 1)), ("instance_norm", (5, 8)), ("instance_norm", (5, 8, 1)),
          ("group_norm", (5, 8)), ("layer_norm", (5, 1)), ("whole_norm", (1, 1))]  # fmt: skip


@pytest.mark.parametrize(("name", "shape"), SINGLE, ids=str)
def test_a_set_of_one_names_the_method_the_shape_and_its_size(name: str, shape: tuple[int, ...]) -> None:
    d = nl.method(name)
    options = {"groups": 8} if name == "group_norm" else {}
    channels = shape[-1] if d.layout == "... c" else shape[1]
    for training in (True, False):
        for layer in (face.build(d, channels, options={**options, **({"running": False} if d.has_running else {})}),):
            layer.training = training
            with pytest.raises(ShapeError) as caught:
                layer(np.ones(shape))
            assert all(word in str(caught.value) for word in (f"{name}:", str(shape), "1 element in each set", "at least 2"))
    if d.has_running:
        layer = face.build(d, channels, options={"running": True})
        pytest.raises(ShapeError, layer, np.ones(shape))
        assert layer.eval()(np.ones(shape)).shape == shape  # what was kept needs no set


def test_a_set_of_one_that_is_not_centred_is_no_error() -> None:
    compare(functional.rms_norm(np.array([[3.0], [-2.0]]), eps=0.0), np.array([[1.0], [-1.0]]), "worked")
    compare(functional.unit_norm(np.array([[3.0], [-2.0]])), np.array([[1.0], [-1.0]]), "worked")


@pytest.mark.parametrize("case", CASES, ids=spoken)
def test_input_may_be_read_only_reversed_broadcast_or_misaligned(case: Case) -> None:
    """Case 32: and what comes back may be written to."""
    layer, inputs, x = case.layer(), case.inputs(), case.x()
    layer = layer.eval() if case.definition.role == "dropout" else layer
    state = dict(layer.state)

    def call(a: np.ndarray) -> np.ndarray:
        layer.state = dict(state)
        y = layer(a, **inputs)
        assert y.flags.writeable and not np.shares_memory(a, y)
        dx = layer.backward(np.broadcast_to(np.float64(1.0), y.shape))
        assert dx.flags.writeable
        y[...] = y  # an expanded input must not give an expanded output
        return y

    wanted = call(x)
    frozen = x.copy()
    frozen.setflags(write=False)
    same_bytes(call(frozen), wanted, "read-only")
    for axis in range(x.ndim):
        same_bytes(np.ascontiguousarray(call(np.ascontiguousarray(np.flip(x, axis))[tuple(slice(None, None, -1) if k == axis else slice(None) for k in range(x.ndim))])), wanted, "reversed")
    raw = np.zeros(x.nbytes + 1, np.uint8)
    odd = raw[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    assert not odd.flags.aligned
    same_bytes(call(odd), wanted, "misaligned")
    spaced = np.zeros((*x.shape[:-1], x.shape[-1] * 3))[..., ::3]
    spaced[...] = x
    same_bytes(np.ascontiguousarray(call(spaced)), wanted, "strided")
    row = np.broadcast_to(x[:1], x.shape)
    assert row.strides[0] == 0 or x.shape[0] == 1
    same_bytes(np.ascontiguousarray(call(row)), np.ascontiguousarray(call(row.copy())), "broadcast")
    swapped = call(x.astype(">f8"))
    assert swapped.dtype == np.dtype(">f8")
    same_bytes(swapped.astype(np.float64), wanted, "big endian")


def test_a_subclass_comes_back_as_a_plain_array(tmp_path: Any) -> None:
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=(4, 3))
    mapped[...] = np.arange(12).reshape(4, 3) ** 2
    y = functional.batch_norm(mapped)
    assert type(y) is np.ndarray


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("case", [c for c in cases(everything=False) if len(c.shape) == 4 and c.definition.forward is None], ids=spoken)
def test_what_is_not_finite_stays_in_its_own_set(case: Case, bad: float) -> None:
    """Case 31: forward and back, and without a warning."""
    layer, x = case.layer(), case.x()
    state = dict(layer.state)
    clean = layer(x)
    clean_dx = layer.backward(case.dy())
    index = (1,) * 1 + tuple(s - 1 for s in x.shape[1:])
    x[index] = bad
    line = case.definition.lines(layer.options)[""].arrange(case.layout)
    sets = nl.shares(line, x.shape, **case.definition.factor_sizes(layer.options, CHANNELS))
    same = sets == sets[index]
    layer.state = state
    y = layer(x)
    dx = layer.backward(case.dy())
    assert not np.all(np.isfinite(y[same]))
    same_bytes(y[~same], clean[~same], "the other sets")
    same_bytes(dx[~same], clean_dx[~same], "the other sets, back")


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, 1000.1, -3.3e-200, 1e300, 5e-324, 1 / 3], ids=repr)
@pytest.mark.parametrize("eps", [0.0, 1e-30, 1e-5])
@pytest.mark.parametrize("case", [c for c in cases(everything=False) if len(c.shape) == 4 and c.definition.centre and c.definition.forward is None], ids=spoken)
def test_a_constant_set_gives_exactly_the_bias(case: Case, value: float, eps: float) -> None:
    """Case 10: elsewhere the rounding of the mean comes out times 1/sqrt(eps)."""
    d = case.definition
    layer = face.build(d, CHANNELS, layout=case.layout, eps=eps)
    layer.params = {n: np.arange(1.0, 9.0) for n in layer.params}
    y = layer(np.full(case.shape, value))
    bias = np.arange(1.0, 9.0)
    shape = [CHANNELS if name == CHANNELS else 1 for name in case.shape]
    same_bytes(y, np.ascontiguousarray(np.broadcast_to(bias.reshape(shape), y.shape)), str(value))
    assert np.all(np.isfinite(layer.backward(case.dy())))


@pytest.mark.parametrize("length", [2, 3, 7, 31, 32, 33, 97, 128, 129, 1023, 1024, 1025, 4097])
def test_a_constant_row_of_any_length_has_no_spread(length: int) -> None:
    for value in (1000.1, 0.1, 1e15 + 0.3, 7e-12, -2 / 3):
        for dtype in (np.float32, np.float64):
            y = functional.layer_norm(np.full((2, length), value, dtype), eps=0.0)
            assert not np.any(y), (value, dtype)


def test_one_method_at_a_time_is_safe_in_threads_and_forks() -> None:
    """Case 35: inside a forked worker, in several threads at once."""
    from concurrent.futures import ThreadPoolExecutor

    x = np.random.default_rng(0).standard_normal((50, 32, 9))
    wanted = functional.group_norm(x, groups=4)
    with ThreadPoolExecutor(4) as pool:
        for y in pool.map(lambda _: functional.group_norm(x, groups=4), range(16)):
            same_bytes(y, wanted, "threads")


def _in_a_worker(queue: Any) -> None:
    x = np.random.default_rng(0).standard_normal((50, 32, 9))
    layer = face.GroupNorm(32, groups=4)
    y = layer(x)
    queue.put((y.tobytes(), layer.backward(y).tobytes()))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of any fork beside threads
def test_a_forked_worker_gives_the_same_bytes() -> None:
    """Case 35: elsewhere a library's threads are gone after a fork and the worker waits for ever (pytorch#19163)."""
    x = np.random.default_rng(0).standard_normal((50, 32, 9))
    layer = face.GroupNorm(32, groups=4)
    y = layer(x)
    wanted = (y.tobytes(), layer.backward(y).tobytes())
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this platform does not fork")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=_in_a_worker, args=(queue,), daemon=True)
    worker.start()
    assert queue.get(timeout=60) == wanted
    worker.join(60)
    assert worker.exitcode == 0


def test_every_layer_was_met() -> None:
    assert {c.definition.name for c in CASES} == {d.name for d in acting()}
    assert {d.name for d in registry.methods()} - {d.name for d in acting()} == {d.name for d in registry.methods() if d.role == "input"}
