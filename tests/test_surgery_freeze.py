"""`freeze` and `stats_frozen`: what is held still stays so, in training, in copies, and until it is undone."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import foreign
import normlab as nl
from foreign import timm
from networks import resnet18, transformer
from normlab.errors import UsageError

torch.set_num_threads(1)


class Shared(nn.Module):
    """One normalization at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.second = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x) + x)


# By name: a model, the shape of a batch, and how many places keep running statistics.
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "1d": (lambda: nn.Sequential(nn.BatchNorm1d(4)), (6, 4), 1),
    "3d, without affine": (lambda: nn.Sequential(nn.BatchNorm3d(4, affine=False)), (3, 4, 2, 2, 2), 1),
    "synchronized": (lambda: nn.Sequential(nn.SyncBatchNorm(4)), (6, 4, 3), 1),
    "cumulative": (lambda: nn.Sequential(nn.BatchNorm2d(4, momentum=None)), (6, 4, 3, 3), 1),
    "instance": (lambda: nn.Sequential(nn.InstanceNorm2d(4, track_running_stats=True, affine=True)), (6, 4, 3, 3), 1),
    "shared": (Shared, (6, 4), 2),
    "ours": (lambda: nn.Sequential(nl.torch.BatchNorm(4), nl.torch.WholeNorm(4), nl.torch.InstanceNorm(4, running=True)), (6, 4, 3, 3), 3),
    "adopted": (lambda: nl.adopt(resnet18(5, narrow=8)).model, (2, 3, 32, 32), 20),
    "ResNet-18": (lambda: resnet18(5, narrow=8), (2, 3, 32, 32), 20),
    "timm resnet10t": (lambda: timm.create_model("resnet10t", pretrained=False), (2, 3, 32, 32), 14),
    "timm, fused activation": (lambda: timm.create_model("tf_efficientnetv2_b0", pretrained=False), (2, 3, 32, 32), 59),
}  # fmt: skip
every_model = pytest.mark.parametrize("name", MODELS)


def made(name: str) -> tuple[nn.Module, torch.Tensor, int]:
    make, shape, count = MODELS[name]
    torch.manual_seed(0)
    return make(), torch.randn(shape), count


def kept(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: a.detach().clone() for n, a in model.state_dict().items()}


def equal(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return list(some) == list(others) and all(torch.equal(a, others[n]) for n, a in some.items())


def statistics(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: a for n, a in kept(model).items() if n.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")}


def a_step(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A step of training that moves everything that learns."""
    optimizer = torch.optim.SGD([*model.parameters(), torch.zeros(1, requires_grad=True)], 0.1, weight_decay=0.1)
    y = model.train()(x)
    if y.requires_grad:
        (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    optimizer.step()
    return y.detach()


@every_model
def test_what_is_frozen_stays_through_steps_of_training(name: str) -> None:
    model, x, count = made(name)
    keys, gains = list(model.state_dict()), [p for m in model.modules() if hasattr(m, "running_mean") for p in m.parameters(recurse=False)]
    report = nl.freeze(model)
    assert len(report.changed) == count and not report.refused, str(report)
    assert all("frozen: running statistics" in c.after for c in report.changed)
    before, values = statistics(model), [p.detach().clone() for p in gains]
    for _ in range(2):
        a_step(model, x)
    assert equal(statistics(model), before) and list(model.state_dict()) == keys
    assert all(torch.equal(p, v) and p.grad is None for p, v in zip(gains, values, strict=True))


@every_model
def test_it_normalizes_by_its_running_statistics_in_training(name: str) -> None:
    model, x, _ = made(name)
    for _ in range(2):
        model.train()(x)
    expected = model.eval()(x)
    nl.freeze(model)
    torch.testing.assert_close(model.train()(x), expected)


@every_model
def test_statistics_and_affine_are_frozen_apart(name: str) -> None:
    model, x, _ = made(name)
    still, learns = copy.deepcopy(model), any(p.requires_grad for m in model.modules() if hasattr(m, "running_mean") for p in m.parameters(recurse=False))
    nl.freeze(still, affine=False)
    before = statistics(still)
    flags = [p.requires_grad for p in still.parameters()]
    a_step(still, x)
    assert equal(statistics(still), before) and all(flags)
    report = nl.freeze(model, stats=False)
    assert bool(report.changed) == learns and all("statistics" not in c.after for c in report.changed)
    before = statistics(model)
    a_step(model, x)
    assert not equal(statistics(model), before)


@every_model
def test_copies_and_pickles_are_frozen_and_undo_reaches_the_original_alone(name: str) -> None:
    model, x, _ = made(name)
    report = nl.freeze(model)
    stored = io.BytesIO()
    torch.save(model, stored)
    stored.seek(0)
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(stored, weights_only=False)]
    report.undo()
    for other in others:
        before = statistics(other)
        a_step(other, x)
        assert equal(statistics(other), before)
        assert not any(p.requires_grad for m in other.modules() if hasattr(m, "running_mean") for p in m.parameters(recurse=False))
    before = statistics(model)
    a_step(model, x)
    assert not equal(statistics(model), before)


@every_model
def test_undo_leaves_a_model_that_trains_like_one_that_was_never_frozen(name: str) -> None:
    model, x, _ = made(name)
    other, attributes = copy.deepcopy(model), [set(vars(m)) for m in model.modules()]
    report = nl.freeze(model)
    model.eval()
    report.undo()
    assert [set(vars(m)) for m in model.modules()] == attributes and not any(m.training for m in model.modules())
    seeds = torch.random.get_rng_state()
    a_step(model, x)
    torch.random.set_rng_state(seeds)
    a_step(other, x)
    assert equal(kept(model), kept(other))


def test_undo_gives_gradients_and_modes_back() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4).eval())
    model[1].weight.requires_grad_(False)
    a_step_of = model[0](torch.randn(5, 4)).square().sum()
    a_step_of.backward()
    gradient = model[0].weight.grad
    report = nl.freeze(model)
    assert model[0].weight.grad is None and not model[0].training
    report.undo()
    assert model[0].weight.grad is gradient and model[0].weight.requires_grad and not model[1].weight.requires_grad
    assert model[0].training and not model[1].training
    assert report.undo() is model and model[0].training  # a second time changes nothing


def test_momentum_and_counter_survive_what_timm_s_way_there_and_back_loses() -> None:
    model = nn.Sequential(nn.BatchNorm2d(4, momentum=0.3))
    model(torch.randn(3, 4, 2, 2))
    theirs = timm.layers.unfreeze_batch_norm_2d(timm.layers.freeze_batch_norm_2d(copy.deepcopy(model)))
    assert (theirs[0].momentum, int(theirs[0].num_batches_tracked)) == (0.1, 0)
    nl.freeze(model).undo()
    assert (model[0].momentum, int(model[0].num_batches_tracked)) == (0.3, 1)


def test_what_a_frozen_layer_holds_still_follows_the_mode() -> None:
    class WithDropout(nn.BatchNorm1d):
        def __init__(self) -> None:
            super().__init__(4)
            self.drop = nn.Dropout()

    model = nn.Sequential(WithDropout())
    nl.freeze(model)
    assert model.train()[0].drop.training and not model[0].training
    assert not model.eval()[0].drop.training


def test_an_optimizer_made_before_does_not_move_what_is_frozen_after_a_backward_pass() -> None:
    model = nn.BatchNorm1d(4)
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    (model(torch.randn(5, 4)) ** 3).sum().backward()
    nl.freeze(model)
    optimizer.step()
    assert torch.equal(model.weight, torch.ones(4))


def test_a_model_without_running_statistics_is_told_so_and_stays_as_it_is() -> None:
    model = transformer(16, 2, 2)
    before = [dict(vars(m)) for m in model.modules()]
    report = nl.freeze(model)
    assert report.changed == () and "nothing in it keeps running statistics" in str(report)
    assert [dict(vars(m)) for m in model.modules()] == before and all(p.requires_grad for p in model.parameters())


def test_what_cannot_be_frozen_is_named_with_the_reason() -> None:
    model = nn.Sequential(
        nn.BatchNorm1d(4, track_running_stats=False), nn.LazyBatchNorm1d(), foreign.torchvision.ops.FrozenBatchNorm2d(4),
        nl.torch.BatchNorm(4, running=False), nn.BatchNorm1d(4),
    )  # fmt: skip
    report = nl.freeze(model)
    reasons = {r.path: r.reason for r in report.refused}
    assert list(reasons) == ["0", "1", "3", "2"]
    assert "normalizes by the batch in evaluation as well" in reasons["0"] == reasons["3"]
    assert "lazy" in reasons["1"] and "its class is frozen" in reasons["2"]
    assert [(c.path, c.after) for c in report.changed] == [
        ("0", "frozen: weight, bias"), ("3", "frozen: weight, bias"), ("4", "frozen: running statistics, weight, bias")
    ]  # fmt: skip
    again = nl.freeze(model)
    assert not again.changed and "it is frozen already" in str(again)
    again.undo()
    assert not model.train()[4].training


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_graphs_that_do_not_ask_for_a_mode_are_refused_and_a_frozen_model_can_be_exported() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), torch.randn(6, 4)
    exported = torch.export.export(model, (x,))
    scripted = nn.Sequential(torch.jit.script(nn.BatchNorm1d(4)))
    for graph, reason in ((exported.module(), "before torch.export"), (torch.export.unflatten(exported), "before torch.export"), (scripted, "TorchScript")):
        for report in (nl.freeze(graph), nl.recalibrate(graph, [x])):
            assert not report.changed and len(report.refused) == 1 and reason in str(report)
    nl.freeze(model.train())
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))


def test_a_copy_leaves_the_model_alone() -> None:
    model = nn.BatchNorm1d(4)
    report = nl.freeze(model, copy=True)
    assert model.training and not report.model.train().training


@pytest.mark.parametrize("wrong", [{"model": 3}, {"stats": False, "affine": False}], ids=str)
def test_what_is_no_freezing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"freeze: (model must be a torch.nn.Module, got int|stats and affine are both False)"):
        nl.freeze(**{"model": nn.BatchNorm1d(4), **wrong})


def test_a_compiled_model_is_frozen_and_thaws() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    compiled = torch.compile(model, backend="eager")
    x = torch.randn(6, 4)
    compiled.train()(x)
    report = nl.freeze(compiled)
    before = statistics(model)
    torch.testing.assert_close(compiled.train()(x), copy.deepcopy(model).eval()(x))
    assert equal(statistics(model), before)
    report.undo()
    compiled.train()(x)
    assert not equal(statistics(model), before)


@pytest.mark.parametrize("name", ["1d", "ours", "timm resnet10t"])
def test_it_computes_what_the_frozen_classes_of_others_compute(name: str) -> None:
    model, x, _ = made(name)
    model(x)
    if name == "ours":
        model = nn.Sequential(nn.BatchNorm2d(4), *list(model)[1:])
    theirs = timm.layers.freeze_batch_norm_2d(copy.deepcopy(model)).train()
    assert name != "timm resnet10t" or any(type(m).__name__ == "FrozenBatchNorm2d" for m in theirs.modules())
    nl.freeze(model)
    ours = model.train()
    nl.freeze(theirs)  # of what that function does not know: 1d, ours
    torch.testing.assert_close(ours(x), theirs(x))


@every_model
@pytest.mark.parametrize("by", ["running", "batch"])
def test_within_the_block_no_statistics_move_and_gradients_flow_past_its_end(name: str, by: str) -> None:
    model, x, _ = made(name)
    model.train()(x)
    buffers, before, hooks = dict(model.named_buffers()), kept(model), [set(vars(m)) for m in model.modules()]
    seeds = torch.random.get_rng_state()
    with nl.stats_frozen(model, by=by) as report:
        assert len(report.changed) == MODELS[name][2]
        y = model.train()(x)
        model(x)
    assert equal(kept(model), before) and [set(vars(m)) for m in model.modules()] == hooks
    assert all(buffers[n] is b for n, b in model.named_buffers()) and all(m.training for m in model.modules())
    if y.requires_grad:
        (y**3).sum().backward()  # nothing that it needs was written to
    if by == "batch":
        torch.random.set_rng_state(seeds)
        torch.testing.assert_close(model(x), y)


def test_the_block_ends_well_with_an_exception_and_inside_another() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4))
    with pytest.raises(ZeroDivisionError), nl.stats_frozen(model):
        with nl.stats_frozen(model):
            assert not model.train()[0].training
        assert not model.train()[0].training
        raise ZeroDivisionError
    assert model[0].training and "train" not in vars(model[0])
    with pytest.raises(UsageError, match="by must be 'running' or 'batch', got 'mean'"), nl.stats_frozen(model, by="mean"):
        pass


def test_a_method_with_a_state_of_its_own_is_frozen_too() -> None:
    """Iterative normalization keeps a whitening matrix."""
    from vocabulary.iter_norm import definition

    torch.manual_seed(0)
    layer = nl.torch.build(definition, 8)
    layer(torch.randn(32, 8))
    before = kept(layer)
    nl.freeze(layer, affine=False)
    layer.train()(torch.randn(32, 8))
    assert equal(kept(layer), before)
