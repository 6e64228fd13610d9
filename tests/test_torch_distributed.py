"""Batches over several processes: `process_group=` makes them one batch, forward and backward.

Every comparison is with one process that has the whole batch. The tasks run in processes of their own (`ranks.py`),
whose group gives up after seconds: nothing here can hang.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

import normlab as nl
from comparing import compare
from grid import CHANNELS, acting
from normlab import torch as face
from normlab.definition import Definition
from normlab.errors import NormlabError, ShapeError, UsageError
from normlab.registry import method
from normlab.torch.distributed import shares_batches
from ranks import Ranks

SHARING = [d.name for d in acting() if shares_batches(d)]
# Samples of each rank: unequal; none on one; a single one on each, which alone would be refused.
SPLITS = {2: [(5, 3), (0, 7), (1, 1)], 4: [(3, 1, 0, 4), (1, 1, 1, 1), (0, 0, 6, 0)]}
REST = (4, 3)


@pytest.fixture(scope="module")
def four() -> Iterator[Ranks]:
    made = Ranks(4, __name__)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def two(four: Ranks) -> Ranks:
    return four.first(2)


@pytest.fixture(params=["two", "four"])
def ranks(request: pytest.FixtureRequest) -> Ranks:
    return request.getfixturevalue(request.param)


def drawn(seed: int, count: int, dtype: str, rest: tuple[int, ...] = REST) -> tuple[torch.Tensor, torch.Tensor]:
    """x, of which every sample has another mean, and a cotangent."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((count, CHANNELS, *rest)) + 2.0 * random.standard_normal((count, 1, *(1 for _ in rest)))
    return torch.tensor(x.astype(dtype)), torch.tensor(random.standard_normal(x.shape).astype(dtype))


def layer_for(name: str, dtype: str, **settings: Any) -> face.Layer:
    torch.manual_seed(0)
    layer = face.build(method(name), CHANNELS, dtype=getattr(torch, dtype), **settings)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


def steps(layer: face.Layer, batches: list[tuple[torch.Tensor, torch.Tensor]], **call: Any) -> list[dict[str, Any]]:
    """Two steps of training and one evaluation: results, gradients and state after each, as arrays."""
    found = []
    for k, (x, dy) in enumerate(batches):
        layer.train(k < len(batches) - 1)
        x = x.clone().requires_grad_()
        layer.zero_grad()
        y = layer(x, **call)
        y.backward(dy)
        named = {n: p.grad for n, p in layer.named_parameters()} | dict(layer.named_buffers())
        found.append({n: a.detach().numpy().copy() for n, a in {"y": y, "dx": x.grad, **named}.items() if a is not None})
    return found


def share_of(rank: int, sizes: tuple[int, ...], dtype: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    at = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
    return [(x[at], dy[at]) for x, dy in (drawn(seed, sum(sizes), dtype) for seed in range(3))]


def task_steps(rank: int, name: str, sizes: tuple[int, ...], dtype: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    layer = layer_for(name, dtype, process_group="world", options=options)
    return steps(layer, share_of(rank, sizes, dtype))


def check_steps(told: list[list[dict[str, Any]]], alone: list[dict[str, Any]], layer: face.Layer) -> None:
    """Rows stand one after another; what is learnt has its gradient in parts; state is the same bytes everywhere."""
    for k, whole in enumerate(alone):
        parts = [each[k] for each in told]
        for name in ("y", "dx"):
            compare(np.concatenate([p[name] for p in parts]), whole[name], "identity", name)
        for name, _ in layer.named_parameters():
            scale = np.abs(whole[name]).max()
            compare(np.sum([p[name] for p in parts], 0, np.float64).astype(whole[name].dtype), whole[name], "torch", name, scale=scale)
        for name, _ in layer.named_buffers():
            assert all(p[name].tobytes() == parts[0][name].tobytes() for p in parts), name
            compare(parts[0][name].astype(whole["y"].dtype), whole[name].astype(whole["y"].dtype), "identity", name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHARING)
def test_the_parts_of_a_batch_are_normalized_as_the_whole_is(ranks: Ranks, name: str, dtype: str) -> None:
    for sizes in SPLITS[len(ranks.ends)]:
        told = ranks.run(task_steps, name, sizes, dtype, {})
        layer = layer_for(name, dtype)
        check_steps(told, steps(layer, [drawn(seed, sum(sizes), dtype) for seed in range(3)]), layer)


@pytest.mark.parametrize("options", [{"momentum": None}, {"running": False}, {"running_var_biased": True}], ids=str)
def test_options_mean_what_they_mean_in_one_process(two: Ranks, options: dict[str, Any]) -> None:
    for name in SHARING:
        told = two.run(task_steps, name, (5, 3), "float64", options)
        layer = layer_for(name, "float64", options=options)
        alone = steps(layer, [drawn(seed, 8, "float64") for seed in range(3)])
        kept = slice(None) if options.get("running", True) else slice(2)  # without, evaluation is each one's own
        check_steps([t[kept] for t in told], alone[kept], layer)


def task_far(rank: int, apart: float, scale: float) -> Any:
    """Means far from 0, and from each other by `apart`, in float32; what was normalized, and how."""
    random = np.random.default_rng(rank)
    x = ((random.standard_normal((64, CHANNELS)) + (1e4 + apart * rank)) * scale).astype(np.float32)
    layer = face.BatchNorm(CHANNELS, affine=False, eps=0.0, process_group="world")
    return x, layer(torch.tensor(x)).numpy()


@pytest.mark.parametrize(("apart", "scale"), [(0.0, 1.0), (3.0, 1.0), (-2e4, 1.0), (1.0, 1e16), (1.0, 1e-34)], ids=str)
def test_merged_statistics_are_right_where_the_mean_is_far_from_zero(two: Ranks, apart: float, scale: float) -> None:
    """1e4 spreads away one pass in float32 is wrong by 1,000 units; 1e20 squared is infinite there, and 1e-30 is 0."""
    told = two.run(task_far, apart, scale)
    x = np.concatenate([x for x, _ in told]).astype(np.float64)
    wanted = (x - x.mean(0)) / x.std(0)
    compare(np.concatenate([y for _, y in told]), wanted, "forward", scale=np.abs(wanted).max())


def task_groups(rank: int) -> Any:
    pairs = [dist.new_group([0, 2]), dist.new_group([1, 3])]
    layer = face.BatchNorm(CHANNELS, process_group=pairs[rank % 2])
    layer(drawn(rank, 3, "float32")[0])
    with pytest.raises(UsageError, match="is not in its process_group"):
        face.BatchNorm(CHANNELS, process_group=pairs[1 - rank % 2])(drawn(rank, 3, "float32")[0])
    assert copy.deepcopy(layer).together is layer.together
    with pytest.raises(UsageError, match="a process group cannot be stored"):
        pickle.dumps(layer)
    return layer.running_mean.numpy()


def test_a_group_is_merged_and_nobody_else(four: Ranks) -> None:
    told = four.run(task_groups)
    for pair in ((0, 2), (1, 3)):
        whole = torch.cat([drawn(rank, 3, "float32")[0] for rank in pair])
        layer = face.BatchNorm(CHANNELS)
        layer(whole)
        for rank in pair:
            compare(told[rank], layer.running_mean.numpy(), "identity")
    assert np.abs(told[0] - told[1]).max() > 0.01


def task_mask(rank: int) -> list[dict[str, Any]]:
    x, dy = drawn(0, 8, "float64")
    mask = torch.rand((8, *REST), generator=torch.Generator().manual_seed(1)) < 0.6
    mask[5:] = False  # nothing counts on the second rank
    at = slice(0, 5) if rank == 0 else slice(5, 8)
    return steps(layer_for("batch_norm", "float64", process_group="world"), [(x[at], dy[at])] * 2, mask=mask[at])


def test_a_mask_may_leave_one_process_nothing(two: Ranks) -> None:
    x, dy = drawn(0, 8, "float64")
    mask = torch.rand((8, *REST), generator=torch.Generator().manual_seed(1)) < 0.6
    mask[5:] = False
    layer = layer_for("batch_norm", "float64")
    check_steps(two.run(task_mask), steps(layer, [(x, dy)] * 2, mask=mask), layer)


def task_alone(rank: int) -> tuple[int, str]:
    layer = face.BatchNorm(CHANNELS, process_group="world")
    x = drawn(rank, 4, "float32")[0]
    layer(x)
    layer.eval()
    if rank == 0:
        with torch.no_grad():
            layer(x)  # the other one is not there
    layer.train()
    layer(x)
    return int(layer.num_batches_tracked), layer.running_mean.numpy().tobytes().hex()


def test_one_process_may_evaluate_alone_without_gradients(two: Ranks) -> None:
    first, second = two.run(task_alone)
    assert first == second and first[0] == 2


def refused(task: Any) -> str:
    with pytest.raises(NormlabError) as caught:
        task()
    return str(caught.value)


def task_disagree(rank: int, how: str) -> str:
    layer = face.BatchNorm(CHANNELS, process_group="world")
    other = face.BatchNorm(CHANNELS, eps=1e-3, process_group="world")
    x = drawn(rank, 4, "float32")[0]
    layer(x), other(x)
    acts: dict[str, Any] = {
        "mode": lambda: layer.train(rank == 0)(x),
        "layer": lambda: (layer if rank == 0 else other)(x),
        "dtype": lambda: layer(x if rank == 0 else x.double()),
        "shape": lambda: layer(x if rank == 0 else x[:, :3]),
        "mask": lambda: layer(x, mask=None if rank == 0 else torch.ones(4, *REST, dtype=torch.bool)),
        "gradients": lambda: layer(x) if rank == 0 else torch.no_grad()(layer)(x),
    }
    said = refused(acts[how])
    layer.train()
    layer(x)  # the group is as before
    return said


@pytest.mark.parametrize(
    ("how", "here", "there", "hint"),
    [
        ("mode", "rank 0 trains BatchNorm(8", "rank 1 evaluates BatchNorm(8", "Call model.train(), or model.eval()"),
        ("layer", "rank 0 trains BatchNorm(8, ", "eps=0.001) with x of shape (4, 8, 4, 3)", "in the same order"),
        ("dtype", "in torch.float32", "in torch.float64", "the same channels and dtype"),
        ("shape", "rank 0 trains", "rank 1 refuses the input of BatchNorm(8", "See the error of the rank that refuses"),
        ("mask", "float32;", "rank 1 trains BatchNorm(8", "Give a mask in every process, or in none"),
        ("gradients", "float32;", "without gradients", "Record gradients in every process"),
    ],
    ids=lambda v: v if " " not in v else "",
)
def test_processes_that_do_not_agree_are_told_who_does_what(two: Ranks, how: str, here: str, there: str, hint: str) -> None:
    said = two.run(task_disagree, how)
    for text in said[:1] if how == "shape" else said:  # the other has its own error to tell
        assert here in text and there in text and hint in text, text
    if how == "shape":
        assert "was made for 8 channels" in said[1]


def task_missing(rank: int) -> str:
    layer = face.BatchNorm(CHANNELS, process_group="world")
    x = drawn(rank, 4, "float32")[0]
    layer(x)
    return refused(lambda: layer(x)) if rank == 0 else ""


def test_a_process_that_does_not_come_is_reported(two: Ranks) -> None:
    said = two.run(task_missing, patience_s=2.0)[0]
    assert "rank 0 waited for the other ranks of its process_group [0, 1]" in said and "x[:0]" in said


def task_one(rank: int) -> str:
    return refused(lambda: face.BatchNorm(CHANNELS, process_group="world")(torch.ones(1 - rank, CHANNELS)))


def test_a_single_element_in_all_processes_is_refused(two: Ranks) -> None:
    assert all("the x of all ranks together has 1 element in each set" in said for said in two.run(task_one))


def task_nothing(rank: int) -> tuple[int, float]:
    layer = face.BatchNorm(CHANNELS, process_group="world")
    y = layer(torch.ones(0, CHANNELS, requires_grad=True))
    y.sum().backward()
    return int(layer.num_batches_tracked), float(layer.running_var.sum() + layer.weight.grad.sum())


def test_nothing_in_any_process_changes_nothing(two: Ranks) -> None:
    assert two.run(task_nothing) == [(0, CHANNELS)] * 2


def task_counted(rank: int) -> list[int]:
    counts = []
    layer = face.BatchNorm(CHANNELS, process_group="world")
    x = drawn(rank, 4, "float32")[0].requires_grad_(rank == 0)  # who needs no gradient helps whoever does
    gather, add = dist.all_gather, dist.all_reduce
    told: list[str] = []
    dist.all_gather = lambda *a, **k: (told.append("gather"), gather(*a, **k))[1]
    dist.all_reduce = lambda *a, **k: (told.append("sum"), add(*a, **k))[1]
    try:
        y = layer(x)
        counts.append(len(told))
        y.square().sum().backward()
        counts.append(len(told))
        with torch.no_grad():
            layer.eval()(x)
        counts.append(len(told))
    finally:
        dist.all_gather, dist.all_reduce = gather, add
    assert (x.grad is not None) == (rank == 0)
    return counts


def test_two_exchanges_forward_one_sum_backward_none_in_evaluation(two: Ranks) -> None:
    assert two.run(task_counted) == [[2, 3, 3]] * 2


class Net(torch.nn.Module):
    """A convolution, a shared normalization, a line; with `again`, parts are computed anew on the way back."""

    def __init__(self, group: Any, again: bool = False) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 6, 3), face.BatchNorm(6, process_group=group)
        self.line, self.again = torch.nn.Linear(6, 2), again

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)).relu()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        run = torch.utils.checkpoint.checkpoint
        return self.line((run(self.middle, x, use_reentrant=False) if self.again else self.middle(x)).mean((2, 3)))


def trained(net: Any, x: torch.Tensor) -> list[np.ndarray]:
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
    return [a.detach().numpy() for a in net.state_dict().values()]


def task_train(rank: int, again: bool) -> list[np.ndarray]:
    torch.manual_seed(0)
    net = torch.nn.parallel.DistributedDataParallel(Net("world", again).double())
    x = torch.randn(8, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return trained(net, x[4 * rank : 4 * rank + 4])


@pytest.mark.parametrize("again", [False, True], ids=["", "checkpointed"])
def test_data_parallel_training_is_training_on_the_whole_batch(two: Ranks, again: bool) -> None:
    told = two.run(task_train, again)
    torch.manual_seed(0)
    x = torch.randn(8, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wanted = trained(Net(None).double(), x)
    for got in told:
        for a, b in zip(got, wanted, strict=True):
            compare(np.asarray(a, np.float64), np.asarray(b, np.float64), "torch")


def task_synchronized(rank: int) -> tuple[str, np.ndarray]:
    torch.manual_seed(0)
    model = nl.adopt(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.SyncBatchNorm(4))).model
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    return model[1].together.given, model(x[:2] if rank == 0 else x[2:]).detach().numpy()


def test_an_adopted_synchronized_layer_merges_over_the_processes(two: Ranks) -> None:
    """torch's own refuses to on a CPU."""
    told = two.run(task_synchronized)
    torch.manual_seed(0)
    whole = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    assert [group for group, _ in told] == ["world", "world"]
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    compare(np.concatenate([y for _, y in told]), whole(x).detach().numpy(), "torch")


def test_without_a_process_group_to_be_found_a_layer_is_alone() -> None:
    """The same model runs in one process, as on a machine with one device."""
    assert not dist.is_initialized()
    x = drawn(0, 4, "float32")[0]
    shared, plain = face.BatchNorm(CHANNELS, process_group="world"), face.BatchNorm(CHANNELS)
    assert torch.equal(shared(x), plain(x)) and torch.equal(shared.running_var, plain.running_var)
    assert shared.state_dict().keys() == plain.state_dict().keys()
    assert pickle.loads(pickle.dumps(shared)).together.given == "world"
    with pytest.raises(ShapeError, match="1 element in each set"):
        shared(torch.ones(1, CHANNELS))


@pytest.mark.parametrize("group", ["all", 3, object()], ids=["word", "number", "object"])
def test_what_is_no_group_is_refused(group: Any) -> None:
    with pytest.raises(UsageError, match=r"process_group must be a group of torch\.distributed, 'world'"):
        face.BatchNorm(CHANNELS, process_group=group)


@pytest.mark.parametrize("d", [d for d in acting() if d.name not in SHARING], ids=lambda d: d.name)
def test_methods_that_do_not_pool_the_batch_take_no_group(d: Definition) -> None:
    with pytest.raises(UsageError, match="process_group"):
        face.build(d, CHANNELS, process_group="world")
    assert "process_group" not in str(face.layer_class(d).__signature__)
