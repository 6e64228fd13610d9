"""Memory layouts, autocast, in-place changes and activation checkpointing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

import normlab as nl
from grid import acting
from normlab import torch as face
from normlab.definition import Definition
from torch_cases import CHANNELS, inputs_of, made, same, stirred, x_for

LAYERS = acting()
IMAGES = [d for d in LAYERS if "c" in d.layout.split()]


def images(rank: int, layout: str) -> Tensor:
    """Images in one of the ways in which they may lie in memory."""
    x = torch.randn((4, CHANNELS, 3, 5, 2)[:rank]) + 1
    if layout == "channels last":
        return x.to(memory_format=torch.channels_last if rank == 4 else torch.channels_last_3d)
    if layout == "reversed":
        return x.permute(*reversed(range(rank))).contiguous().permute(*reversed(range(rank)))
    if layout == "batch last":
        return x.movedim(0, -1).contiguous().movedim(-1, 0)
    return x


def gradient(layer: Any, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    inputs = inputs_of(layer.definition, x)
    x = x.detach().requires_grad_()
    y = layer(x, *inputs)
    return y.detach(), torch.autograd.grad(y, x, dy)[0]


@pytest.mark.parametrize("rank", [4, 5])
@pytest.mark.parametrize("layout", ["contiguous", "channels last", "reversed", "batch last"])
@pytest.mark.parametrize("d", IMAGES, ids=lambda d: d.name)
def test_output_and_gradient_lie_in_memory_as_x_does(d: Definition, layout: str, rank: int) -> None:
    layer = stirred(made(d)).eval()
    x, plain = images(rank, layout), None
    for dy in (torch.randn(x.shape), torch.empty_like(x).copy_(torch.randn(x.shape))):
        y, dx = gradient(layer, x, dy)
        assert y.stride() == x.stride() and dx.stride() == x.stride()
        plain = gradient(layer, x.contiguous(), dy.contiguous())
        same(y, plain[0], 8, layout)
        same(dx, plain[1], 32, layout)


@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_what_does_not_lie_densely_is_taken_and_given_back_dense(d: Definition) -> None:
    layer = stirred(made(d)).eval()
    x = x_for(d, torch.float32)
    inputs = inputs_of(d, x)
    wanted = layer(x, *inputs)
    spread = torch.zeros(*x.shape[:-1], 2 * x.shape[-1])[..., ::2].copy_(x)
    misaligned = torch.zeros(x.numel() + 1)[1:].view(x.shape).copy_(x)
    for other in (spread, misaligned):
        same(layer(other, *inputs), wanted, 8)
    one = x[:1]
    if d.role != "weight" and not inputs:
        same(layer(one.expand(3, *one.shape[1:])), layer(one.repeat(3, *[1] * (x.ndim - 1))), 8)
    assert torch.equal(layer(x, *inputs), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_autocast_changes_nothing(d: Definition, dtype: torch.dtype) -> None:
    """The output has x's dtype as it comes in, and no product on the way is rounded to bfloat16."""
    layer = stirred(made(d)).eval()
    x = x_for(d, dtype)
    inputs = inputs_of(d, x)
    wanted = gradient(layer, x, torch.ones_like(x))
    leaf = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(leaf, *inputs)
    assert y.dtype is dtype and torch.equal(y, wanted[0])
    assert torch.equal(torch.autograd.grad(y, leaf, torch.ones_like(x))[0], wanted[1])


def test_a_model_under_autocast_trains() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), face.LayerNorm(8), torch.nn.Linear(8, 8), face.BatchNorm(8))
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.randn(16, 8)).float().pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in model.parameters())
    assert model[3].running_mean.dtype is torch.float32


@pytest.mark.parametrize("d", LAYERS, ids=lambda d: d.name)
def test_x_changed_in_place_afterwards_gives_an_error_or_the_right_gradient(d: Definition) -> None:
    layer = stirred(made(d)).eval()
    x = x_for(d, torch.float32)
    inputs, dy = inputs_of(d, x), torch.randn(x.shape)
    wanted = gradient(layer, x, dy)[1]
    leaf = x.clone().requires_grad_()
    passed = leaf * 1
    y = layer(passed, *inputs)
    if y is passed:  # in evaluation dropout gives back what it was given, as torch's does
        return
    passed.mul_(2)
    try:
        got = torch.autograd.grad(y, leaf, dy)[0]
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:
        same(got, wanted, 32, d.name)


def test_two_calls_before_one_backward_pass_do_not_mix() -> None:
    layer = face.BatchNorm(CHANNELS, dtype=torch.float64)
    a, b = torch.randn(2, 5, CHANNELS, 3, dtype=torch.float64).requires_grad_().unbind()
    together = torch.autograd.grad((layer(a) * layer(b)).sum(), (a, b))
    fresh = face.BatchNorm(CHANNELS, dtype=torch.float64)
    ya, yb = fresh(a), fresh(b)
    apart = torch.autograd.grad(ya, a, yb.detach())[0], torch.autograd.grad(yb, b, ya.detach())[0]
    for got, wanted in zip(together, apart, strict=True):
        same(got, wanted, 8)


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not reentrant"])
@pytest.mark.parametrize("d", [d for d in LAYERS if d.states], ids=lambda d: d.name)
def test_a_checkpoint_moves_the_state_once_and_gives_the_same_gradients(d: Definition, reentrant: bool) -> None:
    settings = {"running": True} if d.has_running else {}
    layer = stirred(made(d, dtype=torch.float64, **settings))
    plain = copy.deepcopy(layer)
    x, dy = x_for(d), torch.randn(x_for(d).shape, dtype=torch.float64)
    for _ in range(3):
        leaf, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        seen: list[Tensor] = []

        def run(a: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(layer(a))
            return seen[-1] * 1

        with set_checkpoint_early_stop(False):
            checkpoint(run, leaf, use_reentrant=reentrant).backward(dy)
        plain(other).backward(dy)
        assert len(seen) == 2 and torch.equal(seen[0], seen[1])  # it did run twice, to the same result
        assert torch.equal(leaf.grad, other.grad)
        for name, a in layer.state_dict().items():
            assert torch.equal(a, plain.state_dict()[name]), name
    for got, wanted in zip(layer.parameters(), plain.parameters(), strict=True):
        assert torch.equal(got.grad, wanted.grad)


@pytest.mark.parametrize("d", [d for d in LAYERS if d.states and d.forward is not None], ids=lambda d: d.name)
def test_checkpoints_in_a_row_are_run_again_from_the_state_that_each_found(d: Definition) -> None:
    layer = stirred(made(d, dtype=torch.float64))
    plain = copy.deepcopy(layer)
    x = x_for(d)
    leaf, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    twice = checkpoint(layer, checkpoint(layer, leaf, use_reentrant=False), use_reentrant=False)
    twice.pow(2).sum().backward()
    plain(plain(other)).pow(2).sum().backward()
    assert torch.equal(leaf.grad, other.grad)


def test_a_mask_keeps_padding_out_and_gradients_finite() -> None:
    x = torch.randn(4, CHANNELS, 5, dtype=torch.float64)
    mask = torch.arange(5)[None] < torch.tensor([5, 3, 4, 1])[:, None]
    poisoned = torch.where(mask[:, None], x, torch.nan).requires_grad_()
    layer = face.BatchNorm(CHANNELS, dtype=torch.float64)
    y = layer(poisoned, mask=mask)
    dx, *learnt = torch.autograd.grad(torch.where(mask[:, None], y, 0.0).pow(3).sum(), [poisoned, *layer.parameters()])
    kept = x.transpose(0, 1)[:, mask]
    same(layer.running_mean, kept.mean(1) * 0.1, 16)
    same(layer.running_var, 0.9 + 0.1 * kept.var(1), 16)
    assert bool(dx.isfinite().all()) and all(bool(g.isfinite().all()) for g in learnt)


def test_normalize_keeps_layout_and_dtype() -> None:
    x = images(4, "channels last").bfloat16().requires_grad_()
    y = nl.normalize(x, "n (g [c]) [...]", g=2)
    assert y.stride() == x.stride() and y.dtype is torch.bfloat16
    assert torch.autograd.grad(y, x, torch.ones(x.shape, dtype=x.dtype))[0].stride() == x.stride()
