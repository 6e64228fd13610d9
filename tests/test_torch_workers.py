"""Layers in several threads, in forked workers and in a pool of processes: right, and never hung."""

from __future__ import annotations

import copy
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from normlab import functional, kernels
from normlab import torch as face
from torch_cases import same

PATIENCE_S = 120
"""Long enough for a loaded machine; what hangs would take for ever."""
# Large enough to be shared among threads by the kernels' own pool.
SHAPE = (64, 32, 40)


def sample(index: int) -> Tensor:
    """By NumPy: in a forked process torch's own arithmetic waits for ever for threads that were not forked with it."""
    return torch.from_numpy(np.random.default_rng(index).standard_normal(SHAPE, np.float32) + np.float32(index))


def normalized(index: int) -> Tensor:
    return functional.group_norm(sample(index), groups=4)


def as_array(index: int) -> np.ndarray:
    return normalized(index).numpy()


class Normalized(Dataset):  # type: ignore[type-arg]
    """Normalizes in whatever process it is asked."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Tensor:
        return normalized(index)


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX's, where another test imported it; not used here
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_data_loader_normalizes_in_its_workers(start: str) -> None:
    wanted = [normalized(k) for k in range(8)]  # the parent's own threads run before it forks
    loader = DataLoader(
        Normalized(), batch_size=None, num_workers=2, timeout=PATIENCE_S, multiprocessing_context=multiprocessing.get_context(start),
    )  # fmt: skip
    found = list(loader)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert torch.equal(normalized(3), wanted[3])  # and the parent goes on


def train(layer: Any, index: int) -> list[Tensor]:
    x = sample(index).requires_grad_()
    y = layer(x)
    return [y.detach(), *torch.autograd.grad(y.pow(3).sum(), [x, *layer.parameters()])]


def test_four_threads_normalize_at_once() -> None:
    layer = face.LayerNorm(32, layout="n c ...")
    wanted = [train(layer, k) for k in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            found = [f.result(timeout=PATIENCE_S) for f in [pool.submit(train, layer, k) for k in range(4)]]
            for got, right in zip(found, wanted, strict=True):
                assert all(torch.equal(a, b) for a, b in zip(got, right, strict=True))


def test_threads_with_a_layer_each_move_their_own_statistics() -> None:
    layers = [face.BatchNorm(32) for _ in range(4)]
    alone = [copy.deepcopy(layer) for layer in layers]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(train, layers, range(4), timeout=PATIENCE_S))
    for k, (got, right) in enumerate(zip(layers, alone, strict=True)):
        train(right, k)
        same(got.running_var, right.running_var, 0)


@pytest.mark.skipif(not kernels.available(), reason="without kernels a forked process is left to torch, which hangs there")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX's, where another test imported it; not used here
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_pool_of_processes_normalizes(start: str) -> None:
    wanted = [as_array(k) for k in range(4)]
    with multiprocessing.get_context(start).Pool(2) as pool:
        found = pool.map_async(as_array, range(4)).get(timeout=PATIENCE_S)
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
