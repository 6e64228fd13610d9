"""torch.func's transforms, forward-mode differentiation and second derivatives see the formula, and buffers still move."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.functional import jvp as double_backward_jvp
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, stack_module_state, vmap

import normlab as nl
from grid import acting, layouts
from normlab import functional
from normlab import torch as face
from normlab.definition import Definition
from torch_cases import CHANNELS, count_of, inputs_of, made, same, stirred, x_for

# torch itself still uses what it deprecated, the first time that a forward derivative is asked for.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

LAYERS = acting()
# Dropout draws anew each time, so no two calls can be compared; it has tests of its own below.
FIXED = [d for d in LAYERS if d.role != "dropout"]
NORMS = [d for d in FIXED if d.role == "norm" and d.params]
RUNNING = [d for d in LAYERS if d.has_running]


def quiet(d: Definition, **settings: Any) -> Any:
    """A float64 layer with nobody's defaults, that has made its first call."""
    layer = made(d, dtype=torch.float64, **settings)
    layer(x_for(d), *inputs_of(d, x_for(d)))
    return stirred(layer)


def as_function(layer: Any, x: Tensor) -> tuple[Any, tuple[Tensor, ...]]:
    """The layer as a function of x, its inputs and its parameters, with nothing that moves from call to call."""
    names, inputs = [n for n, _ in layer.named_parameters()], inputs_of(layer.definition, x)
    buffers = {n: b.clone() for n, b in layer.named_buffers()}

    def run(x: Tensor, *rest: Tensor) -> Tensor:
        given, learnt = rest[: len(inputs)], dict(zip(names, rest[len(inputs) :], strict=True))
        held = {n: b.clone() for n, b in buffers.items()}
        return functional_call(layer, {**learnt, **held}, (x, *given))

    arguments = (x, *inputs, *(p.detach().clone() for p in layer.parameters()))
    return run, tuple(a.requires_grad_() for a in arguments)


LAID_OUT = [(d, layout) for d in FIXED for layout in layouts(d)]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("d", "layout"), LAID_OUT, ids=lambda v: getattr(v, "name", str(v).replace(" ", "_")))
def test_gradients_of_both_kinds_and_orders_are_right(d: Definition, layout: str, training: bool) -> None:
    """Small enough that a second derivative by differences is quick: 2 x 4 x 3, or 4 channels of 5 for weights."""
    shape = {"n c ...": (2, 4, 3), "n ... c": (2, 3, 4), "... c": (2, 3, 4), "o i ...": (4, 3, 2), "i o ...": (3, 4, 2), "...": (5, 2)}[layout]
    named = {} if layout == "..." else {"layout": layout}
    layer = face.layer_class(d)(4 if d.params or d.states else None, dtype=torch.float64, **named)
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    inputs = tuple(torch.randn(2 if "n" in layout else 1, 1, dtype=torch.float64) for _ in inputs_of(d, x))
    layer(x, *inputs)
    stirred(layer)
    iterated = d.role == "weight" and bool(d.states)  # constant to the gradient: right where the iteration has come to rest
    for _ in range(500 if iterated else 0):
        layer(x)
    layer.train(training)
    names, held = [n for n, _ in layer.named_parameters()], {n: b.clone() for n, b in layer.named_buffers()}

    def run(x: Tensor, *rest: Tensor) -> Tensor:
        given, learnt = rest[: len(inputs)], dict(zip(names, rest[len(inputs) :], strict=True))
        return functional_call(layer, {**learnt, **{n: b.clone() for n, b in held.items()}}, (x, *given))

    arguments = tuple(a.detach().clone().requires_grad_() for a in (x, *inputs, *layer.parameters()))
    assert torch.autograd.gradcheck(run, arguments, check_forward_ad=True, check_batched_grad=True)
    assert iterated or torch.autograd.gradgradcheck(run, arguments, atol=1e-4)


@pytest.mark.parametrize("d", FIXED, ids=lambda d: d.name)
def test_grad_of_a_function_is_the_gradient_of_backward(d: Definition) -> None:
    layer = quiet(d)
    run, arguments = as_function(layer, x_for(d))
    dy = torch.randn_like(arguments[0])
    got = grad(lambda *a: (run(*a) * dy).sum(), argnums=tuple(range(len(arguments))))(*(a.detach() for a in arguments))
    for a, b in zip(got, torch.autograd.grad(run(*arguments), arguments, dy), strict=True):
        same(a, b, 64, d.name)


@pytest.mark.parametrize("d", FIXED, ids=lambda d: d.name)
def test_forward_mode_gives_the_tangent_that_two_backward_passes_give(d: Definition) -> None:
    """A registered operation gives a tangent of zero here, and says nothing."""
    layer = quiet(d)
    run, arguments = as_function(layer, x_for(d))
    plain, tangents = tuple(a.detach() for a in arguments), tuple(torch.randn_like(a) for a in arguments)
    wanted = double_backward_jvp(run, plain, tangents)[1]
    assert float(wanted.abs().max()) > 1e-3
    same(jvp(run, plain, tangents)[1], wanted, 256, d.name)
    with forward_ad.dual_level():
        dual = run(*(forward_ad.make_dual(a, t) for a, t in zip(plain, tangents, strict=True)))
        same(forward_ad.unpack_dual(dual).tangent, wanted, 256, d.name)


@pytest.mark.parametrize("d", FIXED, ids=lambda d: d.name)
def test_vmap_is_one_call_after_the_other(d: Definition) -> None:
    layer = quiet(d).eval()
    x = torch.stack([x_for(d, seed=k) for k in range(3)])
    inputs = inputs_of(d, x[0])
    same(vmap(lambda one: layer(one, *inputs))(x), torch.stack([layer(one, *inputs) for one in x]), 16, d.name)
    same(vmap(lambda one: layer(one, *inputs), in_dims=-1, out_dims=-1)(x.movedim(0, -1)).movedim(-1, 0), vmap(lambda one: layer(one, *inputs))(x), 16)


@pytest.mark.parametrize("d", [d for d in FIXED if d.layout == "... c"], ids=lambda d: d.name)
def test_vmap_down_to_one_row(d: Definition) -> None:
    layer = stirred(face.layer_class(d)(CHANNELS, dtype=torch.float64))
    x = torch.randn(3, 5, CHANNELS, dtype=torch.float64)
    same(vmap(vmap(layer))(x), layer(x), 16, d.name)


@pytest.mark.parametrize("d", FIXED, ids=lambda d: d.name)
def test_jacobians_of_both_kinds_agree(d: Definition) -> None:
    layer = quiet(d).eval()
    x = x_for(d, batch=2)
    inputs = inputs_of(d, x)
    same(jacfwd(lambda a: layer(a, *inputs))(x), jacrev(lambda a: layer(a, *inputs))(x), 256, d.name)


@pytest.mark.parametrize("d", NORMS, ids=lambda d: d.name)
def test_gradients_for_each_sample(d: Definition) -> None:
    layer = quiet(d).eval()
    learnt = {n: p.detach() for n, p in layer.named_parameters()}
    x = torch.stack([x_for(d, seed=k) for k in range(3)])

    def loss(learnt: dict[str, Tensor], one: Tensor) -> Tensor:
        return functional_call(layer, learnt, (one,)).pow(3).sum()

    found = vmap(grad(loss), in_dims=(None, 0))(learnt, x)
    for k, one in enumerate(x):
        for name, g in grad(loss)(learnt, one).items():
            same(found[name][k], g, 64, name)


# Buffers


@pytest.mark.parametrize("d", RUNNING, ids=lambda d: d.name)
@pytest.mark.parametrize("momentum", [0.1, None])
def test_under_vmap_running_statistics_move_by_the_mean_over_the_mapped_axis(d: Definition, momentum: float | None) -> None:
    layer = made(d, running=True, momentum=momentum, dtype=torch.float64)
    alone = [copy.deepcopy(layer) for _ in range(3)]
    x = torch.stack([x_for(d, seed=k) for k in range(3)])
    y = vmap(layer)(x)
    for k, other in enumerate(alone):
        same(y[k], other(x[k]), 16)
    assert count_of(layer) == 1
    for name in ("running_mean", "running_var"):
        same(getattr(layer, name), torch.stack([getattr(other, name) for other in alone]).mean(0), 16, name)


@pytest.mark.parametrize("d", RUNNING, ids=lambda d: d.name)
def test_grad_and_jvp_move_running_statistics_once(d: Definition) -> None:
    layer = made(d, running=True, dtype=torch.float64)
    once = copy.deepcopy(layer)
    x = x_for(d)
    once(x)
    def total(f: Any) -> Any:
        return lambda a: f(a).sum()

    for transform in (lambda f: grad(total(f))(x), lambda f: jvp(f, (x,), (x,)), lambda f: vmap(grad(total(f)))(x[None])):
        other = made(d, running=True, dtype=torch.float64)
        transform(other)
        for name, a in once.state_dict().items():
            same(other.state_dict()[name], a, 16, name)
            assert not other.state_dict()[name].requires_grad


@pytest.mark.parametrize("d", RUNNING, ids=lambda d: d.name)
def test_functional_call_updates_the_buffers_that_it_is_given(d: Definition) -> None:
    layer = made(d, running=True, dtype=torch.float64)
    before = {n: a.clone() for n, a in layer.state_dict().items()}
    held = {n: b.clone() for n, b in layer.named_buffers()}
    functional_call(layer, held, (x_for(d),))
    assert all(torch.equal(a, before[n]) for n, a in layer.state_dict().items())
    layer(x_for(d))
    for name, b in layer.named_buffers():
        assert torch.equal(held[name], b), name


@pytest.mark.parametrize("d", RUNNING, ids=lambda d: d.name)
@pytest.mark.parametrize("outer", ["models", "data"])
def test_an_ensemble_moves_each_models_own_statistics(d: Definition, outer: str) -> None:
    """Models mapped inside, data outside or the other way round: each buffer moves by the mean over the data alone."""
    models = [stirred(made(d, running=True, dtype=torch.float64), seed=k) for k in range(3)]
    alone = [[copy.deepcopy(m) for m in models] for _ in range(2)]
    learnt, held = stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta")
    x = torch.stack([x_for(d, seed=k) for k in range(2)])

    def run(learnt: Any, held: Any, one: Tensor) -> Tensor:
        return functional_call(base, (learnt, held), (one,))

    if outer == "models":
        y = vmap(lambda p, b: vmap(lambda one: run(p, b, one))(x))(learnt, held).transpose(0, 1)
    else:
        y = vmap(lambda one: vmap(lambda p, b: run(p, b, one))(learnt, held))(x)
    for k, one in enumerate(x):
        for m, other in enumerate(alone[k]):
            same(y[k, m], other(one), 16)
    for m in range(3):
        for name in ("running_mean", "running_var"):
            wanted = torch.stack([getattr(alone[k][m], name) for k in range(2)]).mean(0)
            same(held[name][m], wanted, 16, name)
        assert int(held["num_batches_tracked"][m]) == 4


# Randomness


DROPOUTS = [d for d in LAYERS if d.role == "dropout"]


@pytest.mark.parametrize("d", DROPOUTS, ids=lambda d: d.name)
def test_dropout_follows_torchs_seed(d: Definition) -> None:
    layer, x = made(d, p=0.5), torch.randn(64, 8)
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    again = layer(x)
    assert torch.equal(first, again) and not torch.equal(layer(x), first)
    assert torch.equal(layer.eval()(x), x)
    keyed = functional.alpha_dropout(x, p=0.5, key=3)
    assert torch.equal(keyed, functional.alpha_dropout(x, p=0.5, key=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("d", DROPOUTS, ids=lambda d: d.name)
def test_dropout_heeds_the_randomness_of_vmap(d: Definition) -> None:
    layer, x = made(d, p=0.5), torch.ones(3, 64)
    different, equal = (vmap(layer, randomness=r)(x) for r in ("different", "same"))
    assert not torch.equal(different[0], different[1]) and torch.equal(equal[0], equal[1])
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(layer)(x)


# Functions


def test_functions_take_tensors_and_change_nothing() -> None:
    x = torch.randn(4, CHANNELS, 3, dtype=torch.float64, requires_grad=True)
    mean, var = torch.zeros(CHANNELS, dtype=torch.float64), torch.ones(CHANNELS, dtype=torch.float64)
    y, fresh_mean, fresh_var = functional.batch_norm(x, running_mean=mean, running_var=var)
    assert float(mean.abs().max()) == 0 and float(var.max()) == 1
    layer = face.BatchNorm(CHANNELS, dtype=torch.float64)
    same(layer(x).detach(), y.detach(), 4)
    assert torch.equal(layer.running_mean, fresh_mean) and torch.equal(layer.running_var, fresh_var)
    assert torch.autograd.gradcheck(lambda a: nl.normalize(a, "n (g [c]) [...]", g=2), (x,), check_forward_ad=True)


def test_functions_take_parameters_and_subclasses() -> None:
    weight = torch.nn.Parameter(torch.randn(4, 3))
    assert type(nl.normalize(weight, "o [i]")) is Tensor

    class Mine(Tensor):
        pass

    x = torch.randn(5, 3)
    y = functional.layer_norm(x.as_subclass(Mine))
    assert isinstance(y, Mine) and torch.allclose(y.as_subclass(Tensor), functional.layer_norm(x))
