"""The JAX face under JAX's transformations: jit, vmap, scan, checkpoint, forward mode, second derivatives."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import normlab as nl
from comparing import compare, same_bytes
from grid import acting, made_of_statistics
from normlab.definition import Definition
from test_jax_layers import inputs_of, made, plain_case

ids = {"ids": lambda value: getattr(value, "name", str(value))}
QUIET = [d for d in acting() if d.role != "dropout"]


def ready(d: Definition, **settings: Any) -> tuple[Any, Any, Any, Any, Any]:
    """A layer in training with parameters that are not what they start with, state, x and inputs."""
    case = plain_case(d, **{"dtype": "float32", "running": True, **settings})
    layer, params, state = made(case, case.layer())
    return layer, params, state, jnp.asarray(case.x()), inputs_of(d, case)


@pytest.mark.parametrize("d", QUIET, **ids)
def test_a_jitted_call_gives_the_bytes_of_a_plain_one(d: Definition) -> None:
    layer, params, state, x, inputs = ready(d)
    plain = layer(params, state, x, **inputs)
    jitted = jax.jit(lambda p, s, x, i: layer(p, s, x, **i))(params, state, x, inputs)
    jax.tree.map(lambda a, b: same_bytes(np.asarray(a), np.asarray(b)), plain, jitted)


@pytest.mark.parametrize("d", QUIET, **ids)
def test_forward_mode_and_reverse_mode_agree(d: Definition) -> None:
    layer, params, state, x, inputs = ready(d)
    v, dy = (jax.random.normal(jax.random.key(k), x.shape) for k in (1, 2))
    f = jax.jit(lambda x: layer(params, state, x, **inputs)[0])
    one, other = jax.jvp(f, (x,), (v,))[1] * dy, jax.vjp(f, x)[1](dy)[0] * v
    # Two sums of 96 products, right to a few units of their largest partial sums.
    assert abs(one.sum() - other.sum()) < 64 * 2**-23 * jnp.abs(one).sum()


@pytest.mark.parametrize("d", [d for d in QUIET if not (d.role == "weight" and d.states)], **ids)
def test_second_derivatives_agree_with_differences_of_the_first(d: Definition) -> None:
    """Forward over reverse, as `jax.hessian` has them, in float64 so that differences say something.

    Not of an iterated state: it is a constant to the gradient, and moves under differences.
    """
    with jax.enable_x64(True):
        layer, params, state, x, inputs = ready(d, dtype="float64")
        v, dy = (jax.random.normal(jax.random.key(k), x.shape) for k in (1, 2))
        gradient = jax.jit(jax.grad(lambda x: (layer(params, state, x, **inputs)[0] * dy).sum()))
        exact, h = jax.jvp(gradient, (x,), (v,))[1], 1e-6
        differences = (gradient(x + h * v) - gradient(x - h * v)) / (2 * h)
        reverse = jax.grad(lambda x: (gradient(x) * v).sum())(x)
    exact, differences, reverse = map(np.asarray, (exact, differences, reverse))
    scale = max(np.abs(differences).max(), 1e-3)  # h^2 + eps/h is 1e-10
    assert np.abs(exact - differences).max() < 1e-6 * scale
    compare(reverse, exact, "gradient, small set", d.name, scale=scale)


@pytest.mark.parametrize("d", made_of_statistics(), **ids)
def test_derivatives_are_finite_where_a_set_has_no_spread(d: Definition) -> None:
    """With eps 0 too; a root of 0 must not be differentiated, in either mode, nor twice."""
    layer, params, state, x, _ = ready(d)
    x = jnp.zeros_like(x)
    for f in (layer, nl.jax.build(d, layer.channels, eps=0.0 if d.eps is not None else None, options={"running": True} if d.has_running else {}, layout=layer.layout)):
        gradient = jax.grad(lambda x, f=f: (f(params, state, x)[0] * jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape)).sum())
        for found in (gradient(x), jax.jvp(gradient, (x,), (jnp.ones_like(x),))[1]):
            assert jnp.isfinite(found).all()


@pytest.mark.parametrize("d", [d for d in QUIET if "independent" in d.invariances], **ids)
def test_vmap_over_samples_is_the_batch(d: Definition) -> None:
    """Each sample alone, as it is in the batch: values and gradients."""
    layer, params, _, x, inputs = ready(d, running=False)
    assert not inputs
    dy = jax.random.normal(jax.random.key(1), x.shape)

    def singly(x: Any) -> Any:
        return jax.vmap(lambda a: layer(params, {}, a[None])[0][0])(x)

    whole, pull = jax.vjp(lambda x: layer(params, {}, x)[0], x)
    one, pull_one = jax.vjp(singly, x)
    compare(np.asarray(one), np.asarray(whole), "identity", d.name)
    compare(np.asarray(pull_one(dy)[0]), np.asarray(pull(dy)[0]), "gradient, small set", d.name)


@pytest.mark.parametrize("shape", [(7, 16), (16,)], ids=str)
def test_a_token_may_be_all_there_is(shape: tuple[int, ...]) -> None:
    for layer in (nl.jax.LayerNorm(16), nl.jax.RMSNorm(16)):
        params, _ = layer.init()
        x = jax.random.normal(jax.random.key(0), (5, *shape))
        compare(np.asarray(jax.vmap(lambda a, f=layer, p=params: f(p, {}, a)[0])(x)), np.asarray(layer(params, {}, x)[0]), "identity")


def test_under_vmap_without_a_name_each_slice_is_normalized_alone() -> None:
    layer = nl.jax.BatchNorm(8)
    params, state = layer.init()
    x = jax.random.normal(jax.random.key(0), (3, 5, 8, 4)) + jnp.arange(3.0).reshape(3, 1, 1, 1)
    y, new = jax.vmap(lambda x: layer(params, state, x))(x)
    for k in range(3):
        alone, kept = layer(params, state, x[k])
        compare(np.asarray(y[k]), np.asarray(alone), "identity")
        compare(np.asarray(new["running_mean"][k]), np.asarray(kept["running_mean"]), "identity")


@pytest.mark.parametrize("d", [d for d in QUIET if d.states], **ids)
def test_the_state_is_the_carry_of_a_scan(d: Definition) -> None:
    layer, params, state, x, inputs = ready(d)
    after, ys = jax.lax.scan(lambda s, _: layer(params, s, x, **inputs)[::-1], state, None, length=3)
    step = jax.jit(lambda s: layer(params, s, x, **inputs))
    for k in range(3):
        y, state = step(state)
        compare(np.asarray(ys[k]), np.asarray(y), "identity")
    jax.tree.map(lambda a, b: compare(np.asarray(a, np.float32), np.asarray(b, np.float64), "identity"), after, state)


@pytest.mark.parametrize("d", QUIET, **ids)
def test_a_checkpointed_call_has_the_same_gradients_and_moves_the_state_once(d: Definition) -> None:
    layer, params, state, x, inputs = ready(d)
    dy = jax.random.normal(jax.random.key(1), x.shape)

    def run(f: Any) -> Any:
        _, pull, new = jax.vjp(f, params, x, has_aux=True)
        return *pull(dy), new

    def call(p: Any, x: Any) -> Any:
        return layer(p, state, x, **inputs)

    plain, again = run(call), run(jax.checkpoint(call))
    jax.tree.map(lambda a, b: compare(np.asarray(a, np.float32), np.asarray(b, np.float64), "identity", d.name), again, plain)


def test_a_dropout_draws_the_same_in_a_checkpoint_and_other_numbers_for_each_key() -> None:
    layer, x = nl.jax.AlphaDropout(p=0.5), jax.random.normal(jax.random.key(0), (64,))
    keys = jax.random.split(jax.random.key(1), 3)

    def call(x: Any, key: Any) -> Any:
        return layer({}, {}, x, key=key)[0].sum()

    same_bytes(np.asarray(jax.grad(jax.checkpoint(call))(x, keys[0])), np.asarray(jax.grad(call)(x, keys[0])))
    drawn = jax.vmap(lambda key: layer({}, {}, x, key=key)[0])(keys)
    assert len({row.tobytes() for row in np.asarray(drawn)}) == 3


def test_a_step_of_training_is_one_program_and_evaluation_differs_from_it() -> None:
    """Against NumPy's face: the same five steps of gradient descent; a state that is thrown away would show."""
    random = np.random.default_rng(0)
    x, weight = random.standard_normal((32, 8)) + 5, random.standard_normal((8, 5)) / 3
    target = random.standard_normal((32, 5))
    ours, layer = nl.numpy.BatchNorm(5), nl.jax.BatchNorm(5)
    learnt, state = layer.init()
    params = {"weight": jnp.asarray(weight, jnp.float32), "norm": learnt}

    def loss(params: Any, state: Any) -> Any:
        y, state = layer(params["norm"], state, jnp.asarray(x, jnp.float32) @ params["weight"])
        return ((y - jnp.asarray(target, jnp.float32)) ** 2).sum(), state

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        (value, state), slope = jax.value_and_grad(loss, has_aux=True)(params, state)
        return jax.tree.map(lambda p, g: p - 0.05 * g, params, slope), state, value

    for _ in range(5):
        params, state, value = step(params, state)
        y = ours(x @ weight)
        dz = ours.backward(2 * (y - target))
        weight = weight - 0.05 * x.T @ dz
        for n, g in ours.grads.items():
            ours.params[n] = ours.params[n] - 0.05 * g
    # Five steps in float32 against float64, whose differences are carried on: far below the step's own size.
    np.testing.assert_allclose(value, ((y - target) ** 2).sum(), rtol=1e-4)
    for n, a in {**ours.params, **ours.state}.items():
        np.testing.assert_allclose({**params["norm"], **state}[n], a, rtol=1e-3, atol=1e-4)
    z = jnp.asarray(x, jnp.float32) @ params["weight"]
    kept, lost = (layer(params["norm"], s, z, training=False)[0] for s in (state, layer.init()[1]))
    assert float(jnp.abs(kept - lost).max()) > 1
    np.testing.assert_allclose(kept, ours.eval()(np.asarray(z, np.float64)), rtol=1e-3, atol=0.1)  # as large as 2,700
