"""One trial of a sweep: one arm and one seed of `train`, as a flat row of numbers, continued where it was cut off."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normlab.errors import UsageError, unknown

from .arms import read_arm, read_arms, text_of
from .presets import NO_PRESET
from .repeatable import by_the_formula
from .training import checkpoints
from .training.preparing import parts_of
from .training.settings import DEFAULTS, Settings
from .training.summary import chosen, grid
from .training.trainer import Trainer, dataset_of, network_of

__all__ = ["check", "trial"]

OWN = {"methods": "none"}  # beside the arguments of `train`: one arm a trial
CHECKPOINT_S = 10.0  # a trial shorter than this is as soon done again


def check(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a trial, those left out filled in. Raises UsageError."""
    known = [*OWN, *(name for name in DEFAULTS if name != "seeds")]
    for name in parameters:
        if name not in known:
            raise unknown("argument of a trial", name, known)
    arm = parameters.get("methods", OWN["methods"])
    read_arms([arm] if not isinstance(arm, str) or "[" in arm else arm.split(), NO_PRESET)
    label = read_arm(arm, NO_PRESET).label if isinstance(arm, str) else text_of(arm)
    settings = _settings(parameters)
    filled = {name: getattr(settings, name) for name in DEFAULTS if name != "seeds"}
    return {"methods": label, **filled, "lr": settings.lr[0] if len(settings.lr) == 1 else list(settings.lr)}


def _settings(parameters: Mapping[str, Any]) -> Settings:
    given = {name: value for name, value in parameters.items() if name not in OWN}
    return Settings.read({**given, "net": network_of(given.get("net"))[1], "seeds": 1})


def trial(parameters: Mapping[str, Any], *, checkpoint: Path | None = None) -> dict[str, float | int | str | None]:
    """Train one arm under one seed; of several learning rates the best on the validation rows counts.

    Args:
        parameters: arguments of `train`, `methods` being one arm, without `seeds`.
        checkpoint: a file from which an interrupted trial goes on, written now and then.

    Returns:
        Losses and accuracies, the learning rate, why and after which step it stopped, and the seconds it took.
    """
    started = time.perf_counter()
    arm = read_arm(parameters.get("methods", OWN["methods"]), NO_PRESET)
    settings = _settings(parameters)
    dataset = dataset_of(settings.data)
    trainer = Trainer(settings, dataset, network_of(settings.net)[0])
    refused = trainer.refused(arm)
    if refused is not None:
        raise UsageError(f"train: {refused['en']}.")
    with by_the_formula(), trainer.one_thread():
        runs = [
            run
            for number, make in enumerate(trainer.makers(arm))
            for run in _finished(make(), dataset.fingerprint, _beside(checkpoint, number))
        ]
    lines = grid(runs, 1 / len(dataset.classes), len(parts_of(dataset)[1]))
    best = next(run for run in runs if run.slot.lr == chosen(lines)["lr"])
    told = ("test_accuracy", "test_loss")  # a table that has room for few shows these
    return {
        **{name: best.final[name] for name in told}, **best.final, "lr": best.slot.lr,
        "stopped": best.stopped, "step": best.step, "layer": best.layer,
        "seconds": round(time.perf_counter() - started, 3),
    }  # fmt: skip


def _beside(checkpoint: Path | None, number: int) -> Path | None:
    return None if checkpoint is None else checkpoint.with_name(f"{checkpoint.name}.{number}.npz")


def _finished(training: Any, fingerprint: str, path: Path | None) -> list[Any]:
    """The training's runs at its end; it goes on from `path` where that holds the same data's."""
    held = checkpoints.read(path) if path is not None else None
    if held is not None and held.pop("fingerprint", None) == fingerprint:
        training.restore(held)
    kept = time.monotonic()
    while training.going:
        training.step()
        if path is not None and time.monotonic() - kept > CHECKPOINT_S and training.going:
            checkpoints.write(path, {**training.state(), "fingerprint": fingerprint})
            kept = time.monotonic()
    if path is not None:
        path.unlink(missing_ok=True)
    return list(training.runs)
