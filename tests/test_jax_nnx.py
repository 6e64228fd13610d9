"""`normlab.jax.nnx`: modules that live in Flax's way, and agree with Flax's own where those are right."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import normlab as nl
from comparing import compare, same_bytes
from grid import acting
from normlab.definition import Definition
from test_jax_layers import inputs_of, plain_case

ids = {"ids": lambda value: getattr(value, "name", str(value))}
faces = nl.jax.nnx
X = np.random.default_rng(0).standard_normal((6, 5, 4, 8)).astype(np.float32) * 2 + 1  # n ... c, as Flax has them
DY = np.random.default_rng(1).standard_normal(X.shape).astype(np.float32)


def module(d: Definition, channels: Any = 8, **options: Any) -> Any:
    return faces.build(d, channels, rngs=nnx.Rngs(0), options=options)


def norm_arrays(m: Any) -> tuple[Any, Any]:
    """Parameters and state, as the layer takes them."""
    return nnx.to_pure_dict(nnx.state(m, nnx.Param)), nnx.to_pure_dict(nnx.state(m, nnx.BatchStat))


# Flax's own, with its conventions translated: eps, channels last, two passes for the variance.
LAST = {"layout": "n ... c"}
TWINS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "flax.nnx.BatchNorm": ({"momentum": 0.9}, {**LAST, "momentum": 0.1, "running_var_biased": True}),  # of the old value
    "flax.nnx.LayerNorm": ({"epsilon": 1e-5}, {}),
    "flax.nnx.RMSNorm": ({"epsilon": 1e-5}, {}),
    "flax.nnx.GroupNorm": ({"num_groups": 2, "epsilon": 1e-5}, {**LAST, "groups": 2}),
    "flax.nnx.InstanceNorm": ({"epsilon": 1e-5}, LAST),
}
NAMED = {(d, k.name) for d in acting() for k in d.known_as if k.name.startswith("flax.nnx.")}
LAYERS = sorted((pair for pair in NAMED if pair[1] in TWINS), key=lambda pair: pair[1])


def test_every_twin_that_a_definition_names_is_compared() -> None:
    assert {name for _, name in NAMED} == {*TWINS, "flax.nnx.selu", "flax.nnx.SpectralNorm", "flax.nnx.WeightNorm"}


@pytest.mark.parametrize(("d", "name"), LAYERS, ids=[name for _, name in LAYERS])
def test_it_is_flaxs_own_with_the_conventions_translated(d: Definition, name: str) -> None:
    theirs_options, ours_options = TWINS[name]
    theirs = getattr(nnx, name.rpartition(".")[2])(8, use_fast_variance=False, **theirs_options, rngs=nnx.Rngs(0))
    ours = faces.build(d, 8, **ours_options)
    weight, bias = jnp.linspace(0.5, 2, 8), jnp.linspace(-1, 1, 8)
    theirs.scale[...] = ours.weight[...] = weight
    if hasattr(ours, "bias"):
        theirs.bias[...] = ours.bias[...] = bias

    def both(module: Any, x: Any) -> Any:
        return nnx.value_and_grad(lambda m, x: (m(x) * DY).sum(), argnums=(0, 1))(module, x)

    for _ in range(2):  # running statistics too
        (y, (slopes, dx)), (their_y, (their_slopes, their_dx)) = both(ours, X), both(theirs, X)
        # At |mean| about spread Flax's own error is a few units; this compares meanings, not digits.
        compare(np.asarray(dx), np.asarray(their_dx), "torch", name)
        compare(np.asarray(y), np.asarray(their_y), "torch", name, scale=float(np.abs(DY).sum()))
        compare(np.asarray(slopes["weight"][...]), np.asarray(their_slopes["scale"][...]), "torch gradient", name)
    compare(np.asarray(ours(X)), np.asarray(theirs(X)), "torch", name)
    if d.has_running and ours.layer.options["running"]:
        compare(np.asarray(ours.running_mean[...]), np.asarray(theirs.mean[...]), "torch", name)
        compare(np.asarray(ours.running_var[...]), np.asarray(theirs.var[...]), "torch", name)
        ours.eval(), theirs.eval()
        compare(np.asarray(ours(X)), np.asarray(theirs(X)), "torch", name)


def test_selu_is_flaxs_own() -> None:
    compare(np.asarray(faces.SELU()(X)), np.asarray(nnx.selu(jnp.asarray(X))), "transcendental")


@pytest.mark.parametrize("d", acting(), **ids)
def test_a_module_gives_what_the_layer_gives_and_keeps_its_state(d: Definition) -> None:
    case = plain_case(d, dtype="float32")
    x, inputs = jnp.asarray(case.x()), inputs_of(d, case)
    named = {"condition": case.inputs()["z"].shape[1]} if inputs else {}
    m = module(d, layout=case.layout, **named)
    params, state = norm_arrays(m)
    assert set(params) == {h.spec.name for h in m.layer.blueprint.params}
    wanted, new = m.layer(params, state, x, training=d.role != "dropout", **inputs)
    step = nnx.jit(lambda m, x, i: m(x, **i))
    if d.role != "dropout":
        same_bytes(np.asarray(step(m, x, inputs)), np.asarray(wanted))
        for name, a in new.items():
            same_bytes(np.asarray(getattr(m, name)[...]), np.asarray(a), name)
    m.eval()
    evaluated = step(m, x, inputs)
    same_bytes(np.asarray(evaluated), np.asarray(m.layer(params, new, x, training=False, **inputs)[0]))
    for name, a in new.items():
        same_bytes(np.asarray(getattr(m, name)[...]), np.asarray(a), name)
    merged = nnx.merge(*nnx.split(m))
    for again in (merged, pickle.loads(pickle.dumps(m)), copy.deepcopy(m)):
        same_bytes(np.asarray(step(again, x, inputs)), np.asarray(evaluated))
        assert again.layer == m.layer


def test_train_and_eval_reach_the_modules_inside_a_model() -> None:
    model = nnx.Sequential(nnx.Linear(4, 8, rngs=nnx.Rngs(0)), faces.BatchNorm(8), faces.AlphaDropout(p=0.5, rngs=nnx.Rngs(1)), nnx.BatchNorm(8, rngs=nnx.Rngs(0)))
    norm, drop, theirs = model.layers[1:]
    for act, value in ((model.eval, True), (model.train, False)):
        act()
        assert norm.use_running_average is drop.deterministic is theirs.use_running_average is value
    x = jnp.ones((3, 8)) * jnp.arange(3.0)[:, None]
    assert np.array_equal(norm(x, use_running_average=True), norm.layer(*norm_arrays(norm), x, training=False)[0])
    assert int(norm.num_batches_tracked[...]) == 0
    assert np.array_equal(drop(x, deterministic=True), x)
    assert not np.array_equal(drop(x), drop(x))  # its stream moves
    assert np.array_equal(drop(x, rngs=nnx.Rngs(7)), drop(x, rngs=nnx.Rngs(7)))
    assert np.array_equal(drop(x, rngs=jax.random.key(7)), drop(x, rngs=jax.random.key(7)))


def test_a_model_is_trained_and_evaluated_in_flaxs_way() -> None:
    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.first = faces.weight_norm(nnx.Linear(3, 16, rngs=rngs))
            self.norm, self.last = faces.BatchNorm(16), nnx.Linear(16, 1, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.last(jnp.tanh(self.norm(self.first(x))))

    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    x = jax.random.normal(jax.random.key(0), (64, 3)) + 5
    target = x.sum(1, keepdims=True) - 15
    before = np.asarray(model.first.norm.g[...])

    @nnx.jit
    def step(model: Any, optimizer: Any) -> Any:
        value, slopes = nnx.value_and_grad(lambda m: jnp.mean((m(x) - target) ** 2))(model)
        optimizer.update(model, slopes)
        return value

    values = [float(step(model, optimizer)) for _ in range(100)]
    assert values[-1] < 0.2 * values[0]
    assert int(model.norm.num_batches_tracked[...]) == 100
    assert np.abs(np.asarray(model.first.norm.g[...]) - before).min() > 1e-3  # Flax's own leaves its g as it was
    model.eval()
    evaluated = float(jnp.mean((model(x) - target) ** 2))
    assert abs(evaluated - values[-1]) < 0.2 * values[0] and int(model.norm.num_batches_tracked[...]) == 100


def test_vmap_makes_an_ensemble() -> None:
    make = nnx.vmap(lambda rngs: faces.FiLM(8, condition=3, rngs=rngs), in_axes=0, out_axes=0)
    many = make(nnx.Rngs(0).split(4))
    x, z = jax.random.normal(jax.random.key(0), (5, 8)), jnp.ones((5, 3))
    y = nnx.vmap(lambda m, x, z: m(x, z), in_axes=(0, None, None))(many, x, z)
    assert y.shape == (4, 5, 8) and not np.array_equal(y[0], y[1])
    norms = nnx.vmap(lambda _: faces.BatchNorm(8), in_axes=0)(jnp.arange(4))
    y = nnx.vmap(lambda m, x: m(x), in_axes=(0, 0))(norms, y)
    assert norms.running_mean[...].shape == (4, 8) and not np.array_equal(norms.running_mean[0], norms.running_mean[1])


def test_a_named_axis_is_one_batch() -> None:
    m = faces.BatchNorm(8, axis_name="batch", layout="... c")
    axes = nnx.StateAxes({...: None})
    y = nnx.vmap(lambda m, x: m(x), in_axes=(axes, 0), axis_name="batch")(m, jnp.asarray(X))
    compare(np.asarray(y), np.asarray(faces.BatchNorm(8, layout="n ... c")(X)), "identity")
    assert m.running_mean[...].shape == (8,) and int(m.num_batches_tracked[...]) == 1


HOSTS: list[tuple[str, Callable[[], Any], Any]] = [
    ("linear", lambda: nnx.Linear(8, 3, rngs=nnx.Rngs(0)), X[:, 0, 0]),
    ("convolution", lambda: nnx.Conv(8, 3, (3, 3), rngs=nnx.Rngs(0)), X),
    ("transposed", lambda: nnx.ConvTranspose(8, 3, (3, 3), transpose_kernel=True, rngs=nnx.Rngs(0)), X),
]  # fmt: skip


@pytest.mark.parametrize(("make", "x"), [h[1:] for h in HOSTS], ids=[h[0] for h in HOSTS])
def test_a_host_keeps_its_kernel_and_its_function(make: Callable[[], Any], x: Any) -> None:
    plain, held = make(), faces.weight_norm(make())
    compare(np.asarray(held(x)), np.asarray(plain(x)), "torch")  # g starts at the lengths, so the function stays
    assert held.norm.g[...].shape == (3,)
    before = np.asarray(held.module.kernel[...])
    slopes = nnx.grad(lambda m: m(x).sum())(held)
    assert np.abs(np.asarray(slopes["norm"]["g"][...])).min() > 0
    same_bytes(np.asarray(held.module.kernel[...]), before)  # Flax's overwrite what is stored (flax#5576)
    held.norm.g[...] = 2 * held.norm.g[...]
    compare(np.asarray(held(x) - held.module.bias[...]), np.asarray(2 * (plain(x) - plain.bias[...])), "torch")


@pytest.mark.parametrize(("make", "x"), [h[1:] for h in HOSTS], ids=[h[0] for h in HOSTS])
def test_a_spectral_host_has_singular_value_one(make: Callable[[], Any], x: Any) -> None:
    held = faces.spectral_norm(make(), rngs=nnx.Rngs(1))
    for _ in range(50):
        held(x)
    w = np.asarray(held.norm(held.module.kernel[...]), np.float64)
    rows = np.moveaxis(w, -2 if getattr(held.module, "transpose_kernel", False) else -1, 0).reshape(3, -1)
    assert abs(np.linalg.svd(rows, compute_uv=False)[0] - 1) < 1e-4
    u = np.asarray(held.norm.u[...])
    held.eval()
    held(x)
    same_bytes(np.asarray(held.norm.u[...]), u)


def test_a_spectral_host_is_flaxs_own_but_for_the_kernel_that_it_keeps() -> None:
    theirs, ours = nnx.SpectralNorm(nnx.Linear(8, 3, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1)), faces.spectral_norm(nnx.Linear(8, 3, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1))
    kernel, x = np.asarray(ours.module.kernel[...]), X[:, 0, 0]
    for _ in range(30):
        ours(x), theirs(x, update_stats=True)
        theirs.layer_instance.kernel[...] = jnp.asarray(kernel)  # it has overwritten it
    # Both iterations have converged: to the last units but for the square of what is left of the second vector.
    compare(np.asarray(ours(x)), np.asarray(theirs(x, update_stats=False)), "torch")


def test_a_weight_host_is_flaxs_own_once_g_is_one() -> None:
    theirs = nnx.WeightNorm(nnx.Linear(8, 3, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1))
    ours = faces.weight_norm(nnx.Linear(8, 3, rngs=nnx.Rngs(0)), start="one")
    compare(np.asarray(ours(X[:, 0, 0])), np.asarray(theirs(jnp.asarray(X[:, 0, 0]))), "torch")


def test_a_start_from_data_makes_the_responses_standard() -> None:
    held = faces.weight_norm(nnx.Conv(8, 3, (3, 3), rngs=nnx.Rngs(0)), start="data", batch=jnp.asarray(X))
    t = np.asarray(held(X), np.float64)
    assert np.abs(t.mean((0, 1, 2))).max() < 1e-5 and np.abs(t.std((0, 1, 2)) - 1).max() < 1e-5
    with pytest.raises(nl.NormlabError, match="this start sets the bias of Linear, which has none"):
        faces.weight_norm(nnx.Linear(8, 3, use_bias=False, rngs=nnx.Rngs(0)), start="data", batch=jnp.asarray(X))


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: faces.FiLM(8), r"FiLM: give rngs= \(a flax.nnx.Rngs\): it starts at random"),
    (lambda: faces.AlphaDropout()(X), r"AlphaDropout: give rngs= \(a flax.nnx.Rngs\), here or to the module, or call eval\(\)"),
    (lambda: faces.LayerNorm(8, use_running_average=True), "unknown argument of LayerNorm 'use_running_average'"),
    (lambda: faces.LayerNorm(8)(X, use_running_average=True), "unknown input of LayerNorm 'use_running_average'"),
    (lambda: faces.BatchNorm(8)(X), r"made for 8 channels \(c\), got x of shape"),
    (lambda: faces.weight_norm(nnx.Linear(8, 3, rngs=nnx.Rngs(0)), "weight"), "weight_norm: module must be a flax.nnx.Module with an array 'weight', got Linear"),
    (lambda: faces.BatchNorms, "module 'normlab.jax.nnx' has no module 'BatchNorms'; it has AlphaDropout"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "words"), REFUSED, ids=[str(k) for k in range(len(REFUSED))])
def test_it_is_refused_in_these_words(run: Callable[[], Any], words: str) -> None:
    with pytest.raises((nl.NormlabError, AttributeError), match=words):
        run()
