"""A training step before and after `normlab.adopt`: ResNet-18 at 8 x 3 x 128 x 128, and a Transformer of four layers.

    .venv/bin/python benchmarks/adopt.py

Both models take turns, step by step, after steps to warm up (the first compiles the kernels); printed are the 10th
percentile and the median of each, their ratio with a bootstrap 95 % interval, the share of a step that normalizations
take, and how far the outputs moved. One thread and two; processor and versions with it.
"""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import normlab as nl
from normlab.result import machine, versions

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from networks import resnet18, transformer

WARMUP, STEPS, RESAMPLES = 2, 20, 2000
Step = Callable[[], None]


def stepper(model: torch.nn.Module, x: torch.Tensor) -> Step:
    """One step of training: forward, backward, SGD with momentum."""
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    return step


def in_turns(steps: list[Step]) -> np.ndarray:
    """The seconds of STEPS steps of each."""
    for _ in range(WARMUP):
        for step in steps:
            step()
    found = np.empty((STEPS, len(steps)))
    for row in found:
        for k, step in enumerate(steps):
            began = time.perf_counter()
            step()
            row[k] = time.perf_counter() - began
    return found


def interval(seconds: np.ndarray) -> tuple[float, float, float]:
    """The ratio of the 10th percentiles, first over second, and where 95 % of its resamples lie."""
    random = np.random.default_rng(0)
    picked = seconds[random.integers(0, len(seconds), (RESAMPLES, len(seconds)))]
    low = np.percentile(picked, 10, axis=1)
    bounds = np.percentile(low[:, 0] / low[:, 1], [2.5, 97.5])
    first, second = np.percentile(seconds, 10, axis=0)
    return first / second, float(bounds[0]), float(bounds[1])


def normalizing(model: torch.nn.Module, x: torch.Tensor) -> float:
    """The share of a forward pass in training that the adopted layers take."""
    moments: list[float] = []

    def note(*_: object) -> None:
        moments.append(time.perf_counter())

    layers = [m for m in model.modules() if isinstance(m, nl.torch.Layer)]
    hooks = [register(note) for m in layers for register in (m.register_forward_pre_hook, m.register_forward_hook)]
    note()
    model(x)
    note()
    for hook in hooks:
        hook.remove()
    (first, *inside, last) = moments
    return sum(end - begin for begin, end in zip(inside[::2], inside[1::2], strict=True)) / (last - first)


def main() -> None:
    print(machine(), versions(), f"{os.cpu_count()} cores")
    torch.manual_seed(0)
    cases = {
        "ResNet-18, 8 x 3 x 128 x 128": (resnet18(), torch.randn(8, 3, 128, 128)),
        "Transformer, 4 layers of 256, 16 x 128": (transformer(), torch.randn(16, 128, 256)),
    }
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for name, (model, x) in cases.items():
            before = copy.deepcopy(model)
            report = nl.adopt(copy.deepcopy(model), x)
            seconds = in_turns([stepper(before, x), stepper(report.model, x)])
            (p, q), (m, n) = np.percentile(seconds, 10, axis=0) * 1e3, np.median(seconds, axis=0) * 1e3
            ratio, low, high = interval(seconds)
            print(
                f"{threads} thread{'s' * (threads > 1)}  {name}: {len(report.changed)} adopted, "
                f"torch {p:.1f} ms (median {m:.1f}), normlab {q:.1f} ms (median {n:.1f}), "
                f"{ratio:.2f} times as fast ({low:.2f} to {high:.2f}); normalizing takes "
                f"{100 * normalizing(report.model, x):.0f} % of a forward pass; "
                f"moved {report.moved:.1e}, noise {report.noise:.1e}"
            )


if __name__ == "__main__":
    main()
