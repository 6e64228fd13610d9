"""`adopt`: a model does the same as before, in training and evaluation, with the same parameters, and can go back.

The classes come from `known_as`: each of torch.nn and timm that a definition names is adopted here, alone, over steps;
then whole networks, of torch.nn and of timm.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import foreign
import normlab as nl
from foreign import timm
from grid import acting
from networks import resnet18, transformer
from normlab import torch as face
from normlab.definition import KnownAs
from normlab.errors import ShapeError, UsageError
from normlab.surgery.recognizing import NORMS
from normlab.torch.distributed import shares_batches

torch.set_num_threads(1)

CHANNELS = 8
NAMED = [k for d in acting() if d.role in NORMS for k in d.known_as if re.match(r"torch\.nn\.\w+$|timm\.layers\.", k.name)]
# In float64, whose eps is 2e-16: thousands of operations one after another, each off by about one eps, and weights that
# training has moved apart by as much.
CLOSE = {"rtol": 1e-9, "atol": 1e-11}
one_each = pytest.mark.parametrize("known", NAMED, ids=lambda k: k.name)


def made(known: KnownAs, **more: Any) -> Any:
    """A layer of a class by its name, with values that no default has."""
    place: Any = {"torch": torch, "timm": timm}[known.name.partition(".")[0]]
    for part in known.name.split(".")[1:]:
        place = getattr(place, part)
    names = inspect.signature(place).parameters
    values = {"num_groups": 2, "eps": 1e-3, "momentum": 0.3, "affine": True, "track_running_stats": True, "size": 4, "alpha": 0.7,
              "beta": 0.6, "k": 2.0}  # fmt: skip
    values |= dict.fromkeys(("num_features", "num_channels", "normalized_shape", "channels"), CHANNELS)
    kept = {n: v for n, v in {**values, **more}.items() if n in names}
    torch.manual_seed(0)
    layer = place(**kept).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer


def batch_for(known: KnownAs, seed: int = 0) -> torch.Tensor:
    """A batch with as many axes as the class's name or layout asks for."""
    positions = {"1d": (5,), "3d": (3, 2, 2)}.get(known.name[-2:], (5, 3))
    x = torch.randn(4, CHANNELS, *positions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.5
    last = known.channels == "normalized_shape" and "layout" not in known.fixed
    return x.movedim(1, -1) if last else x


def steps(model: nn.Module, batches: list[torch.Tensor], optimizer: torch.optim.Optimizer | None = None) -> list[torch.Tensor]:
    """Training on each batch, and evaluation of the first: outputs, all gradients, and all state afterwards."""
    found: list[torch.Tensor] = []
    optimizer = optimizer or torch.optim.SGD([*model.parameters(), torch.zeros(1, requires_grad=True)], 0.05, momentum=0.9)
    for x in batches:
        x = x.clone().requires_grad_(x.is_floating_point())
        y = model.train()(x)
        optimizer.zero_grad()
        # Along a random direction: the sum of what is normalized does not change.
        (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)).mean().backward()
        found += [y.detach(), *(p.grad.clone() for p in [x, *model.parameters()] if p.grad is not None)]
        optimizer.step()
    return [*found, model.eval()(batches[0]).detach(), *(a.detach().clone() for a in model.state_dict().values())]


def same(some: list[torch.Tensor], others: list[torch.Tensor]) -> None:
    assert len(some) == len(others)
    for a, b in zip(some, others, strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


def adopted(model: nn.Module, count: int) -> nn.Module:
    report = nl.adopt(model)
    assert len(report.changed) == count and not report.refused, str(report)
    return report.model


@one_each
@pytest.mark.parametrize("more", [{}, {"affine": False, "elementwise_affine": False}, {"bias": False}, {"track_running_stats": False}], ids=str)
def test_every_class_that_a_definition_names_is_adopted(known: KnownAs, more: dict[str, Any]) -> None:
    before = nn.Sequential(made(known, **more))
    after = adopted(copy.deepcopy(before), 1)
    assert isinstance(after[0], face.Layer) and list(after.state_dict()) == list(before.state_dict())
    batches = [batch_for(known, seed) for seed in range(3)]
    ours, theirs = (steps(model, batches) for model in (after, before))
    if "num_batches_tracked" in known.differs and "0.num_batches_tracked" in after.state_dict():  # torch's never moves here
        ours, theirs = ours[:-1], theirs[:-1]
    same(ours, theirs)


@one_each
def test_what_it_holds_and_is_asked_for_is_the_same(known: KnownAs) -> None:
    before = made(known)
    model = nn.Sequential(before)
    before.eval()
    if known.channels:
        before.weight.requires_grad_(False)
    held = {**before._parameters, **before._buffers}
    report = nl.adopt(model)
    layer: Any = model[0]
    assert all(getattr(layer, n) is a for n, a in held.items()) and not layer.training
    for name in ("eps", "num_features", "num_groups", "normalized_shape", "size", "affine", "track_running_stats"):
        if hasattr(before, name):
            assert getattr(layer, name) == getattr(before, name)
    assert report.undo() is model and model[0] is before and not before.training


@pytest.mark.parametrize("eps", [None, 1e-6], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_an_eps_that_is_left_out_is_that_of_the_dtype(eps: float | None, dtype: torch.dtype) -> None:
    """Values so small that eps is most of what divides."""
    before = nn.RMSNorm(CHANNELS, eps, dtype=dtype)
    after = adopted(nn.Sequential(copy.deepcopy(before)), 1)
    x = (torch.randn(5, CHANNELS) * 1e-4).to(dtype)
    torch.testing.assert_close(after(x), before(x))


def networks() -> dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor], int]]:
    """By name: a network, a batch, and its normalizations."""
    image = lambda size: lambda: torch.randn(4, 3, size, size)  # noqa: E731
    create = lambda name, **more: lambda: timm.create_model(name, pretrained=False, num_classes=5, **more)  # noqa: E731
    return {
        "ResNet-18": (lambda: resnet18(5, narrow=8), image(64), 20),
        "Transformer, norm first": (lambda: transformer(16, 2, 2), lambda: torch.randn(3, 7, 16), 5),
        "Transformer, norm last": (lambda: transformer(16, 2, 2, first=False), lambda: torch.randn(3, 7, 16), 5),
        "timm resnet18": (create("resnet18"), image(64), 20),
        "timm convnext": (create("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)), image(64), 9),
        "timm vit": (create("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=24), image(32), 5),
    }


@pytest.mark.parametrize("name", networks())
def test_a_network_gives_the_same_and_learns_the_same(name: str) -> None:
    make, batch, count = networks()[name]
    torch.manual_seed(0)
    before = make().double()
    x = [batch().double() for _ in range(2)]
    after = adopted(copy.deepcopy(before), count)
    assert list(after.state_dict()) == list(before.state_dict())
    same(steps(after, x), steps(before, x))


def test_an_optimizer_made_before_goes_on() -> None:
    torch.manual_seed(0)
    x = [torch.randn(4, 3, 32, 32, dtype=torch.float64) for _ in range(4)]
    first, second = (resnet18(5, narrow=8).double() for _ in range(2))
    second.load_state_dict(first.state_dict())
    optimizers = [torch.optim.SGD(m.parameters(), 0.05, momentum=0.9) for m in (first, second)]
    for model, optimizer in zip((first, second), optimizers, strict=True):
        steps(model, x[:2], optimizer)
    report = nl.adopt(second)
    same(steps(second, x[2:], optimizers[1]), steps(first, x[2:], optimizers[0]))
    report.undo()
    assert [type(m) for m in second.modules()] == [type(m) for m in first.modules()]
    same(steps(second, x[:1], optimizers[1]), steps(first, x[:1], optimizers[0]))


def test_going_back_is_exact_also_after_a_cast() -> None:
    torch.manual_seed(0)
    model = resnet18(5, narrow=8)
    before = dict(model.named_modules())
    report = nl.adopt(model)
    model.double()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    y, kept = model.eval()(x), {n: a.clone() for n, a in model.state_dict().items()}
    assert report.undo() is model
    assert all(before[n] is m for n, m in model.named_modules()) and not any(m.training for m in model.modules())
    assert all(torch.equal(kept[n], a) for n, a in model.state_dict().items())
    torch.testing.assert_close(model(x), y, **CLOSE)


def test_the_report_measures_what_moved_beside_what_rounding_moves() -> None:
    torch.manual_seed(0)
    model = resnet18(5, narrow=8)
    kept = {n: a.clone() for n, a in model.state_dict().items()}
    report = nl.adopt(model, torch.randn(4, 3, 64, 64))
    assert all(torch.equal(kept[n], a) for n, a in model.state_dict().items())
    assert report.moved is not None and report.noise is not None
    assert 0 < report.noise < 1e-3 and report.moved < 10 * report.noise
    table = str(report)
    assert table.startswith("20 changed, 0 refused") and "BatchNorm2d  -> BatchNorm(8, " in table
    assert f"output moved by {report.moved:.1e} of its largest value" in table and "4.downsample.1" not in table
    assert nl.adopt(model).changed == ()  # they are ours already


@pytest.mark.parametrize(
    ("batch", "forward"),
    [
        (torch.ones(2, 4), None),
        ((torch.ones(2, 4), torch.ones(2, 4)), None),
        ({"x": torch.ones(2, 4), "more": torch.ones(2, 4)}, None),
        ("word", lambda model, batch: {"y": [model(torch.ones(2, 4))], "n": len(batch)}),
    ],
    ids=["tensor", "tuple", "dict", "forward"],
)
def test_a_batch_is_whatever_a_model_takes(batch: Any, forward: Any) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.drop = nn.LayerNorm(4), nn.Dropout()

        def forward(self, x: torch.Tensor, more: Any = 0.0) -> torch.Tensor:
            return self.drop(self.norm(torch.arange(4.0) * x + more))

    torch.manual_seed(0)
    state = torch.get_rng_state()
    report = nl.adopt(Model(), batch, forward=forward)
    assert report.moved is not None and report.moved < 1e-6  # dropout dropped the same
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_that_fails_afterwards_is_as_it_was() -> None:
    """Group normalization of single elements gives the bias in torch; ours says that there is nothing to normalize."""
    model = nn.Sequential(nn.LayerNorm(1), nn.Flatten(), nn.GroupNorm(4, 4))
    before = list(model)
    with pytest.raises(ShapeError, match="1 element in each set"):
        nl.adopt(model, torch.randn(2, 4, 1))
    assert all(a is b for a, b in zip(model, before, strict=True))


def test_a_copy_leaves_the_model_alone() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3))
    report = nl.adopt(model, copy=True)
    assert type(model[0]) is nn.BatchNorm1d and isinstance(report.model[0], face.Layer)
    assert report.model[0].weight is not model[0].weight


def test_what_stands_in_several_places_still_does() -> None:
    norm = nn.LayerNorm(3)
    model = nn.ModuleDict({"a": norm, "b": nn.Sequential(norm, nn.Linear(3, 3))})
    report = nl.adopt(model)
    assert model["a"] is model["b"][0] and [c.path for c in report.changed] == ["a", "b.0"]
    report.undo()
    assert model["a"] is model["b"][0] is norm


def test_a_model_that_is_a_normalization() -> None:
    norm = nn.BatchNorm2d(3)
    report = nl.adopt(norm)
    assert isinstance(report.model, face.Layer) and report.model.weight is norm.weight
    assert "(the model)  BatchNorm2d  -> BatchNorm(3" in str(report)
    assert report.undo() is norm


class Plain(nn.BatchNorm2d):
    """No more than another name."""


class Fused(nn.BatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu()


class OnePlus(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.rms_norm(x, (4,)) * (1 + self.weight)


OnePlus.__name__ = "OnePlusRMSNorm"


def hooked(register: str) -> nn.Module:
    norm = nn.LayerNorm(4)
    getattr(norm, register)(lambda *a: None)
    return norm


def patched() -> nn.Module:
    norm = nn.LayerNorm(4)
    norm.forward = lambda x: x  # type: ignore[method-assign]
    return norm


def halfway() -> nn.Module:
    norm = nn.BatchNorm1d(4)
    norm.track_running_stats = False
    return norm


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "own forward": (lambda: Fused(4), "Fused has its own forward beyond BatchNorm2d"),
    "forward hook": (lambda: hooked("register_forward_hook"), r"it has hooks \(forward_hooks\)"),
    "forward pre-hook": (lambda: hooked("register_forward_pre_hook"), r"it has hooks \(forward_pre_hooks\)"),
    "backward hook": (lambda: hooked("register_full_backward_hook"), r"it has hooks \(backward_hooks\)"),
    "state_dict hook": (lambda: hooked("register_state_dict_post_hook"), r"it has hooks \(state_dict_hooks\)"),
    "replaced forward": (patched, "its forward was replaced"),
    "parametrization": (lambda: parametrizations.weight_norm(nn.LayerNorm((4, 4))), "ParametrizedLayerNorm has its own"),
    "lazy": (lambda: nn.LazyBatchNorm2d(), "it is lazy and has no shape yet"),
    "gain of 1 + w": (OnePlus, "no definition names test_adopt.OnePlus"),
    "statistics switched off later": (halfway, "its .*running_mean.* are not what its options say"),
    "momentum that is not kept": (lambda: nn.InstanceNorm2d(4, momentum=None), "InstanceNorm2d with momentum=None does something else"),
    "sets of one": (lambda: nn.LayerNorm(1), "it pools a single element"),
    "momentum above 1": (lambda: nn.BatchNorm1d(4, momentum=1.5), "momentum must be .* got 1.5"),
    "fused in timm": (lambda: timm.layers.BatchNormAct2d(4), "BatchNormAct2d has its own .*forward.* beyond BatchNorm2d"),
    "frozen in timm": (lambda: timm.layers.FrozenBatchNormAct2d(4), "no definition names timm.*FrozenBatchNormAct2d"),
    "another precision in timm": (lambda: timm.layers.LayerNormFp32(4), "LayerNormFp32 has its own forward beyond LayerNorm"),
    "Llama, which rounds before the gain": (
        lambda: foreign.transformers.models.llama.modeling_llama.LlamaRMSNorm(4), "no definition names transformers.*LlamaRMSNorm",
    ),
    "Gemma's 1 + w": (
        lambda: foreign.transformers.models.gemma.modeling_gemma.GemmaRMSNorm(4), "no definition names transformers.*GemmaRMSNorm",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_what_is_more_than_its_class_says_is_refused_with_the_reason(what: str) -> None:
    make, reason = REFUSED[what]
    norm = make()
    model = nn.Sequential(norm, Plain(4))
    report = nl.adopt(model)
    assert model[0] is norm and isinstance(model[1], face.Layer)  # a mere name is no more than its class
    assert [r.path for r in report.refused] == ["0"] and re.search(reason, report.refused[0].reason)
    assert re.search(f"  0  refused: .*{reason}", str(report))


def test_timms_fast_norms_are_refused() -> None:
    timm.layers.set_fast_norm(True)
    try:
        norms = [timm.layers.LayerNorm(4), timm.layers.GroupNorm(4, 2), timm.layers.RmsNorm(4)]
    finally:
        timm.layers.set_fast_norm(False)
    report = nl.adopt(nn.Sequential(*norms))
    assert not report.changed and all("_fast_norm=True does something else" in r.reason for r in report.refused)


def test_a_sample_without_its_batch_is_refused_not_misread() -> None:
    """torch takes (c, h, w) for one sample of instance normalization; read as n c ..., channels would be samples."""
    x = torch.randn(4, 4, 5)
    assert nn.InstanceNorm2d(4)(x).shape == x.shape
    layer = adopted(nn.Sequential(nn.InstanceNorm2d(4)), 1)
    with pytest.raises(ShapeError, match=r"InstanceNorm: x must have 4 axes, got shape \(4, 4, 5\). Give a single sample a batch"):
        layer(x)
    torch.testing.assert_close(layer(x[None])[0], nn.InstanceNorm2d(4)(x))


@pytest.mark.parametrize("padded", [False, True], ids=["", "padded"])
def test_torchs_fused_evaluation_of_a_transformer_finds_what_it_reads(padded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes weight, bias and eps of both normalizations and calls neither."""
    torch.manual_seed(0)
    before = transformer(16, 2, 2).eval()
    after = adopted(copy.deepcopy(before), 5)
    x = torch.randn(3, 7, 16)
    mask = torch.zeros(3, 7, dtype=torch.bool)
    mask[0, 5:] = padded
    fused, called = torch._transformer_encoder_layer_fwd, []
    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", lambda *a: (called.append(1), fused(*a))[1])
    with torch.no_grad():
        torch.testing.assert_close(after(x, src_key_padding_mask=mask if padded else None), before(x, src_key_padding_mask=mask if padded else None))
    assert len(called) == 4  # two layers, twice


def test_a_model_under_torch_compile_keeps_its_graph_whole() -> None:
    torch.manual_seed(0)
    before = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.InstanceNorm2d(4))
    after = adopted(copy.deepcopy(before), 2)
    x = torch.randn(2, 3, 6, 6)
    compiled: Any = torch.compile(after, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), before(x), rtol=1e-4, atol=1e-5)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"model must be a torch\.nn\.Module, got list"):
        nl.adopt([nn.BatchNorm1d(3)])


def test_the_only_classes_with_a_group_are_those_that_pool_the_batch() -> None:
    for d in acting():
        for known in d.known_as:
            assert "process_group" not in {*known.options, *known.fixed} or shares_batches(d)
