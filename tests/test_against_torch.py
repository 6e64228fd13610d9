"""Against the twins in torch that the definitions name: outputs, gradients, running statistics, several steps, evaluation.

The pairs come from `known_as`: a class of torch.nn is built from the definition's own translation of its options, so a
wrong translation fails here. What is no plain module (functions, parametrizations, dropout) has its own test below.
"""

from __future__ import annotations

import inspect
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import normlab as nl
from comparing import compare
from grid import CHANNELS, acting
from normlab import functional
from normlab import numpy as face
from normlab.definition import Definition, KnownAs

torch.set_num_threads(1)  # for arrays this small the threads only wait for each other

TWINS = [(d, k) for d in acting() for k in d.known_as if k.name.startswith("torch.")]
MODULES = [(d, k) for d, k in TWINS if k.name.startswith("torch.nn.") and k.name.count(".") == 2 and d.role != "dropout"]
OTHERS = {
    "torch.nn.functional.normalize", "torch.nn.utils.parametrizations.weight_norm",
    "torch.nn.utils.parametrizations.spectral_norm", "torch.nn.AlphaDropout",
}  # fmt: skip
# Values that no default has, so that an option that is not passed on shows.
VALUES = {
    "eps": 3e-3, "momentum": 0.3, "groups": 2, "size": 4, "alpha": 0.7, "beta": 0.6, "k": 2.0, "affine": True,
    "bias": True, "running": True, "p": 0.3,
}  # fmt: skip


def resolve(name: str) -> Any:
    found: Any = torch
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return found


def pair(d: Definition, known: KnownAs, dtype: str, **changes: Any) -> tuple[face.Layer, torch.nn.Module]:
    """A layer and its twin with the same options, the twin's by the definition's translation."""
    values = {**VALUES, **changes}
    ours = {o: values[o] for o in known.options.values() if o in values}
    made = resolve(known.name)
    theirs = {t: values[o] for t, o in known.options.items() if o in values}
    channels = [p for p in inspect.signature(made).parameters if p in ("num_features", "num_channels", "normalized_shape")]
    takes_dtype = "dtype" in inspect.signature(made).parameters
    twin = made(**dict.fromkeys(channels, CHANNELS), **theirs, **({"dtype": getattr(torch, dtype)} if takes_dtype else {}))
    layer = face.build(d, CHANNELS, dtype=dtype, **{n: v for n, v in ours.items() if n in ("eps", "affine", "bias")},
                       options={n: v for n, v in ours.items() if n not in ("eps", "affine", "bias")})  # fmt: skip
    random = np.random.default_rng(3)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            value = random.standard_normal(tuple(parameter.shape)).astype(dtype)
            layer.params[name] = value
            parameter.copy_(torch.from_numpy(value))
    assert {n for n, _ in twin.named_parameters()} == set(layer.params)
    return layer, twin


def shapes(d: Definition, known: KnownAs) -> list[tuple[int, ...]]:
    """The shapes that a twin takes, by the number in its name."""
    wanted = re.search(r"(\d)d$", known.name)
    first = [(16, 8), (4, 8, 6), (3, 8, 4, 5), (2, 8, 3, 2, 4)]
    if wanted:
        ranks = {int(wanted.group(1)) + 2} | ({2} if known.name.endswith("BatchNorm1d") else set())
        first = [s for s in first if len(s) in ranks]
    if "LocalResponse" in known.name:
        first = first[1:]
    return [(*s[:1], *s[2:], s[1]) for s in first] if d.layout == "... c" else first


def tensor(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(x)).requires_grad_()


def step(
    layer: face.Layer, twin: torch.nn.Module, known: KnownAs, x: np.ndarray, order: tuple[int, ...] | None = None
) -> None:
    """One call there and back of both; `order` moves the axes for the layer, whose layout must fit."""
    t = tensor(x)
    dy = np.random.default_rng(x.size).standard_normal(x.shape).astype(x.dtype)
    y_theirs = twin(t)
    twin.zero_grad()
    y_theirs.backward(torch.from_numpy(dy))
    order = order or tuple(range(x.ndim))
    y = layer(x.transpose(order))
    dx = layer.backward(dy.transpose(order))
    assert y.dtype == dx.dtype == x.dtype
    compare(y, y_theirs.detach().numpy().transpose(order), "torch", "y")
    assert t.grad is not None
    compare(dx, t.grad.numpy().transpose(order), "torch gradient", "dx")
    for name, parameter in twin.named_parameters():
        assert parameter.grad is not None
        compare(layer.grads[name], parameter.grad.numpy(), "torch gradient", name)
    for name, value in twin.named_buffers():
        if name == "num_batches_tracked":
            assert int(layer.state[name]) == int(value) or name in known.differs
        else:
            scale = np.abs(x).max() ** (2 if "var" in name else 1)
            compare(np.asarray(layer.state[name]), value.numpy(), "torch", name, scale=scale)


def check(d: Definition, known: KnownAs, dtype: str, order: Any = None, layout: str | None = None, **changes: Any) -> None:
    for shape in shapes(d, known):
        layer, twin = pair(d, known, dtype, **changes)
        moved = None
        if order is not None:
            layer.layout, moved = layout or layer.layout, order(len(shape))
        for k in range(3):
            x = np.random.default_rng(k).standard_normal(shape).astype(dtype) * 2 + k
            step(layer, twin, known, x, moved)
        layer.eval()
        twin.eval()
        x = np.random.default_rng(9).standard_normal(shape).astype(dtype) * 2 + 1
        step(layer, twin, known, x, moved)
        step(layer, twin, known, x, moved)


ids = {"ids": lambda v: getattr(v, "name", str(v)).removeprefix("torch.nn.")}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("d", "known"), MODULES, **ids)
def test_three_steps_and_evaluation_are_those_of_the_twin(d: Definition, known: KnownAs, dtype: str) -> None:
    check(d, known, dtype)


CHANGES: list[dict[str, Any]] = [
    {"affine": False}, {"bias": False}, {"running": False}, {"momentum": None}, {"momentum": 0.0}, {"momentum": 1.0},
]  # fmt: skip
CHANGED = [
    (d, k, c) for d, k in MODULES for c in CHANGES
    if set(c) <= set(k.options.values()) and not (c == {"momentum": None} and "momentum=None" in k.differs)
]  # fmt: skip


@pytest.mark.parametrize(("d", "known", "changes"), CHANGED, **ids)
def test_every_option_means_what_the_translation_says(d: Definition, known: KnownAs, changes: dict[str, Any]) -> None:
    check(d, known, "float64", **changes)


def last(rank: int) -> tuple[int, ...]:
    """Channels last."""
    return (0, *range(2, rank), 1)


@pytest.mark.parametrize(("d", "known"), [(d, k) for d, k in MODULES if d.layout == "n c ..."], **ids)
def test_channels_last_as_a_layout(d: Definition, known: KnownAs) -> None:
    check(d, known, "float64", last, "n ... c")


@pytest.mark.parametrize(("d", "known"), [(d, k) for d, k in MODULES if d.layout == "... c"], **ids)
def test_channels_first_as_a_layout(d: Definition, known: KnownAs) -> None:
    check(d, known, "float64", lambda rank: (0, rank - 1, *range(1, rank - 1)), "n c ...")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("d", "known"), [(d, k) for d, k in MODULES if (3, 8, 4, 5) in shapes(d, k)], **ids)
def test_channels_last_in_memory(d: Definition, known: KnownAs, dtype: str) -> None:
    """torch's memory_format=channels_last and a transposed NumPy array are the same bytes; the output lies like the input."""
    layer, twin = pair(d, known, dtype)
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 8)).astype(dtype).transpose(0, 3, 1, 2)
    t = torch.from_numpy(x)
    assert t.is_contiguous(memory_format=torch.channels_last)
    y = layer(x)
    assert y.strides == x.strides
    compare(y, twin(t).detach().numpy(), "torch")
    layer.eval()
    twin.eval()
    compare(layer(x), twin(t).detach().numpy(), "torch")


@pytest.mark.parametrize(("d", "known"), MODULES, **ids)
def test_the_defaults_are_those_of_the_twin_unless_it_is_said_how_they_differ(d: Definition, known: KnownAs) -> None:
    signature = inspect.signature(resolve(known.name))
    ours = {o.name: o.default for o in d.all_options} | {"eps": d.eps, "affine": True, "bias": True}
    for theirs, mine in known.options.items():
        default = signature.parameters[theirs].default
        if default is not inspect.Parameter.empty and default != ours.get(mine):
            assert mine in known.differs or theirs in known.differs or "affine" in known.differs, (theirs, default, ours.get(mine))


@pytest.mark.parametrize("sizes", [(5,), (4, 5), (8, 4, 5)], ids=str)
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_trailing_sizes_are_torchs_normalized_shape(name: str, sizes: tuple[int, ...]) -> None:
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 8, 4, 5))
    layer = getattr(face, nl.method(name).class_name)(sizes, eps=1e-5)
    twin = getattr(torch.nn, nl.method(name).class_name)(sizes, eps=1e-5, dtype=torch.float64)
    t = tensor(x)
    twin(t).backward(torch.from_numpy(dy))
    compare(layer(x), twin(t).detach().numpy(), "torch")
    assert t.grad is not None
    compare(layer.backward(dy), t.grad.numpy(), "torch gradient")
    for parameter, value in twin.named_parameters():
        assert value.grad is not None
        compare(layer.grads[parameter], value.grad.numpy(), "torch gradient", parameter)


@pytest.mark.parametrize("shape", [(5, 8), (5, 8, 3)], ids=str)
def test_unit_norm_is_functional_normalize(shape: tuple[int, ...]) -> None:
    x, dy = np.random.default_rng(0).standard_normal((2, *shape))
    x[0] = 0.0
    t = tensor(x)
    y = torch.nn.functional.normalize(t.flatten(1), dim=1).reshape(shape)
    y.backward(torch.from_numpy(dy))
    layer = face.UnitNorm()
    compare(layer(x), y.detach().numpy(), "torch")
    assert t.grad is not None
    compare(layer.backward(dy)[1:], t.grad.numpy()[1:], "torch gradient")


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3, 3)], ids=["dense", "conv"])
def test_weight_norm_is_the_parametrization(shape: tuple[int, ...]) -> None:
    module: Any = torch.nn.Linear(4, 6) if len(shape) == 2 else torch.nn.Conv2d(4, 6, 3)
    module = torch.nn.utils.parametrizations.weight_norm(module.double())
    g, v = (p.detach().numpy().copy() for p in (module.parametrizations.weight.original0, module.parametrizations.weight.original1))
    layer = face.WeightNorm(6)
    compare(layer(v), module.weight.detach().numpy(), "torch")
    compare(layer.params["g"], g.ravel(), "torch")
    layer.params["g"] = np.arange(1.0, 7.0)
    with torch.no_grad():
        module.parametrizations.weight.original0.copy_(torch.arange(1.0, 7.0).reshape(g.shape))
    dw = np.random.default_rng(0).standard_normal(shape)
    module.weight.backward(torch.from_numpy(dw))
    w = layer(v)
    dv = layer.backward(dw)
    compare(w, module.weight.detach().numpy(), "torch")
    compare(dv, module.parametrizations.weight.original1.grad.numpy(), "torch gradient")
    compare(layer.grads["g"], module.parametrizations.weight.original0.grad.numpy().ravel(), "torch gradient")


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3, 3)], ids=["dense", "conv"])
def test_spectral_norm_is_the_parametrization(shape: tuple[int, ...], steps: int) -> None:
    torch.manual_seed(0)
    module: Any = torch.nn.Linear(4, 6) if len(shape) == 2 else torch.nn.Conv2d(4, 6, 3)
    module = torch.nn.utils.parametrizations.spectral_norm(module.double(), n_power_iterations=steps)
    inner = module.parametrizations.weight
    w = inner.original.detach().numpy().copy()
    layer = face.SpectralNorm(6, steps=steps)
    layer.state["u"] = inner[0]._u.numpy().copy()
    for _ in range(3):
        theirs = module.weight  # every look is one training call
        compare(layer(w), theirs.detach().numpy(), "torch")
        compare(layer.state["u"], inner[0]._u.numpy(), "torch")
    dw = np.random.default_rng(0).standard_normal(shape)
    inner.original.grad = None
    theirs.backward(torch.from_numpy(dw))
    compare(layer.backward(dw), inner.original.grad.numpy(), "torch gradient")
    module.eval()
    compare(layer.eval()(w), module.weight.detach().numpy(), "torch")


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_alpha_dropout_keeps_and_drops_to_the_same_values(p: float) -> None:
    """Which elements fall is chance; what the others and they become is not."""
    x = np.full(4000, 0.8)
    torch.manual_seed(0)
    theirs = np.unique(torch.nn.AlphaDropout(p)(torch.from_numpy(x)).numpy())
    ours, counts = np.unique(functional.alpha_dropout(x, p=p, key=0), return_counts=True)
    assert len(theirs) == len(ours) == 2
    compare(ours, theirs, "torch")
    assert abs(counts[0] / 4000 - p) < 4 * np.sqrt(p * (1 - p) / 4000)  # the lower value is that of the dropped
    compare(face.AlphaDropout(p=p).eval()(x), x, "worked")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 11])
def test_the_window_of_local_response_norm_is_torchs(size: int) -> None:
    """Case 26: alpha is divided by the size, and an even window is longer before than after; onnx the other way round."""
    x = np.random.default_rng(0).standard_normal((2, 8, 3)) * 3
    wanted = torch.nn.functional.local_response_norm(torch.from_numpy(x), size, alpha=0.5, beta=0.7, k=1.5).numpy()
    ours = partial(functional.local_response_norm, size=size, alpha=0.5, beta=0.7, k=1.5)
    compare(ours(x), wanted, "torch")
    flipped = ours(x[:, ::-1], window="onnx")[:, ::-1]
    compare(flipped, wanted, "torch")
    assert np.array_equal(ours(x), ours(x, window="onnx")) == (size % 2 == 1)


def test_every_twin_that_a_definition_names_was_met() -> None:
    assert {k.name for _, k in TWINS} == {k.name for _, k in MODULES} | OTHERS
    for _, known in TWINS:
        assert resolve(known.name)
