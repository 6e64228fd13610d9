"""The layers of `normlab.jax`: the numbers of NumPy's, and what a pure layer is: fixed, hashable, explicit about state."""

from __future__ import annotations

import copy
import inspect
import pickle
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import normlab as nl
from comparing import compare, same_bytes
from grid import CHANNELS, Case, acting, cases, layouts, shape_of, spoken
from normlab.definition import Definition
from normlab.jax import Layer, build
from normlab.registry import Registry

ids = {"ids": lambda value: getattr(value, "name", str(value))}
KEY = 3


def inputs_of(d: Definition, case: Case) -> dict[str, Any]:
    return {n: jnp.asarray(a) for n, a in case.inputs().items()}


def plain_case(d: Definition, **settings: Any) -> Case:
    return next(c for c in cases(everything=False, **settings) if c.definition is d and len(c.shape) == 4)


def made(case: Case, like: nl.numpy.Layer | None = None) -> tuple[Layer, Any, Any]:
    """The case's layer, and its parameters and state, those of `like` where that is given."""
    extra = {} if case.running is None or not case.definition.has_running else {"running": case.running}
    layer = build(
        case.definition, case.channels, options={**case.options, **extra}, layout=case.layout, dtype=case.dtype,
        affine=case.affine != "plain", bias=case.affine == "affine",
    )  # fmt: skip
    params, state = layer.init(KEY)
    if like is not None:
        params = {n: jnp.asarray(like.params[n]) for n in params}
        state = {n: jnp.asarray(like.state[n], a.dtype) for n, a in state.items()}
    return layer, params, state


# Every method, and every option at each of its kinds of values, once; the grid crosses them with all else.
EACH = [c for c in cases(dtype="float64") if (len(c.shape) == 4 and c.layout == layouts(c.definition)[0]) or c.options]
EACH += [plain_case(d, dtype="float64", running=True, training=False) for d in acting() if d.has_running]


@pytest.mark.parametrize("case", [c for c in EACH if c.definition.role != "dropout"], ids=spoken)
def test_values_gradients_and_state_are_those_of_numpy(case: Case) -> None:
    """In float64 under JAX's switch, where both are right to a few units."""
    ours = case.layer()
    with jax.enable_x64(True):
        layer, params, state = made(case, ours)

        @jax.jit
        def both(params: Any, x: Any, inputs: Any, dy: Any) -> Any:
            y, pull, new = jax.vjp(lambda *given: layer(given[0], state, given[1], training=case.training, **given[2]), params, x, inputs, has_aux=True)
            return y, new, pull(dy)

        y, new, (dparams, dx, dinputs) = both(params, case.x(), inputs_of(case.definition, case), case.dy())
    compare(np.asarray(y), ours(case.x(), **case.inputs()), "identity")
    compare(np.asarray(dx), ours.backward(case.dy()), "identity")
    for name, g in {**dparams, **dinputs}.items():
        compare(np.asarray(g), ours.grads[name], "identity", name)
    assert set(new) == set(ours.state)
    for name, a in new.items():
        compare(np.asarray(a, np.float64), ours.state[name].astype(np.float64), "identity", name)


@pytest.mark.parametrize("d", acting(), **ids)
def test_every_layer_is_called_alike(d: Definition) -> None:
    case = plain_case(d, dtype="float32")
    layer, params, state = made(case)
    key = {"key": 1} if d.role == "dropout" else {}
    before = jax.tree.map(np.array, (params, state))
    y, new = layer(params, state, jnp.asarray(case.x()), training=True, **key, **inputs_of(d, case))
    assert (y.shape, y.dtype) == (case.shape, jnp.float32)
    assert jax.tree.structure(new) == jax.tree.structure(state) and (state == {}) == (new == {})
    assert {n: a.dtype for n, a in new.items()} == {n: a.dtype for n, a in state.items()}
    jax.tree.map(same_bytes, before, jax.tree.map(np.array, (params, state)))
    _, kept = layer(params, new, jnp.asarray(case.x()), training=False, **inputs_of(d, case))
    jax.tree.map(same_bytes, jax.tree.map(np.array, new), jax.tree.map(np.array, kept))


@pytest.mark.parametrize("d", acting(), **ids)
def test_a_layer_is_a_value(d: Definition) -> None:
    layer, other = (build(d, CHANNELS) for _ in range(2))
    assert layer == other and hash(layer) == hash(other) and layer is not other
    assert build(d, CHANNELS, dtype="bfloat16") != layer
    assert {layer: 1}[pickle.loads(pickle.dumps(layer))] == 1 and copy.deepcopy(layer) == layer
    with pytest.raises(AttributeError, match="a layer does not change"):
        layer.eps = 1.0
    assert eval(repr(layer), {d.class_name: getattr(nl.jax, d.class_name)}) == layer
    assert jax.tree.leaves(layer) == []  # an argument of a jitted function, or a part of one


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "vocabulary").glob("*.py")), ids=lambda path: path.stem)
def test_a_method_of_the_vocabulary_gives_what_it_gives_on_numpy(path: Path, tmp_path: Path) -> None:
    """Forwards that whiten, stop, draw on several lines: values and gradients, in float64."""
    shutil.copy(path, tmp_path)
    d = Registry(tmp_path).find(path.stem)
    ours, random = nl.numpy.build(d, 8), np.random.default_rng(0)
    x = random.standard_normal((8, 4, 3) if d.role == "weight" else (4, 8, 3, 2)) + 0.3
    x = np.moveaxis(x, 1, -1).copy() if d.layout == "... c" else x
    ours.params.update({n: random.standard_normal(a.shape) for n, a in ours.params.items()})
    inputs = {"label": np.eye(3)[[0, 2, 1, 2]]} if d.inputs else {}
    before = {n: a.copy() for n, a in ours.state.items()}
    y, dy = ours(x, **inputs), random.standard_normal(x.shape)
    dx = ours.backward(dy)
    with jax.enable_x64(True):
        layer = build(d, 8, dtype="float64")
        state = {n: jnp.asarray(before[n]) for n in layer.init()[1]}
        made, pull, new = jax.vjp(lambda p, x: layer(p, state, x, **inputs), {n: jnp.asarray(a) for n, a in ours.params.items()}, jnp.asarray(x), has_aux=True)
        dparams, found = pull(jnp.asarray(dy))
    # A whitening's own conditioning, some hundreds, stands between the two; the figure is the vocabulary's tests' own.
    np.testing.assert_allclose(made, y, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found, dx, rtol=1e-7, atol=1e-8)
    for n, a in {**dparams, **new}.items():
        np.testing.assert_allclose(a, {**ours.grads, **ours.state}[n], rtol=1e-7, atol=1e-8)


def test_options_make_layers_differ() -> None:
    made = [nl.jax.BatchNorm(8), nl.jax.BatchNorm(8, eps=1e-3), nl.jax.BatchNorm(8, momentum=None), nl.jax.BatchNorm(8, bias=False), nl.jax.BatchNorm(8, affine=False),
            nl.jax.BatchNorm(8, running=False), nl.jax.BatchNorm(4), nl.jax.BatchNorm(8, layout="n ... c"), nl.jax.BatchNorm(8, axis_name="batch"), nl.jax.WholeNorm(8)]  # fmt: skip
    assert len(set(made)) == len(made)
    assert repr(made[8]).endswith("axis_name='batch')")
    assert pickle.loads(pickle.dumps(made[8])) == made[8]


def test_a_layer_of_an_unregistered_definition_is_pickled_with_it() -> None:
    assert pickle.loads(pickle.dumps(build(nl.method("rms_norm"), 4))).definition is nl.method("rms_norm")


def test_a_layer_is_an_argument_of_a_jitted_function() -> None:
    traced = []

    def apply(layer: Layer, params: Any, x: Any) -> Any:
        traced.append(layer)
        return layer(params, {}, x)[0]

    x = jnp.arange(6.0).reshape(2, 3)
    for run in (jax.jit(apply), jax.jit(apply, static_argnums=0)):
        traced.clear()
        for _ in range(2):
            layer = nl.jax.LayerNorm(3)
            y = run(layer, layer.init(0)[0], x)
        assert len(traced) == 1  # equal layers are one program
        same_bytes(np.asarray(y), np.asarray(layer(layer.init(0)[0], {}, x)[0]))


@pytest.mark.parametrize("d", acting(), **ids)
def test_a_layer_has_the_signature_of_the_others_and_its_dtype(d: Definition) -> None:
    ours, numpys = (inspect.signature(getattr(face, d.class_name)) for face in (nl.jax, nl.numpy))
    assert [n for n in ours.parameters if n not in ("dtype", "axis_name")] == [n for n in numpys.parameters if n not in ("dtype", "key")]
    assert "shares a statistic" in str(getattr(nl.jax, d.class_name).__doc__) or d.pools is None
    assert getattr(nl.jax, d.class_name).__module__ == "normlab.jax"


@pytest.mark.parametrize("d", [d for d in acting() if d.has_running], **ids)
def test_running_statistics_are_wide_and_counted(d: Definition) -> None:
    layer = build(d, 8, dtype="bfloat16", options={"running": True})
    params, state = layer.init()
    assert {str(a.dtype) for n, a in state.items() if n != "num_batches_tracked"} == {"float32"}
    assert state["num_batches_tracked"].dtype == jnp.int32
    assert {str(a.dtype) for a in params.values()} == {"bfloat16"}
    assert build(d, 8, options={"running": False}).init()[1] == {}


def test_the_cumulative_mean_counts_inside_a_compiled_loop() -> None:
    """momentum=None: the mean of all batches' statistics; the number of the batch is an array, never Python's."""
    batches = np.random.default_rng(0).standard_normal((5, 16, 8)).astype(np.float32) * 3 + 2
    layer = nl.jax.BatchNorm(8, momentum=None)
    params, state = layer.init()
    after, _ = jax.lax.scan(lambda s, x: (layer(params, s, x)[1], None), state, jnp.asarray(batches))
    assert int(after["num_batches_tracked"]) == 5
    wide = batches.astype(np.float64)
    # Five roundings of the mixing on top of the statistic's own.
    compare(np.asarray(after["running_mean"]), wide.mean(1).mean(0), "identity")
    compare(np.asarray(after["running_var"]), wide.var(1, ddof=1).mean(0), "identity")


def test_what_starts_at_random_follows_the_key() -> None:
    film, spectral = nl.jax.FiLM(4, condition=400), nl.jax.SpectralNorm(1000)
    same, other = (film.init(key)[0]["projection"] for key in (jax.random.key(1), 2))
    same_bytes(np.asarray(same), np.asarray(film.init(1)[0]["projection"]))
    same_bytes(np.asarray(same), np.asarray(film.init(jnp.asarray(jax.random.key_data(jax.random.key(1))))[0]["projection"]))
    assert not np.array_equal(same, other)
    # 3,200 numbers: their standard deviation is within 5 of its own standard errors, sigma / sqrt(2 * 3200).
    assert abs(float(same.std()) * 20 - 1) < 5 / np.sqrt(2 * 3200)
    assert abs(float(jnp.linalg.norm(spectral.init(0)[1]["u"])) - 1) < 1e-6


@pytest.mark.parametrize("start", ["norm", "one", "data"])
@pytest.mark.parametrize("layout", ["o i ...", "i o ..."])
def test_a_start_that_presumes_data_is_numpys(start: str, layout: str) -> None:
    d = nl.method("weight_norm")
    v = np.random.default_rng(0).standard_normal(shape_of(layout, 2) or ()).astype(np.float32)
    batch = np.random.default_rng(1).standard_normal((16, v.size // CHANNELS)).astype(np.float32)
    rows = (lambda w: w.T) if layout.startswith("o") else (lambda w: w)
    respond = (lambda w: batch @ rows(w)) if start == "data" else None
    ours, layer = nl.numpy.WeightNorm(CHANNELS, layout=layout, start=start, dtype="float32"), build(d, CHANNELS, layout=layout, options={"start": start})
    extra, (params, more) = ours.start(v, respond), layer.start(layer.init()[0], v, respond)
    assert set(extra) == set(more)
    compare(np.asarray(params["g"]), ours.params["g"].astype(np.float64), "identity")
    if start == "norm":  # then the weights stay as they were
        compare(np.asarray(layer(params, {}, v)[0]), v, "identity")
    for name, a in more.items():
        compare(np.asarray(a), extra[name].astype(np.float64), "identity")


def test_a_start_from_data_needs_responses() -> None:
    layer = nl.jax.WeightNorm(3, start="data")
    with pytest.raises(nl.NormlabError, match="needs the responses"):
        layer.start(layer.init()[0], jnp.ones((3, 2)))
    plain = nl.jax.LayerNorm(3)
    assert plain.start(plain.init()[0], jnp.ones(3))[1] == {}


def test_dropout_follows_its_key_and_lets_pass_in_evaluation() -> None:
    layer, x = nl.jax.AlphaDropout(p=0.4), jnp.linspace(-2, 2, 1000)
    once, again, other = (layer({}, {}, x, key=key)[0] for key in (1, jax.random.key(1), 2))
    same_bytes(np.asarray(once), np.asarray(again))
    assert not np.array_equal(once, other)
    same_bytes(np.asarray(layer({}, {}, x, training=False)[0]), np.asarray(x))
    dropped = np.unique(np.asarray(once), return_counts=True)[1].max()  # all of them are one number
    assert abs(dropped / 1000 - 0.4) < 5 * np.sqrt(0.24 / 1000)  # five standard errors


def test_several_sizes_at_the_end_are_the_channels() -> None:
    layer = nl.jax.LayerNorm((3, 4))
    params, _ = layer.init()
    x = np.random.default_rng(0).standard_normal((5, 3, 4)).astype(np.float32)
    compare(np.asarray(layer(params, {}, x)[0]), nl.numpy.LayerNorm((3, 4))(x.astype(np.float64)), "identity")


def test_an_empty_batch_gives_an_empty_output_zero_gradients_and_the_state() -> None:
    layer = nl.jax.BatchNorm(3)
    params, state = layer.init()
    x = jnp.zeros((0, 3, 2))
    y, pull, new = jax.vjp(lambda p: layer(p, state, x), params, has_aux=True)
    assert y.shape == (0, 3, 2)
    assert all(not np.any(g) for g in pull(y)[0].values())
    jax.tree.map(lambda a, b: same_bytes(np.asarray(a), np.asarray(b)), new, state)
