"""`keep_norms_fp32`: normalizations of a half-precision model compute and learn in float32, whatever it is cast to."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import normlab as nl
from foreign import timm, transformers
from networks import resnet18, transformer
from normlab.errors import UsageError

torch.set_num_threads(1)

HALVES = [torch.float16, torch.bfloat16]


def llama() -> nn.Module:
    settings = transformers.LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
    return transformers.LlamaModel(settings)


# By name: a model, a batch, and how many normalizations it has.
MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor], int]] = {
    "layer, group, instance": (lambda: nn.Sequential(nn.LayerNorm(8), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4, affine=True)), lambda: torch.randn(3, 4, 8), 3),
    "batch": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), lambda: torch.randn(3, 3, 6, 6), 1),
    "ours": (lambda: nn.Sequential(nl.torch.BatchNorm(4), nl.torch.GroupNorm(4, groups=2)), lambda: torch.randn(3, 4, 6), 2),
    "ResNet-18": (lambda: resnet18(5, narrow=8), lambda: torch.randn(2, 3, 32, 32), 20),
    "Transformer": (lambda: transformer(16, 2, 2), lambda: torch.randn(3, 5, 16), 5),
    "timm convnext": (lambda: timm.create_model("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)), lambda: torch.randn(2, 3, 32, 32), 9),
    "Llama": (llama, lambda: torch.arange(6)[None], 5),
}  # fmt: skip
every_model = pytest.mark.parametrize("name", MODELS)


def made(name: str) -> tuple[nn.Module, torch.Tensor, int]:
    make, batch, count = MODELS[name]
    torch.manual_seed(0)
    return make(), batch(), count


def norms(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if "norm" in type(m).__name__.lower() and [*m.parameters(recurse=False)]]


def result(y: Any) -> torch.Tensor:
    return y if isinstance(y, torch.Tensor) else y.last_hidden_state


@every_model
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("when", ["before the cast", "after the cast"])
def test_arrays_of_norms_are_float32_and_the_rest_is_half(name: str, dtype: torch.dtype, when: str) -> None:
    model, x, count = made(name)
    keys, parameters = list(model.state_dict()), [id(p) for p in model.parameters()]
    if when == "after the cast":
        model.to(dtype)
    report = nl.keep_norms_fp32(model)
    assert len(report.changed) == count and not report.refused, str(report)
    model.to(dtype)
    found = norms(model)
    assert found and all(a.dtype is torch.float32 for m in found for a in [*m.parameters(False), *m.buffers(False)] if a.is_floating_point())
    mine = {id(a) for m in found for a in m.parameters(False)}
    assert all(p.dtype is dtype for p in model.parameters() if id(p) not in mine)
    y = result(model.eval()(x.to(dtype) if x.is_floating_point() else x))
    assert y.dtype is dtype and bool(y.isfinite().all())
    assert list(model.state_dict()) == keys and [id(p) for p in model.parameters()] == parameters


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("layer", [nn.LayerNorm(8), nn.RMSNorm(8), nn.GroupNorm(2, 8), nn.BatchNorm1d(8), nl.torch.RMSNorm(8)], ids=str)
def test_a_norm_rounds_once_at_the_end(layer: nn.Module, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = copy.deepcopy(layer)
    nn.init.normal_(layer.weight)
    x = (torch.randn(6, 8) * 30.0).to(dtype)
    expected = copy.deepcopy(layer)(x.float()).to(dtype)
    nl.keep_norms_fp32(layer)
    torch.testing.assert_close(layer.to(dtype)(x), expected, rtol=torch.finfo(dtype).eps, atol=0)


def test_small_steps_move_a_gain_that_would_stand_still() -> None:
    """Near 1 bfloat16 has steps of 2^-7 above and 2^-8 below: less than half of one is lost each time."""
    for keep in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)).bfloat16()
        if keep:
            nl.keep_norms_fp32(model)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
        for _ in range(20):
            y = model(torch.randn(8, 4).bfloat16())
            optimizer.zero_grad()
            (y * y.detach().sign()).sum().backward()
            optimizer.step()
        assert bool((model[1].weight == 1).all()) is not keep


def test_a_fused_encoder_layer_in_evaluation_computes_the_same() -> None:
    """torch has a fast way past the layers of its encoder, which takes their weights and leaves out their forward."""
    torch.manual_seed(0)
    encoder = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True).eval().bfloat16()
    x = torch.randn(2, 3, 16).bfloat16()
    nl.keep_norms_fp32(encoder)
    slow = encoder(x)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x), slow.detach(), rtol=0.02, atol=0.05)  # some roundings of 2^-8 apart


def test_running_statistics_do_not_overflow() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4)).half()
    x = torch.randn(64, 4).half() * 2000  # a variance of 4e6; float16 ends at 65504
    model(x)
    assert not model[0].running_var.isfinite().all()
    model[0].reset_running_stats()
    nl.keep_norms_fp32(model)
    model.half()(x)
    assert model[0].running_var.isfinite().all() and model.eval()(x).isfinite().all()


def test_wider_types_devices_and_copies_are_followed() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    nl.keep_norms_fp32(model)
    assert model.double()[1].weight.dtype is torch.float64 and model(torch.ones(2, 4).double()).dtype is torch.float64
    other, stored = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    model.float()
    for one in (other, stored):
        assert one[1].weight.dtype is torch.float64  # it is not the original's
        assert one.float().bfloat16()[1].weight.dtype is torch.float32 and one[0].weight.dtype is torch.bfloat16
        assert one(torch.ones(2, 4).bfloat16()).dtype is torch.bfloat16
    assert model[0].weight.dtype is torch.float32
    assert model.to("meta")[1].weight.device.type == "meta"


@every_model
def test_undo_leaves_a_model_like_one_that_was_never_touched(name: str) -> None:
    model, _, _ = made(name)
    model.bfloat16()
    attributes, dtypes = [set(vars(m)) for m in model.modules()], {n: a.dtype for n, a in model.state_dict().items()}
    report = nl.keep_norms_fp32(model)
    assert report.undo() is model
    assert [set(vars(m)) for m in model.modules()] == attributes
    assert {n: a.dtype for n, a in model.state_dict().items()} == dtypes
    again = nl.keep_norms_fp32(model)
    assert again.changed and "in float32 already" in str(nl.keep_norms_fp32(model))


def test_under_autocast_and_compiled_the_dtype_stays() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.BatchNorm1d(8))
    nl.keep_norms_fp32(model)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.randn(4, 8)).dtype is torch.bfloat16
    model.bfloat16()
    x = torch.randn(4, 8).bfloat16()
    expected = copy.deepcopy(model)(x)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)


def test_what_is_no_norm_or_holds_more_is_left_alone() -> None:
    class NormedBlock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(4))
            self.inner = nn.Linear(4, 4)

    model = nn.Sequential(NormedBlock(), nn.Linear(4, 4), nn.LazyBatchNorm1d(), nn.LayerNorm(4))
    model[3].forward = lambda x: x
    report = nl.keep_norms_fp32(model)
    assert not report.changed
    assert {r.path: r.reason for r in report.refused} == {
        "0": "it holds other layers with arrays of their own",
        "2": "it is lazy and has no shape yet; call the model once before",
        "3": "its forward was replaced",
    }
    assert "no normalization was found in it" in str(nl.keep_norms_fp32(nn.Linear(2, 2)))
    with pytest.raises(UsageError, match=r"keep_norms_fp32: model must be a torch.nn.Module, got list"):
        nl.keep_norms_fp32([])
