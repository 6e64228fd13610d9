"""The MLX face's layers are modules like MLX's own: trained, frozen, saved, copied, cast."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten

import normlab as nl
from grid import acting
from normlab import signatures
from normlab.definition import Definition, from_line
from normlab.mlx import Layer, build, layer_class

COUNT = "num_batches_tracked"
KEEPING = [d for d in acting() if d.has_running]
STARTING = [d for d in acting() if d.start is not None]


def ids(d: Definition) -> str:
    return d.name


def sample(d: Definition, *, seed: int = 0) -> tuple[mx.array, dict[str, mx.array]]:
    """An input of 8 channels with a mean, and the further inputs of the layer."""
    random = np.random.default_rng(seed)
    shape = (8, 4, 3) if "o" in d.layout.split() else (4, 3, 8) if d.layout.endswith(" c") else (4, 8, 3)
    inputs = {i.name: mx.array(random.standard_normal((4, 1)).astype(np.float32)) for i in d.inputs if i.where != "function"}
    return mx.array((random.standard_normal(shape) + 0.5).astype(np.float32)), inputs


def used(d: Definition, **settings: Any) -> tuple[Layer, mx.array, dict[str, mx.array]]:
    """A layer that was called once, so that nothing in it is as it was made."""
    layer = build(d, 8, options={"running": True} if d.has_running else {}, **settings)
    x, inputs = sample(d)
    layer(x, **inputs)
    return layer, x, inputs


@pytest.mark.parametrize("d", acting(), ids=ids)
def test_every_method_has_a_module_with_its_own_name_and_signature(d: Definition) -> None:
    made = getattr(nl.mlx, d.class_name)
    assert issubclass(made, nn.Module) and made is layer_class(d)
    assert (made.__module__, made.__qualname__) == ("normlab.mlx", d.class_name)
    assert list(inspect.signature(made).parameters) == [*signatures.layer_signature(d).parameters, "dtype"]
    assert d.title in (made.__doc__ or "") and d.class_name in dir(nl.mlx)


def test_an_unknown_layer_is_an_attribute_error_that_lists_the_known() -> None:
    with pytest.raises(AttributeError, match=r"no layer 'BatchNrm'; it has AlphaDropout, BatchNorm"):
        nl.mlx.BatchNrm  # noqa: B018


@pytest.mark.parametrize("d", acting(), ids=ids)
def test_parameters_are_trained_and_state_is_not(d: Definition) -> None:
    layer = used(d)[0]
    learnt, held = {p.name for p in d.params}, {s.name for s in d.states} | ({COUNT} if d.has_running else set())
    learnt -= {p.name for p in d.params if p.where == "function"}
    assert set(dict(tree_flatten(layer.trainable_parameters()))) == learnt
    assert set(dict(tree_flatten(layer.parameters()))) == learnt | held


@pytest.mark.parametrize("d", [d for d in acting() if d.states], ids=ids)
def test_no_way_of_unfreezing_makes_state_trainable(d: Definition) -> None:
    layer = build(d, 8, options={"running": True} if d.has_running else {})
    learnt = set(dict(tree_flatten(layer.trainable_parameters())))
    model = nn.Sequential(nn.Linear(4, 8), layer)
    # From the root MLX clears each module's set itself: a layer's own `unfreeze` is not asked.
    for change in (model.unfreeze, layer.unfreeze, lambda: model.unfreeze(keys=[s.name for s in d.states])):
        change()
        assert set(dict(tree_flatten(layer.trainable_parameters()))) == learnt
    model.freeze()
    assert not tree_flatten(layer.trainable_parameters())
    model.unfreeze()
    assert set(dict(tree_flatten(layer.trainable_parameters()))) == learnt


@pytest.mark.parametrize("d", KEEPING, ids=ids)
def test_running_statistics_move_in_training_only(d: Definition) -> None:
    layer, x, _ = used(d)
    before = {n: np.array(layer[n]) for n in ("running_mean", "running_var", COUNT)}
    assert before[COUNT] == 1
    assert layer.eval() is layer and not layer.training
    layer(x)
    assert all(np.array_equal(layer[n], a) for n, a in before.items())
    layer.train()(x + 1)
    assert not np.array_equal(layer["running_mean"], before["running_mean"]) and layer[COUNT] == 2


@pytest.mark.parametrize("d", KEEPING, ids=ids)
def test_the_cumulative_mean_weighs_all_batches_alike(d: Definition) -> None:
    layer = build(d, 8, options={"momentum": None, "running": True})
    batches = [sample(d, seed=k)[0] for k in range(3)]
    means = []
    for x in batches:
        single = build(d, 8, options={"momentum": 1.0, "running": True})
        single(x), layer(x)
        means.append(np.array(single.running_mean))
    # Three mixtures in float32, each right to a unit or two.
    np.testing.assert_allclose(layer.running_mean, np.mean(means, axis=0), rtol=0, atol=8 * 2**-23)


def test_an_empty_batch_changes_nothing() -> None:
    layer = nl.mlx.BatchNorm(8)
    assert layer(mx.zeros((0, 8, 3))).shape == (0, 8, 3)
    assert layer[COUNT] == 0 and np.array_equal(layer.running_var, np.ones(8))
    _, gradients = nn.value_and_grad(layer, lambda x: layer(x).sum())(mx.zeros((0, 8, 3)))
    assert np.array_equal(gradients["weight"], np.zeros(8)) and np.array_equal(gradients["bias"], np.zeros(8))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("d", [d for d in acting() if d.params or d.states], ids=ids)
def test_what_is_saved_comes_back(d: Definition, suffix: str, tmp_path: Path) -> None:
    layer, x, inputs = used(d)
    path = str(tmp_path / f"weights{suffix}")
    nn.Sequential(layer).save_weights(path)
    other = build(d, 8, options={"running": True} if d.has_running else {})
    nn.Sequential(other).load_weights(path)
    assert_same(layer.eval(), other.eval(), x, inputs)


@pytest.mark.parametrize("way", [copy.deepcopy, copy.copy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["deepcopy", "copy", "pickle"])
@pytest.mark.parametrize("d", acting(), ids=ids)
def test_a_copy_is_the_same_layer(d: Definition, way: Any) -> None:
    layer, x, inputs = used(d, dtype=mx.bfloat16)
    layer.freeze(keys=[p.name for p in d.params][:1])
    other = way(layer.eval())
    assert type(other) is type(layer) and repr(other) == repr(layer) and other is not layer
    assert other.trainable_parameters().keys() == layer.trainable_parameters().keys()
    assert_same(layer, other, x, inputs)


@pytest.mark.parametrize("d", STARTING, ids=ids)
def test_a_layer_that_has_not_started_starts_in_its_copy_too(d: Definition) -> None:
    x, _ = sample(d)
    layer = build(d, 8)
    other = pickle.loads(pickle.dumps(layer))
    assert_same(layer, other, x, {})
    assert any(not np.array_equal(other[p.name], np.ones(8)) for p in d.params)


@pytest.mark.parametrize("d", STARTING, ids=ids)
def test_a_layer_whose_parameters_were_set_keeps_them(d: Definition) -> None:
    x, _ = sample(d)
    layer = build(d, 8)
    layer.update({p.name: mx.full((8,), 3.0) for p in d.params})
    layer(x)
    assert all(np.array_equal(layer[p.name], np.full(8, 3.0)) for p in d.params)


def assert_same(one: Layer, other: Layer, x: mx.array, inputs: dict[str, mx.array]) -> None:
    ours, theirs = (dict(tree_flatten(layer.parameters())) for layer in (one, other))
    assert ours.keys() == theirs.keys() and all(mx.array_equal(a, theirs[n]) for n, a in ours.items())
    assert mx.array_equal(one(x, **inputs), other(x, **inputs))


def test_a_layer_of_a_definition_of_one_s_own_is_pickled_by_its_definition() -> None:
    layer = build(from_line("n [c]"), 8)
    again = pickle.loads(pickle.dumps(layer))
    x = mx.random.normal((4, 8))
    assert mx.array_equal(layer(x), again(x)) and type(again).__name__ == "Normalize"


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_statistics_stay_wide_whatever_the_parameters_become(dtype: mx.Dtype) -> None:
    layer = nl.mlx.BatchNorm(8, dtype=dtype)
    model = nn.Sequential(nn.Linear(8, 8), layer)
    model.set_dtype(dtype)
    model(mx.random.normal((4, 8)).astype(dtype))
    model.update({"layers": [{}, {"running_mean": mx.ones(8, dtype=dtype)}]})
    assert layer.weight.dtype == dtype and layer.running_mean.dtype == layer.running_var.dtype == mx.float32
    assert layer[COUNT].dtype == mx.int32


def test_a_network_learns_with_the_optimizer_of_mlx() -> None:
    mx.random.seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nl.mlx.BatchNorm(16), nn.ReLU(), nn.Linear(16, 1))
    x, optimizer = mx.random.normal((64, 4)), optim.SGD(0.1)
    target = mx.sin(x.sum(axis=1, keepdims=True))
    step = nn.value_and_grad(model, lambda x, t: nn.losses.mse_loss(model(x), t))
    losses = []
    for _ in range(60):
        loss, gradients = step(x, target)
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state)
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2 and model.layers[1][COUNT] == 60
    assert "running_mean" not in gradients["layers"][1]


def test_dropout_draws_from_mlx_s_own_numbers_and_a_key_repeats_them() -> None:
    layer, x = nl.mlx.AlphaDropout(p=0.3), mx.random.normal((16, 8))
    mx.random.seed(3)
    first, second = layer(x), layer(x)
    mx.random.seed(3)
    assert mx.array_equal(layer(x), first) and not mx.array_equal(first, second)
    drawn = [nl.functional.alpha_dropout(x, p=0.3, key=key) for key in (7, 7, mx.random.key(7), 8)]
    assert mx.array_equal(drawn[0], drawn[1]) and mx.array_equal(drawn[0], drawn[2]) and not mx.array_equal(drawn[0], drawn[3])
    assert mx.array_equal(layer.eval()(x), x)


WEIGHTS = [d for d in acting() if d.role == "weight"]
HOSTS = {
    "linear": (lambda: nn.Linear(6, 8), (4, 6)),
    "conv": (lambda: nn.Conv2d(3, 8, 2), (2, 5, 5, 3)),
    "transposed": (lambda: nn.ConvTranspose1d(3, 8, 2), (2, 5, 3)),
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("d", WEIGHTS, ids=ids)
def test_a_module_computes_with_its_weight_normalized(d: Definition, host: str) -> None:
    make, shape = HOSTS[host]
    module, x = make(), mx.random.normal(shape)
    raw = module.weight
    hosted = getattr(nl.mlx, d.name)(module)
    expected = copy.deepcopy(module)
    expected.weight = copy.deepcopy(hosted.norm)(raw)
    assert mx.array_equal(hosted(x), expected(x)) and module.weight is raw
    value, gradients = nn.value_and_grad(hosted, lambda x: hosted(x).square().sum())(x)
    assert np.isfinite(value.item()) and mx.abs(gradients["module"]["weight"]).max() > 0
    assert set(gradients["norm"]) == {p.name for p in d.params}
    assert repr(hosted.norm) in repr(hosted)


@pytest.mark.parametrize("d", WEIGHTS, ids=ids)
def test_a_host_without_such_a_weight_is_refused(d: Definition) -> None:
    with pytest.raises(nl.NormlabError, match=rf"{d.name}: module must be an MLX module with an array 'kernel', got Linear"):
        getattr(nl.mlx, d.name)(nn.Linear(2, 3), name="kernel")
    with pytest.raises(nl.NormlabError, match="got array"):
        getattr(nl.mlx, d.name)(mx.ones((3, 2)))


def test_it_shows_itself_as_a_line_of_python() -> None:
    assert repr(nl.mlx.GroupNorm(16, groups=4)) == "GroupNorm(16, groups=4, layout='n c ...', eps=1e-05)"
    assert "dtype=mlx.core.bfloat16" in repr(nl.mlx.GroupNorm(16, dtype=mx.bfloat16))
