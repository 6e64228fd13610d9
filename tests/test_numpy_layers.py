"""Layers as objects: state, modes, copies, names."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import normlab as nl
from comparing import compare, same_bytes
from grid import CHANNELS, Case, acting, cases, layouts, shape_of, spoken
from normlab import functional
from normlab import numpy as face
from normlab.definition import Definition, from_line
from normlab.errors import UsageError

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
