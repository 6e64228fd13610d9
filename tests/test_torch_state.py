"""State dicts move between torch.nn and normlab.torch; layers are copied, pickled, cast and placed like any module."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
from typing import Any

import pytest
import torch

from grid import acting
from normlab import torch as face
from normlab.definition import AFFINE, Definition, from_line
from normlab.errors import DtypeError, UnknownNameError
from torch_cases import CHANNELS, TWINS, Twin, count_of, inputs_of, made, same, stirred, x_for

LAYERS = acting()
# numerics.md: torch's own error at a mean about the spread is a few units; this compares meanings, not digits.
UNITS, GRADIENT_UNITS = 32, 128


def gradients(module: Any, x: torch.Tensor, dy: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    y = module(x)
    found = torch.autograd.grad(y, [x, *module.parameters()], dy) if y.requires_grad else []
    return [y.detach(), *found]


@pytest.mark.parametrize("twin", TWINS, ids=lambda t: t.label)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_a_state_dict_moves_both_ways_with_equal_outputs_and_gradients(twin: Twin, training: bool) -> None:
    theirs, ours = stirred(twin.theirs(), seed=1), twin.ours()
    assert [(k, v.shape, v.dtype) for k, v in theirs.state_dict().items()] == [(k, v.shape, v.dtype) for k, v in ours.state_dict().items()]
    ours.load_state_dict(theirs.state_dict())
    x, dy = torch.randn(twin.shape) + 1, torch.randn(twin.shape)
    theirs.train(training), ours.train(training)
    for k, (got, wanted) in enumerate(zip(gradients(ours, x, dy), gradients(theirs, x, dy), strict=True)):
        same(got, wanted, UNITS if k == 0 else GRADIENT_UNITS, twin.label)
    back = twin.theirs()
    back.load_state_dict(ours.state_dict())
    for name, a in back.state_dict().items():
        if "tracked" not in name:  # torch's instance normalization never counts
            same(a, theirs.state_dict()[name], UNITS, name)


@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_a_copy_a_pickle_and_a_saved_layer_are_the_same_layer(d: Definition) -> None:
    layer = stirred(made(d))
    x = x_for(d, torch.float32)
    inputs = inputs_of(d, x)
    layer(x, *inputs)  # what a call leaves behind must not travel
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(buffer, weights_only=False)]
    layer.eval()
    for other in copies:
        assert type(other) is type(layer) and repr(other) == repr(layer)
        assert other.state_dict().keys() == layer.state_dict().keys()
        assert torch.equal(other.eval()(x, *inputs), layer(x, *inputs))
        assert all(a is not b for a, b in zip(other.parameters(), layer.parameters(), strict=True))


@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_a_state_dict_is_saved_and_read_with_weights_only(d: Definition) -> None:
    layer, other = made(d), made(d)
    layer(x_for(d, torch.float32), *inputs_of(d, x_for(d, torch.float32)))  # a start that follows the first call is over
    stirred(layer)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    x = x_for(d, torch.float32)
    assert torch.equal(other.eval()(x, *inputs_of(d, x)), layer.eval()(x, *inputs_of(d, x)))


def forward_of_mine(ops: Any, x: Any, params: Any, state: Any, options: Any, *, training: bool) -> Any:
    """Twice x, times the weight."""
    return ops.affine(2.0 * x, params)


MINE = Definition(
    name="mine", short="mine", class_name="Mine", title="Mine", title_ko="내 것", family="activation", role="norm",
    source="notation", year=0, covers=(), params=AFFINE, eps=None, forward=forward_of_mine,
)  # fmt: skip


@pytest.mark.parametrize("d", [MINE, from_line("n (g [c]) [...]", {"g": 2})], ids=lambda d: d.name)
def test_a_layer_of_a_definition_that_is_registered_nowhere_is_pickled(d: Definition) -> None:
    layer = stirred(face.build(d, CHANNELS))
    other = pickle.loads(pickle.dumps(layer))
    x = torch.randn(3, CHANNELS, 4)
    assert torch.equal(other(x), layer(x)) and type(other).__name__ == d.class_name


@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_a_layer_is_cast_and_its_output_has_the_inputs_dtype(d: Definition) -> None:
    for cast, dtype in (("half", torch.float16), ("bfloat16", torch.bfloat16), ("double", torch.float64)):
        layer = getattr(stirred(made(d)), cast)()
        wide = torch.float64 if dtype is torch.float64 else torch.float32
        assert all(p.dtype is dtype for p in layer.parameters())
        assert all(b.dtype is wide for b in layer.buffers() if b.is_floating_point())
        x = x_for(d, dtype)
        y = layer(x, *inputs_of(d, x))
        assert y.dtype is dtype and bool(y.isfinite().all())
        assert all(b.dtype is wide for b in layer.buffers() if b.is_floating_point())


def test_statistics_keep_their_digits_when_a_layer_is_cast_to_half() -> None:
    layer = stirred(face.BatchNorm(CHANNELS))
    before = layer.running_var.clone()
    layer.half()
    assert torch.equal(layer.running_var, before) and not torch.equal(before.half().float(), before)
    assert layer.float().weight.dtype is torch.float32
    assert layer.double().running_var.dtype is torch.float64
    assert layer.half().running_var.dtype is torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("d", [d for d in LAYERS if d.params], ids=lambda d: d.name)
def test_a_layer_is_made_with_a_dtype_and_on_a_device(d: Definition, dtype: torch.dtype) -> None:
    layer = made(d, dtype=dtype, device="meta")
    assert all(p.dtype is dtype and p.is_meta for p in layer.parameters())
    assert all(b.is_meta for b in layer.buffers())
    x = x_for(d, dtype).to("meta")
    y = layer(x, *(a.to("meta") for a in inputs_of(d, x_for(d, dtype))))
    assert y.is_meta and y.shape == x.shape and y.dtype is dtype
    filled = layer.to_empty(device="cpu")
    torch.manual_seed(3)
    filled.reset_parameters()
    torch.manual_seed(3)
    fresh = made(d, dtype=dtype)
    assert all(torch.equal(a, b) for a, b in zip(filled.state_dict().values(), fresh.state_dict().values(), strict=True))


def test_a_device_context_places_a_layer() -> None:
    with torch.device("meta"):
        assert face.BatchNorm(CHANNELS).weight.is_meta


@pytest.mark.parametrize("d", [d for d in LAYERS if any(isinstance(p.start, str) for p in (*d.params, *d.states))], ids=lambda d: d.name)
def test_random_starts_come_from_torchs_own_generator(d: Definition) -> None:
    def drawn(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [a.clone() for a in made(d).state_dict().values()]

    assert all(torch.equal(a, b) for a, b in zip(drawn(0), drawn(0), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(drawn(0), drawn(1), strict=True))


@pytest.mark.parametrize("d", [d for d in LAYERS if d.has_running], ids=lambda d: d.name)
def test_running_statistics_start_anew_and_parameters_stay(d: Definition) -> None:
    layer = stirred(made(d, running=True))
    weight = layer.weight.clone()
    layer(x_for(d, torch.float32))
    assert count_of(layer) == 4
    layer.reset_running_stats()
    assert count_of(layer) == 0 and torch.equal(layer.weight, weight)
    assert float(layer.running_mean.abs().max()) == 0 and torch.equal(layer.running_var, torch.ones_like(layer.running_var))
    layer.reset_parameters()
    assert torch.equal(layer.weight, torch.ones_like(weight))


def test_the_cumulative_mean_counts_by_tensors_and_is_the_mean_of_all_batches() -> None:
    layer = face.BatchNorm(CHANNELS, momentum=None, dtype=torch.float64)
    batches = [torch.randn(5, CHANNELS, 3, dtype=torch.float64) + k for k in range(7)]
    for x in batches:
        layer(x)
    same(layer.running_mean, torch.stack([x.mean((0, 2)) for x in batches]).mean(0), 16)
    same(layer.running_var, torch.stack([x.transpose(0, 1).flatten(1).var(1) for x in batches]).mean(0), 16)
    assert count_of(layer) == 7


def test_an_empty_batch_moves_nothing_and_gives_gradients_of_zero() -> None:
    layer = face.BatchNorm(CHANNELS)
    before = {n: a.clone() for n, a in layer.state_dict().items()}
    x = torch.zeros(0, CHANNELS, 4, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == x.shape and all(torch.equal(a, before[n]) for n, a in layer.state_dict().items())
    assert torch.equal(layer.weight.grad, torch.zeros(CHANNELS)) and x.grad.shape == x.shape


@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_a_class_has_its_name_its_signature_and_its_docstring(d: Definition) -> None:
    kind = getattr(face, d.class_name)
    assert (kind.__name__, kind.__module__) == (d.class_name, "normlab.torch")
    signature = inspect.signature(kind)
    assert next(iter(signature.parameters)) == "channels" and {"device", "dtype"} <= set(signature.parameters)
    assert d.source in inspect.getdoc(kind) and kind is face.layer_class(d)
    shown = repr(made(d))
    assert shown.startswith(f"{d.class_name}(") and "\n" not in shown
    assert eval(shown, {d.class_name: kind}).blueprint == made(d).blueprint


def test_what_no_layer_is_called_is_refused_with_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"has no layer 'BatchNorm2d'; it has AlphaDropout, BatchNorm"):
        face.BatchNorm2d  # noqa: B018
    with pytest.raises(UnknownNameError, match=r"unknown argument of BatchNorm 'epsilon'. Did you mean eps"):
        face.BatchNorm(8, epsilon=1e-3)
    with pytest.raises(DtypeError, match=r"BatchNorm: dtype must be a floating-point type up to float64, got torch.int32"):
        face.BatchNorm(8, dtype=torch.int32)


def test_a_parameter_that_became_an_attribute_is_still_used() -> None:
    """torch.nn.utils.prune and parametrizations put a plain tensor, or a property, in the parameter's place."""
    from torch.nn.utils import prune

    layer = stirred(face.LayerNorm(CHANNELS))
    prune.custom_from_mask(layer, "weight", torch.tensor([1.0, 0, 1, 0, 1, 0]))
    y = layer(torch.randn(3, CHANNELS)) - layer.bias
    assert bool((y[:, 1::2] == 0).all()) and bool((y[:, ::2] != 0).all())
