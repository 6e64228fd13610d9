"""What claims about torch networks share: a small Transformer, training over seeds and rates, steps timed in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context

import numpy as np
import torch
from torch import Tensor, nn

from normlab import kernels
from normlab.benchmark.timing import Run as Call
from normlab.benchmark.timing import rotate
from normlab.data.dataset import Dataset

from ..activations import Array
from ..arms import read_arm
from ..presets import NO_PRESET
from ..training.preparing import prepare
from ..training.settings import Settings
from ..training.stack import Slot
from ..training.summary import chosen, grid
from ..training.torch_run import TorchRun

__all__ = ["Transformer", "alone", "race", "steps_of", "timed"]

Make = Callable[[], nn.Module]
Norm = Callable[[int], nn.Module]


@contextmanager
def alone() -> Iterator[None]:
    """Within this block torch computes on one thread; afterwards its threads and random numbers are as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)


class Block(nn.Module):
    """Attention, then two layers with a ReLU; a normalization before each, inside the branch, or after the sum.

    Shapes: (n, tokens, width) -> the same
    """

    def __init__(self, width: int, heads: int, hidden: int, norm: Norm, before: bool = True) -> None:
        super().__init__()
        self.heads, self.before = heads, before
        self.norms = nn.ModuleList([norm(width), norm(width)])
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        for norm, branch in zip(self.norms, (self.attend, self.feed), strict=True):
            x = x + branch(norm(x)) if self.before else norm(x + branch(x))
        return x

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = self.ask(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (n, heads, tokens, part)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        found: Tensor = self.answer(y.transpose(1, 2).flatten(2))
        return found

    def feed(self, x: Tensor) -> Tensor:
        found: Tensor = self.down(torch.relu(self.up(x)))
        return found


class Transformer(nn.Module):
    """A Transformer that classifies small images, each line of pixels one of its tokens.

    Shapes: (n, 1, 8, 8) -> (n, classes)
    """

    def __init__(self, norm: Norm, *, layers: int = 2, width: int = 32, heads: int = 4, classes: int = 10) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.place = nn.Parameter(0.02 * torch.randn(8, width))
        self.blocks = nn.Sequential(*(Block(width, heads, 4 * width, norm) for _ in range(layers)))
        self.last, self.head = norm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.last(self.blocks(self.embed(x[:, 0]) + self.place)).mean(dim=1))
        return found


def race(
    makes: Mapping[str, Make], data: Dataset, seeds: Sequence[int], *, rates: Sequence[float], batch: int, steps: int
) -> dict[str, list[float | None]]:  # fmt: skip
    """Test accuracies by arm, one a seed: Adam, each arm at the rate of the best validation accuracy."""
    settings = Settings.read({"net": "a:network", "optimizer": "adam", "batch": batch, "steps": steps})
    split = prepare(data, settings, read_arm("none", NO_PRESET))
    found: dict[str, list[float | None]] = {}
    for label, make in makes.items():
        runs = []
        for slot in (Slot(seed, rate) for rate in rates for seed in seeds):
            made = TorchRun(make, settings, split, slot, [steps])
            while made.going:
                made.step()
            runs.append(made.runs[0])
        best = chosen(grid(runs, 1 / split.classes, len(split.validation.y)))["lr"]
        found[label] = [run.final["test_accuracy"] for run in runs if run.slot.lr == best]
    return found


def steps_of(make: Make, x: Array, y: Array) -> Call:
    """A training step of a fresh network on one batch, to be called again and again."""
    torch.manual_seed(0)
    network = make()
    rows, classes = torch.from_numpy(np.array(x)), torch.from_numpy(np.array(y))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(rows), classes).backward()
        optimizer.step()

    return step


def timed(calls: Mapping[str, Call], seconds: float) -> dict[str, Array]:
    """Seconds of each call, taken in turns, on one thread and with the kernels that a user of the layers has."""

    def run() -> dict[str, Array]:
        if kernels.available():
            kernels.set_threads(1)
        try:
            return rotate(calls, seconds)
        finally:
            if kernels.available():
                kernels.set_threads(None)

    return Context().run(run)  # claims run by the formula; an empty context knows nothing of that
