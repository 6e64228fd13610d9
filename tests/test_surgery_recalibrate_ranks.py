"""`recalibrate` in two processes: the same bytes in both, and what one process with all the batches finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import normlab as nl
from ranks import Ranks
from test_surgery_recalibrate import drawn, two_layers

SIZES = ((5, 2, 4), (3,))  # of the batches of each process: unequal in number and in size


@pytest.fixture(scope="module")
def two() -> Iterator[Ranks]:
    made = Ranks(2, __name__)
    yield made
    made.stop()


def batches_of(rank: int) -> list[torch.Tensor]:
    return [x + rank for x in drawn(SIZES[rank], (3, 9, 9), seed=rank)]


def state_of(model: nn.Module) -> dict[str, bytes]:
    return {n: a.detach().numpy().tobytes() for n, a in model.state_dict().items()}


def told(model: nn.Module, batches: Any, **how: Any) -> tuple[str, dict[str, bytes], list[int]]:
    """How it went: the report or the error; the state; how many hooks are left."""
    try:
        text = str(nl.recalibrate(model, batches, **how))
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    return text, state_of(model), [len(m._forward_pre_hooks) for m in model.modules()]


def task_share(rank: int, how: dict[str, Any], wrapped: bool) -> Any:
    net = two_layers()
    model = nn.parallel.DistributedDataParallel(net) if wrapped else net
    text, _, hooks = told(model, batches_of(rank), process_group="world", **how)
    return text, state_of(net), hooks


@pytest.mark.parametrize("how", [{}, {"sequential": True}, {"mix": 0.5}], ids=str)
@pytest.mark.parametrize("wrapped", [False, True])
def test_two_processes_find_what_one_with_all_batches_finds(two: Ranks, how: dict[str, Any], wrapped: bool) -> None:
    (text, first, hooks), (other_text, second, _) = two.run(task_share, how, wrapped)
    assert text == other_text and first == second and not any(hooks), text
    assert text.count("of 2 processes") == 2
    alone = two_layers()
    nl.recalibrate(alone, [*batches_of(0), *batches_of(1)], **how)
    for name, a in alone.state_dict().items():
        found = torch.frombuffer(bytearray(first[name]), dtype=a.dtype).reshape(a.shape)
        torch.testing.assert_close(found, a, rtol=1e-12, atol=1e-12)


def task_one_without(rank: int) -> Any:
    net = two_layers()
    return told(net, batches_of(0) if rank == 0 else [], process_group="world")


def test_a_process_without_batches_gets_the_statistics_of_the_others(two: Ranks) -> None:
    (text, first, _), (_, second, _) = two.run(task_one_without)
    alone = two_layers()
    nl.recalibrate(alone, batches_of(0))
    assert first == second == state_of(alone), text


def task_failing(rank: int, sequential: bool) -> Any:
    class Loader:
        def __iter__(self) -> Iterator[torch.Tensor]:
            yield from batches_of(rank)
            if rank == 1:
                raise OSError("the disk is gone")

    net = two_layers()
    return told(net, Loader(), process_group="world", sequential=sequential)


@pytest.mark.parametrize("sequential", [False, True])
def test_a_loader_that_fails_in_one_process_is_an_error_in_both_and_nothing_changes(two: Ranks, sequential: bool) -> None:
    (first, *kept), (second, *others) = two.run(task_failing, sequential)
    assert second == "OSError: the disk is gone"
    assert first == "UsageError: recalibrate: rank 1 failed. Nothing was changed. See the error there."
    assert kept == others and kept[0] == state_of(two_layers()) and not any(kept[1])


def task_different(rank: int) -> Any:
    net = two_layers() if rank == 0 else two_layers()[:2]
    return told(net, batches_of(rank), process_group="world")[0]


def test_different_models_are_refused(two: Ranks) -> None:
    assert all("the processes have models with different layers" in text for text in two.run(task_different))


def task_shared(rank: int, group: str | None) -> Any:
    layer = nl.torch.BatchNorm(3, process_group="world").double()
    x = drawn((4, 4), (3, 2), seed=rank)
    return told(layer, x, process_group=group), [a.tolist() for a in layer.buffers()]


def test_layers_that_share_their_batches_are_merged_or_the_call_is_refused(two: Ranks) -> None:
    (text, _, _), _ = two.run(task_shared, None)[0]
    assert "shares its batches with other processes. Call this in all of them with process_group='world'" in text
    (_, found), (_, other) = two.run(task_shared, "world")
    x = torch.cat([y for seed in range(2) for y in drawn((4, 4), (3, 2), seed=seed)])
    var, mean = torch.var_mean(x, [0, 2])
    assert found == other
    torch.testing.assert_close(torch.tensor(found[0]).double(), mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(torch.tensor(found[1]).double(), var, rtol=1e-6, atol=1e-6)
