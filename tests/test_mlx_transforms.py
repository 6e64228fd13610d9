"""The MLX face under MLX's transformations: compile, vmap, jvp, second derivatives, checkpoints."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest

import normlab as nl
from comparing import compare
from grid import acting, made_of_statistics
from normlab.definition import Definition
from normlab.functional import function
from normlab.mlx import build, fusing
from test_mlx_layers import ids, sample

SMOOTH = [d for d in acting() if d.role not in ("dropout", "weight")]


def layer_of(d: Definition, **options: Any) -> tuple[Any, mx.array, dict[str, mx.array]]:
    mx.random.seed(1)
    layer = build(d, 8, options=options)
    x, inputs = sample(d)
    for spec in d.params:
        if spec.name in layer:
            layer[spec.name] = layer[spec.name] + 0.3 * mx.random.normal(layer[spec.name].shape)
    return layer, x, inputs


@pytest.mark.parametrize("d", [d for d in acting() if d.role != "dropout" and d.forward is not None], ids=ids)
def test_a_compiled_call_is_the_plain_one(d: Definition) -> None:
    layer, x, inputs = layer_of(d)
    layer.eval()
    compiled = mx.compile(lambda x, **inputs: layer(x, **inputs))
    # The same operations in the same order; fused they round alike, where the compiler makes no fused multiply-add.
    compare(np.array(compiled(x, **inputs)), np.array(layer(x, **inputs)), "identity", d.name)


@pytest.mark.parametrize("d", made_of_statistics(), ids=ids)
def test_what_a_gpu_runs_fused_is_what_a_cpu_runs_plain(d: Definition) -> None:
    layer, x, _ = layer_of(d, **({"running": True} if d.has_running else {}))
    before = {n: mx.array(a) for n, a in layer.items()}
    plain, moved = layer(x), dict(layer)
    for n, a in before.items():
        layer[n] = a
    with fusing(True):
        compare(np.array(layer(x)), np.array(plain), "identity", d.name)
        for n, a in moved.items():
            compare(np.array(layer[n].astype(mx.float32)), np.array(a.astype(mx.float32)), "identity", f"{d.name}, {n}")
        with pytest.raises(nl.NormlabError, match="at least one axis"):
            layer(mx.array(1.0))
        if d.centre and not d.has_running:
            with pytest.raises(nl.NormlabError, match="1 element in each set"):
                function(d)(mx.ones((2, 1)) if d.layout.endswith(" c") else mx.ones((2, 1, 1)), **({"groups": 1} if d.options and d.options[0].factor else {}))


def test_a_mask_and_the_cumulative_mean_are_fused_too() -> None:
    x, mask = mx.random.normal((4, 8, 6)), mx.random.uniform(shape=(4, 6)) > 0.3
    layers = [nl.mlx.BatchNorm(8, momentum=None) for _ in range(2)]
    plain = [layers[0](x + k, mask=mask) for k in range(2)]
    with fusing(True):
        fused = [layers[1](x + k, mask=mask) for k in range(2)]
    compare(np.array(fused[1]), np.array(plain[1]), "identity")
    compare(np.array(layers[1].running_var), np.array(layers[0].running_var), "identity")


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_a_training_step_is_compiled_with_its_state(compiled: bool) -> None:
    """Against NumPy's face: the same five steps of gradient descent, running statistics included."""
    random = np.random.default_rng(0)
    x, weight = random.standard_normal((32, 8)), random.standard_normal((5, 8)) / 3
    target = random.standard_normal((32, 5))
    model = nn.Sequential(nn.Linear(8, 5, bias=False), nl.mlx.BatchNorm(5))
    model.layers[0].weight = mx.array(weight.astype(np.float32))
    optimizer = optim.SGD(0.05)
    gradient = nn.value_and_grad(model, lambda x, t: ((model(x) - t) ** 2).sum())

    def step(x: mx.array, t: mx.array) -> mx.array:
        loss, gradients = gradient(x, t)
        optimizer.update(model, gradients)
        return loss

    state = [model.state, optimizer.state]
    run = mx.compile(step, inputs=state, outputs=state) if compiled else step
    ours = nl.numpy.BatchNorm(5)
    for _ in range(5):
        loss = run(mx.array(x.astype(np.float32)), mx.array(target.astype(np.float32)))
        mx.eval(state)
        y = ours(x @ weight.T)
        dz = ours.backward(2 * (y - target))
        weight = weight - 0.05 * dz.T @ x
        for n, g in ours.grads.items():
            ours.params[n] = ours.params[n] - 0.05 * g
    # Five steps in float32 against float64, whose differences are carried on: far below the step's own size.
    np.testing.assert_allclose(loss.item(), ((y - target) ** 2).sum(), rtol=1e-4)
    layer = model.layers[1]
    for n, a in {**ours.params, **ours.state}.items():
        np.testing.assert_allclose(layer[n], a, rtol=1e-3, atol=1e-4)
    assert layer["num_batches_tracked"] == 5


@pytest.mark.parametrize("d", SMOOTH, ids=ids)
def test_forward_mode_and_reverse_mode_agree(d: Definition) -> None:
    layer, x, inputs = layer_of(d)
    layer.eval() if d.has_running else None
    v, dy = mx.random.normal(x.shape), mx.random.normal(x.shape)
    forward = mx.jvp(lambda x: layer(x, **inputs), [x], [v])[1][0]
    backward = mx.vjp(lambda x: layer(x, **inputs), [x], [dy])[1][0]
    one, other = (forward * dy), (backward * v)
    # Two sums of 96 products, right to a few units of their largest partial sums.
    assert abs(one.sum().item() - other.sum().item()) < 64 * 2**-23 * mx.abs(one).sum().item()


@pytest.mark.parametrize("d", SMOOTH, ids=ids)
def test_second_derivatives_agree_with_differences_of_the_first(d: Definition) -> None:
    layer, _, inputs = layer_of(d)
    x, inputs = sample(d)
    with mx.stream(mx.cpu):  # float64, so that differences say something
        layer.set_dtype(mx.float64)
        x, inputs = x.astype(mx.float64), {n: a.astype(mx.float64) for n, a in inputs.items()}
        v, dy = (mx.random.normal(x.shape).astype(mx.float64) for _ in range(2))

        def gradient(x: mx.array) -> mx.array:
            return mx.grad(lambda x: (layer(x, **inputs) * dy).sum())(x)

        exact = mx.vjp(gradient, [x], [v])[1][0]
        h = 1e-6
        differences = (gradient(x + h * v) - gradient(x - h * v)) / (2 * h)
        # Second derivatives are symmetric, so the product from the left is that from the right; h^2 + eps/h = 1e-10.
        scale = max(mx.abs(differences).max().item(), 1e-3)
        assert mx.abs(exact - differences).max().item() < 1e-6 * scale


@pytest.mark.parametrize("d", [d for d in SMOOTH if "independent" in d.invariances], ids=ids)
def test_vmap_over_samples_is_the_batch(d: Definition) -> None:
    layer, x, _ = layer_of(d)
    singly = mx.vmap(lambda a: layer(a[None])[0])(x)
    compare(np.array(singly), np.array(layer(x)), "identity", d.name)
    dy = mx.random.normal(x.shape)
    through = mx.vjp(mx.vmap(lambda a: layer(a[None])[0]), [x], [dy])[1][0]
    compare(np.array(through), np.array(mx.vjp(layer, [x], [dy])[1][0]), "gradient, small set", d.name)


@pytest.mark.parametrize("line", ["... [c]", "[c]"])
def test_a_function_of_one_token_is_mapped_over_many(line: str) -> None:
    x = mx.random.normal((5, 7, 16))
    mapped = mx.vmap(mx.vmap(lambda a: nl.normalize(a, line)))(x)
    compare(np.array(mapped), np.array(nl.functional.layer_norm(x)), "identity")


def test_running_statistics_come_back_from_a_mapped_function() -> None:
    x = mx.random.normal((3, 6, 8)) + 1
    mean, var = mx.zeros((3, 8)), mx.ones((3, 8))
    y, means, variances = mx.vmap(lambda x, m, v: nl.functional.batch_norm(x, running_mean=m, running_var=v))(x, mean, var)
    for k in range(3):
        parts = nl.functional.batch_norm(x[k], running_mean=mean[k], running_var=var[k])
        for got, wanted in zip((y[k], means[k], variances[k]), parts, strict=True):
            compare(np.array(got), np.array(wanted), "identity")


def test_a_checkpoint_has_the_same_gradients() -> None:
    layer, x = nl.mlx.BatchNorm(8), mx.random.normal((4, 8)) + 1
    plain = mx.grad(lambda x: (layer(x) ** 3).sum())(x)
    again = mx.grad(lambda x: (nn.utils.checkpoint(layer)(x) ** 3).sum())(x)
    compare(np.array(again), np.array(plain), "gradient, small set")
