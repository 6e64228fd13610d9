"""Who trains: our own engine for the two nets it has, torch for a network of the user's."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from normlab.data.dataset import Dataset
from normlab.errors import MissingExtraError, UsageError, missing_extra
from normlab.importing import named

from ..arms import EXPLAINED, Arm, refusal
from ..inputs import scaler_refusal
from .course import Course
from .preparing import prepare
from .running import Training, batches_of
from .settings import Settings
from .stack import Slot, Stack

__all__ = ["Trainer", "dataset_of", "network_of", "source_of"]

Factory = Callable[..., Any]


def dataset_of(given: Any) -> Dataset:
    """The data set that a name, a file, arrays or a data set stand for; None: the digits."""
    from normlab.data import load

    return load("digits" if given is None else given)


def source_of(given: Any, dataset: Dataset) -> str:
    """How the data were asked for, so that the command finds them again; arrays go by the data set's name."""
    return os.fspath(given) if isinstance(given, str | os.PathLike) else dataset.name


def network_of(net: Any) -> tuple[Factory | None, str | None]:
    """A function that makes a network, and its name; the function is None for the nets that are known by name.

    Raises UsageError: no such module or function.
    """
    if net is None or (isinstance(net, str) and ":" not in net):
        return None, net
    if callable(net):
        return net, f"{net.__module__}:{getattr(net, '__qualname__', type(net).__name__)}"
    if not isinstance(net, str):
        raise UsageError(f"train: net must be dense, conv, or a function of a norm, got {type(net).__name__}.")
    found = named(net, "net")
    if not callable(found):
        raise UsageError(f"train: {net} must be a function of a norm, got {type(found).__name__}.")
    return found, net


class Trainer:
    """The trainings of one race: for each arm what makes them, or why there are none."""

    def __init__(self, settings: Settings, dataset: Dataset, factory: Factory | None) -> None:
        self.settings, self.dataset, self.factory = settings, dataset, factory
        if factory is not None:
            self._torch_run()  # without torch, an error now and not in the middle of a run

    @property
    def threads(self) -> int | None:
        """How many trainings may go on at a time, where it matters: torch has one stream of random numbers."""
        return None if self.factory is None else 1

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Within this block torch, where it trains, computes on one thread: on more, last bits would differ."""
        if self.factory is None:
            yield
            return
        torch = self._torch_run().torch
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    @property
    def slots(self) -> list[Slot]:
        """Every seed at every learning rate."""
        return [Slot(seed, lr) for lr in self.settings.lr for seed in self.settings.seed_numbers]

    def refused(self, arm: Arm) -> dict[str, Any] | None:
        """Why the arm cannot act in this network, in both languages; or None."""
        if arm.role == "input":
            return scaler_refusal(arm)
        if self.factory is not None and arm.role not in EXPLAINED:
            found: dict[str, Any] | None = self._torch_run().refused(arm)
            return found
        images = self.settings.is_conv
        shape = (self.settings.batch, *(self.dataset.shape[1:] if images else ()), self.settings.width)
        return refusal(arm, self.settings, shape, "n ... c" if images else "n c")

    def makers(self, arm: Arm) -> list[Callable[[], Training]]:
        """What makes the trainings of an arm, one after another."""
        settings, points = self.settings, self.settings.points()
        split = prepare(self.dataset, settings, arm)
        if self.factory is None:
            return [functools.partial(Stack, arm, settings, split, group, points) for group in batches_of(self.slots)]
        module = self._torch_run()
        make = module.with_arm(self.factory, arm)
        return [functools.partial(module.TorchRun, make, settings, split, slot, points) for slot in self.slots]

    def course(self, entries: Sequence[dict[str, Any]], owners: Sequence[int]) -> Course:
        """How the arms will stand while they are trained side by side."""
        held = self.dataset
        return Course(
            entries, owners, steps=self.settings.steps, chance=1 / len(held.classes), rows=len(held.test_y)
        )  # fmt: skip

    @staticmethod
    def _torch_run() -> Any:
        try:
            return importlib.import_module(f"{__package__}.torch_run")
        except MissingExtraError:
            raise
        except ImportError as absent:
            raise missing_extra("torch", "torch") from absent
