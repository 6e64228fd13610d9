"""From a data set to what a stack trains on: a part kept back to choose the learning rate by, images channels last."""

from __future__ import annotations

from typing import Any

import numpy as np

from normlab.data.dataset import Dataset
from normlab.data.splitting import split
from normlab.errors import UsageError

from ..activations import Array
from ..arms import Arm
from ..inputs import SEARCHED_ROWS, scaler_of
from .settings import Settings
from .stack import Samples, Split

__all__ = ["VALIDATION", "parts_of", "prepare"]

VALIDATION = 0.2  # of the training rows; the test rows choose nothing


def parts_of(dataset: Dataset) -> tuple[Array, Array]:
    """Which training rows are trained on, and which the learning rate is chosen by."""
    return split(dataset.name, dataset.y, VALIDATION, 0)


def prepare(dataset: Dataset, settings: Settings, arm: Arm) -> Split:
    """The parts as the network takes them, in the settings' dtype."""
    train, validation = parts_of(dataset)
    x, test_x = _scaled(arm, dataset, train)
    rows, test = _shaped(x, settings), _shaped(test_x, settings)
    if len(train) < settings.batch:
        raise UsageError(
            f"train: the data have {len(train)} training rows, batch is {settings.batch}.",
            hint=f"Give batch={len(train)} at most, or more rows.",
        )
    return Split(
        Samples(rows[train], dataset.y[train]), Samples(rows[validation], dataset.y[validation]),
        Samples(test, dataset.test_y), len(dataset.classes),
    )  # fmt: skip


def _shaped(x: Array, settings: Any) -> Array:
    if settings.net == "conv":
        if x.ndim != 4:
            raise UsageError(
                f"train: net='conv' needs images (n, channels, height, width), got rows of {x.shape[1]} features.",
                hint="Use net='dense' for tables.",
            )
        x = np.moveaxis(x, 1, -1)
    elif settings.net == "dense":
        x = x.reshape(len(x), -1)
    return np.ascontiguousarray(x, settings.dtype)


def _scaled(arm: Arm, dataset: Dataset, train: Array) -> tuple[Array, Array]:
    """The rows, as an arm that acts on the data makes them; it learns from the training rows only."""
    if arm.role != "input":
        return dataset.x, dataset.test_x
    scaler = scaler_of(arm)
    learn = train[:SEARCHED_ROWS]
    scaler.fit(dataset.x[learn].reshape(len(learn), -1).astype(np.float64), dataset.y[learn])

    def made(part: Array) -> Array:
        return np.asarray(scaler.transform(part.reshape(len(part), -1).astype(np.float64))).reshape(part.shape)

    return made(dataset.x), made(dataset.test_x)
