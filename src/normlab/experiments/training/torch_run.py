"""A training of any torch.nn.Module, one seed at a time, recorded as a stack's slots are."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from normlab.errors import ShapeError, UsageError
from normlab.language import both
from normlab.torch import layers
from normlab.torch.parametrize import joining

from ..activations import Array
from ..arms import Arm
from .order import Order
from .parts import EVALUATE
from .stack import DIVERGED, FINISHED, STOPPED, Run, Samples, Slot, Split, endings, moments

__all__ = ["Norm", "TorchRun", "refused", "with_arm"]

Norm = Callable[..., nn.Module]
Factory = Callable[[Norm], nn.Module]
EVALUATED_ROWS = 256
# What a factory cannot be given in the place of a normalization.
ITS_OWN = ("activation", "norm_and_activation", "dropout")


def refused(arm: Arm) -> dict[str, str] | None:
    """Why an arm cannot act in a network that a function of the user's makes, or None."""
    if arm.role not in ITS_OWN:
        return None
    return {**both("{label} takes the place of an activation function, and those are the factory's", label=arm.label),
            "command": f"normlab train none {arm.label}"}  # fmt: skip


def with_arm(factory: Factory, arm: Arm) -> Callable[[], nn.Module]:
    """The network with the arm's layer wherever the factory asks for a normalization."""

    def norm(channels: int, *, layout: str = "n c ...", **options: Any) -> nn.Module:
        if arm.definition is None or arm.role != "norm":
            return nn.Identity()
        return layers.build(arm.definition, channels, layout=layout, eps=arm.eps, options={**arm.options, **options})

    def make() -> nn.Module:
        made = factory(norm)
        if not isinstance(made, nn.Module):
            raise UsageError(f"train: the factory must return a torch.nn.Module, got {type(made).__name__}.")
        if arm.role == "weight" and arm.definition is not None:
            join = joining(arm.definition)
            for module in [m for m in made.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]:
                join(module, **_given(arm))
        return made

    return make


def _given(arm: Arm) -> dict[str, Any]:
    return {name: value for name, value in arm.options.items() if name in arm.given}


class TorchRun:
    """One network in training; `settings` as a stack has them, but for those of the network itself."""

    def __init__(
        self, make: Callable[[], nn.Module], settings: Any, split: Split, slot: Slot, points: Sequence[int]
    ) -> None:  # fmt: skip
        torch.manual_seed(slot.seed)
        self.settings, self.split, self.points = settings, split, frozenset(points)
        self.model = make()
        self.order = Order(slot.seed, len(split.train.y))
        self.runs = [Run(slot)]
        self.look, self.looks = False, [Run(slot)]  # looked at between its records it shows nothing
        self.taken, self._sums, self._since = 0, np.zeros(2), 0
        self.watched = [m for m in self.model.modules() if _multiplies(m)][:-1]
        self.optimizer = _optimizer(self.model, settings, slot.lr)
        self.draws = torch.get_rng_state()

    @property
    def going(self) -> bool:
        """Whether there is a step to take."""
        return self.taken < self.settings.steps and self.runs[0].stopped != DIVERGED

    def step(self) -> None:
        """One step, and a record where one is due."""
        rows = self.order.take(self.settings.batch)
        x, y = torch.from_numpy(self.split.train.x[rows]), torch.from_numpy(self.split.train.y[rows])
        self.taken += 1
        due = self.taken in self.points
        seen: list[Tensor] = []
        self.model.train()
        with _drawing(self), _watching(self.watched if due else [], seen):
            loss, hits = self._loss(x, y)
            self.optimizer.zero_grad()
            loss.backward()
        run = self.runs[0]
        run.step = self.taken
        if not torch.isfinite(loss):
            run.stopped, run.layer = DIVERGED, self._broken(x)
            return self.finish(STOPPED)
        norms = [_norm(m) for m in self.watched] if due else []
        self._sums += loss.item(), hits
        self._since += 1
        self.optimizer.step()
        if due:
            test = self.evaluate(self.split.test, EVALUATE)
            layers = [[*_moments(a), norm] for a, norm in zip(seen, norms, strict=False)]
            run.record(self.taken, [*(self._sums / self._since), *test], layers)
            self._sums, self._since = np.zeros(2), 0
        if self.taken == self.settings.steps:
            self.finish(FINISHED)
        return None

    def _loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
        out = self.model(x)
        classes = self.split.classes
        if not isinstance(out, Tensor) or out.shape != (len(y), classes):
            came = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ShapeError(f"train: the network must return (rows, classes) = {(len(y), classes)}, got {came}.")
        return nn.functional.cross_entropy(out, y), float((out.argmax(1) == y).float().mean())

    def _broken(self, x: Tensor) -> int:
        """Which of the watched layers first hands on a number that is not finite; one beyond them: the last."""
        seen: list[Tensor] = []
        with torch.no_grad(), _watching(self.watched, seen), _untouched(self):
            self.model(x)
        return next((k for k, a in enumerate(seen, start=1) if not torch.isfinite(a).all()), len(seen) + 1)

    def evaluate(self, samples: Samples, mode: str) -> tuple[float, float]:
        """Mean loss and accuracy."""
        rows = EVALUATED_ROWS if mode == EVALUATE else self.settings.batch
        sums = np.zeros(2)
        with torch.no_grad(), _untouched(self):
            self.model.train(mode != EVALUATE)
            for part in np.array_split(np.arange(len(samples.y)), max(1, round(len(samples.y) / rows))):
                loss, hits = self._loss(torch.from_numpy(samples.x[part]), torch.from_numpy(samples.y[part]))
                sums += len(part) * np.array([loss.item(), hits])
        return float(sums[0] / len(samples.y)), float(sums[1] / len(samples.y))

    def finish(self, why: str) -> None:
        """Measure what it has become."""
        found: dict[str, float] = {}
        for samples, mode, names in endings(self.split):
            found |= zip(names, self.evaluate(samples, mode), strict=True)
        self.runs[0].close(why, found)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs; torch's part as bytes that `torch.load` reads without running code."""
        held = io.BytesIO()
        torch.save([self.model.state_dict(), self.optimizer.state_dict()], held)
        return {
            "torch": np.frombuffer(held.getvalue(), np.uint8), "draws": self.draws.numpy(), "sums": self._sums,
            "taken": self.taken, "since": self._since, "order": self.order.state(), "run": asdict(self.runs[0]),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        model, optimizer = torch.load(io.BytesIO(state["torch"].tobytes()), weights_only=True)
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        self.draws, self._sums = torch.from_numpy(state["draws"]), state["sums"]
        self.taken, self._since = state["taken"], state["since"]
        self.order.restore(state["order"])
        self.runs = [Run(**{**state["run"], "slot": Slot(**state["run"]["slot"])})]


def _optimizer(model: nn.Module, settings: Any, lr: float) -> torch.optim.Optimizer:
    parameters, decay = list(model.parameters()), settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=settings.momentum, weight_decay=decay)
    rule = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return rule(parameters, lr=lr, weight_decay=decay)


@contextmanager
def _drawing(run: TorchRun) -> Iterator[None]:
    """Draw from the run's own random numbers, so that others in between change nothing."""
    before = torch.get_rng_state()
    torch.set_rng_state(run.draws)
    try:
        yield
    finally:
        run.draws = torch.get_rng_state()
        torch.set_rng_state(before)


@contextmanager
def _untouched(run: TorchRun) -> Iterator[None]:
    """Within this block buffers and random numbers may move; after it they are as before."""
    model, draws = run.model, torch.get_rng_state()
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    try:
        yield
    finally:
        torch.set_rng_state(draws)
        for name, b in model.named_buffers():
            b.copy_(buffers[name])


@contextmanager
def _watching(modules: Sequence[nn.Module], seen: list[Tensor]) -> Iterator[None]:
    hooks = [m.register_forward_hook(lambda m, inputs, out: seen.append(out.detach())) for m in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _multiplies(module: nn.Module) -> bool:
    """Whether it multiplies by weights; a parametrized weight is made anew in every call and has no gradient."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.ndim > 1


def _norm(module: nn.Module) -> float:
    """The norm of the gradient of all that its weights are made of."""
    made = getattr(module, "parametrizations", None)
    parts = module.parameters(recurse=False) if made is None else made.weight.parameters()
    found = [p.grad.double() for p in parts if p.grad is not None and (made is not None or p.ndim > 1)]
    return float(torch.stack([torch.linalg.vector_norm(g) for g in found]).norm()) if found else 0.0


def _moments(a: Tensor) -> list[float]:
    rows: Array = a.reshape(1, len(a), -1).numpy()
    return [float(v[0]) for v in moments(rows)]
