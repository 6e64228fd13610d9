"""torch.compile without a graph break, torch.export, and the registered operations."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap

import normlab as nl
from grid import acting
from normlab import functional, kernels
from normlab import torch as face
from normlab.definition import Definition
from normlab.errors import ShapeError
from normlab.torch import library
from torch_cases import CHANNELS, inputs_of, made, same, stirred, x_for

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

LAYERS = acting()


@pytest.fixture(autouse=True)
def nothing_compiled_yet() -> None:
    torch._dynamo.reset()


def compiled(run: Any, backend: str = "aot_eager", dynamic: bool | None = None) -> Any:
    return torch.compile(run, fullgraph=True, backend=backend, dynamic=dynamic)


def step(layer: Any, x: Tensor, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """The output, and the gradients of x and the parameters."""
    torch.manual_seed(1)
    x = x.clone().requires_grad_()
    y = layer(x, *inputs)
    dy = torch.cos(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)
    return [y.detach(), *torch.autograd.grad(y, [x, *layer.parameters()], dy)]


@pytest.mark.parametrize("dynamic", [pytest.param(False, marks=pytest.mark.slow), True], ids=["static", "dynamic"])
@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_a_compiled_layer_is_the_layer(d: Definition, dynamic: bool) -> None:
    """In training and evaluation, for two batch sizes; warnings are errors, so a graph break or a cache would be seen."""
    layer = made(d, running=True) if d.has_running else made(d)
    layer(x_for(d, torch.float32), *inputs_of(d, x_for(d, torch.float32)))
    stirred(layer)
    plain = copy.deepcopy(layer)
    fast = compiled(layer, dynamic=dynamic)
    torch._dynamo.utils.counters.clear()
    for training in (True, False):
        layer.train(training), plain.train(training)
        for batch in (4, 7):
            x = x_for(d, torch.float32, batch=batch)
            inputs = inputs_of(d, x)
            drawn = d.role == "dropout" and training  # a compiler draws in another order
            for k, (got, wanted) in enumerate(zip(step(fast, x, inputs), step(plain, x, inputs), strict=True)):
                if not drawn:
                    same(got, wanted, 32 if k == 0 else 128, f"{training} {batch} {k}")
            for name, a in layer.state_dict().items():
                same(a, plain.state_dict()[name], 8, name)
    if dynamic:
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2  # one for each mode, whatever the batch


@pytest.mark.slow
@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_a_layer_between_others_is_compiled_by_inductor(d: Definition) -> None:
    if d.role == "weight":
        model: Any = made(d)
    else:
        channels = made(d)
        model = torch.nn.Sequential(torch.nn.Conv2d(CHANNELS, CHANNELS, 1), channels, torch.nn.ReLU()) if not inputs_of(d, x_for(d)) else channels
    x = x_for(d, torch.float32)
    inputs = inputs_of(d, x) if model is not None and not isinstance(model, torch.nn.Sequential) else ()
    model(x, *inputs)
    plain = copy.deepcopy(model).eval()
    fast = compiled(model.eval(), backend="inductor")
    for got, wanted in zip(step(fast, x, inputs), step(plain, x, inputs), strict=True):
        same(got, wanted, 256)


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm"])
def test_inductor_trains_a_layer(name: str) -> None:
    layer = stirred(made(nl.method(name)))
    plain = copy.deepcopy(layer)
    fast = compiled(layer, backend="inductor")
    x = x_for(layer.definition, torch.float32)
    for got, wanted in zip(step(fast, x, ()), step(plain, x, ()), strict=True):
        same(got, wanted, 128)
    for key, a in layer.state_dict().items():
        same(a, plain.state_dict()[key], 8, key)


def test_the_formula_is_compiled_where_there_are_no_kernels() -> None:
    layer = stirred(face.BatchNorm(CHANNELS))
    plain, x = copy.deepcopy(layer), torch.randn(5, CHANNELS, 4)
    with kernels.off():
        got = step(compiled(layer, dynamic=True), x, ())
    for a, b in zip(got, step(plain, x, ()), strict=True):
        same(a, b, 64)


def test_twelve_layers_compiled_one_by_one_share_one_graph() -> None:
    """Compiling the blocks of a deep model one at a time is what one does; eight graphs of one function are the limit."""
    layers = [face.LayerNorm(CHANNELS) for _ in range(12)]
    torch._dynamo.utils.counters.clear()
    for layer in layers:
        layer.compile(fullgraph=True, backend="aot_eager")
        layer(torch.randn(3, CHANNELS))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_momentum_none_and_a_mask_are_compiled() -> None:
    layer = face.BatchNorm(CHANNELS, momentum=None)
    plain, fast = copy.deepcopy(layer), compiled(layer)
    mask = torch.arange(4)[None] < torch.tensor([4, 2, 3, 1, 4])[:, None]
    for k in range(3):
        x = torch.randn(5, CHANNELS, 4) + k
        same(fast(x, mask=mask), plain(x, mask=mask), 32)
    assert layer.num_batches_tracked == 3
    same(layer.running_mean, plain.running_mean, 8)
    same(layer.running_var, plain.running_var, 8)


def test_functions_and_transforms_are_compiled() -> None:
    x, layer = torch.randn(5, CHANNELS, 4), stirred(face.LayerNorm(CHANNELS, layout="n c ..."))
    runs = [
        lambda a: nl.normalize(a, "n (g [c]) [...]", g=2), lambda a: functional.group_norm(a, groups=3),
        lambda a: vmap(layer)(a[None]), lambda a: grad(lambda b: layer(b).pow(3).sum())(a),
    ]  # fmt: skip
    for run in runs:
        torch._dynamo.reset()
        same(compiled(run)(x), run(x), 64)


def test_a_checkpoint_inside_what_is_compiled_moves_the_state_once() -> None:
    from torch.utils.checkpoint import checkpoint

    layer = face.BatchNorm(CHANNELS)
    plain, x = copy.deepcopy(layer), torch.randn(5, CHANNELS, 4, requires_grad=True)
    compiled(lambda a: checkpoint(layer, a, use_reentrant=False).pow(2))(x).sum().backward()
    plain(x)
    same(layer.running_mean, plain.running_mean, 8)
    assert layer.num_batches_tracked == 1


def test_a_wrong_shape_is_refused_in_the_words_of_the_layer() -> None:
    layer = face.BatchNorm(CHANNELS)
    with pytest.raises(ShapeError) as plain:
        layer(torch.ones(5, 7))
    with pytest.raises(Exception, match="batch_norm: the layer was made for") as traced:
        compiled(layer)(torch.ones(5, 7))
    assert str(plain.value) in str(traced.value)


@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_an_exported_layer_is_the_layer(d: Definition) -> None:
    layer = made(d)
    x = x_for(d, torch.float32)
    inputs = inputs_of(d, x)
    layer(x, *inputs)
    stirred(layer).eval()
    program = torch.export.export(layer, (x, *inputs))
    assert not [n for n in program.graph.nodes if "normlab" in str(n.target)]  # it must run where normlab is not
    same(program.module()(x, *inputs), layer(x, *inputs), 32, d.name)


def test_a_layer_is_exported_for_any_batch() -> None:
    layer = stirred(face.BatchNorm(CHANNELS)).eval()
    program = torch.export.export(layer, (torch.randn(4, CHANNELS, 3),), dynamic_shapes=({0: torch.export.Dim("n")},))
    x = torch.randn(9, CHANNELS, 3)
    same(program.module()(x), layer(x), 32)


# The operations


def arguments(x: Tensor, line: str, sizes: dict[str, int], weight: Tensor | None, bias: Tensor | None) -> tuple[Any, ...]:
    axes = "(g c)" if "g" in sizes else "c"
    return (x, weight, bias, line, " ".join(sizes), list(sizes.values()), axes, axes, True, "std", 1e-5, "inside")


OPERATIONS = [
    ("[n] c [...]", {}, (4, CHANNELS, 5)), ("n (g [c]) [...]", {"g": 2}, (4, CHANNELS, 5)), ("n ... [c]", {}, (4, 5, CHANNELS)),
]  # fmt: skip


@pytest.mark.parametrize("affine", ["weight and bias", "weight", "neither"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("line", "sizes", "shape"), OPERATIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_the_operations_pass_opcheck(line: str, sizes: dict[str, int], shape: tuple[int, ...], dtype: torch.dtype, affine: str) -> None:
    x = torch.randn(shape).to(dtype).requires_grad_()
    weight = torch.rand(CHANNELS).requires_grad_() if "weight" in affine else None
    bias = torch.rand(CHANNELS).requires_grad_() if "bias" in affine else None
    given = arguments(x, line, sizes, weight, bias)
    torch.library.opcheck(library.standardize, given)
    _, kept, _, _ = library.standardize(*given)
    backward = (torch.randn(shape).to(dtype), *(None if a is None else a.detach() for a in given[:3]), kept, *given[3:])
    torch.library.opcheck(library.standardize_backward, backward, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("with_kernels", [True, False])
@pytest.mark.parametrize(("line", "sizes", "shape"), OPERATIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_an_operation_is_the_function_with_its_gradient(line: str, sizes: dict[str, int], shape: tuple[int, ...], with_kernels: bool) -> None:
    x = torch.randn(shape, dtype=torch.float64).transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    weight, bias = (torch.rand(CHANNELS, dtype=torch.float64).requires_grad_() for _ in range(2))
    given = arguments(x, line, sizes, weight, bias)

    def both() -> tuple[Tensor, ...]:
        y, _, mean, var = library.standardize(*given)
        return y, mean, var, *torch.autograd.grad(y, (x, weight, bias), torch.ones_like(y).cumsum(0))

    if with_kernels:
        got = both()
    else:
        with kernels.off():
            got = both()
    wanted = nl.normalize(x, line, weight=weight, bias=bias, affine=given[6], **sizes)
    pulled = torch.autograd.grad(wanted, (x, weight, bias), torch.ones_like(wanted).cumsum(0))
    for a, b in zip((got[0], *got[3:]), (wanted, *pulled), strict=True):
        same(a.detach(), b.detach(), 64, line)
    assert got[0].stride() == x.stride() and got[1].shape == got[2].shape
