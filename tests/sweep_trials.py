"""Trials for sweeps in tests: functions that workers import by name, and that do what a test needs of them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normlab.errors import UsageError, unknown

KNOWN = {"lr": 0.1, "seed": 0, "pause": 0.0, "mark": "", "steps": 4}
"""What these trials take, with defaults."""


def check(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in and validate, as train does."""
    for name in parameters:
        if name not in KNOWN:
            raise unknown("argument of train", name, KNOWN)
    if not isinstance(parameters.get("seed", 0), int):
        raise UsageError(f"seed must be a whole number, got {parameters['seed']!r}.")
    return {**KNOWN, **parameters}


def noop(parameters: Mapping[str, Any], *, checkpoint: Path | None = None) -> dict[str, Any]:
    """Nothing but numbers that follow from the parameters, and one that does not."""
    time.sleep(parameters["pause"])
    loss = parameters["lr"] / 3 + parameters["seed"]
    return {"loss": loss, "lr": parameters["lr"], "stopped": "finished", "nothing": float("nan"), "seconds": time.time()}


def mixed(parameters: Mapping[str, Any], *, checkpoint: Path | None = None) -> dict[str, Any]:
    """As `noop`, but every fifth seed fails."""
    if parameters["seed"] % 5 == 3:
        raise ValueError(f"seed {parameters['seed']} cannot be")
    return noop(parameters)


def marked(parameters: Mapping[str, Any], name: str) -> int:
    """Leave a mark in the folder of the test, and say how many there were before."""
    folder = Path(parameters["mark"])
    before = len(list(folder.glob(f"{name}-*")))
    (folder / f"{name}-{time.time_ns()}-{os.getpid()}").touch()
    return before


def failing(parameters: Mapping[str, Any], *, checkpoint: Path | None = None) -> dict[str, Any]:
    """Odd seeds always fail, seed 4 only once."""
    before = marked(parameters, f"seed{parameters['seed']}")
    if parameters["seed"] % 2 or (parameters["seed"] == 4 and not before):
        raise ValueError(f"seed {parameters['seed']} is odd")
    return {"loss": 1.0}


def mended(parameters: Mapping[str, Any], *, checkpoint: Path | None = None) -> dict[str, Any]:
    """As `failing`, but seed 1 is well by now."""
    return {"loss": 1.0} if parameters["seed"] == 1 else failing(parameters)


def dying(parameters: Mapping[str, Any], *, checkpoint: Path | None = None) -> dict[str, Any]:
    """Seed 1 kills its worker every time, seed 2 once, seed 3 leaves without a word once, seed 4 exits politely."""
    before = marked(parameters, f"seed{parameters['seed']}")
    if parameters["seed"] == 1 or (parameters["seed"] == 2 and not before):
        os.kill(os.getpid(), signal.SIGKILL)
    if parameters["seed"] == 3 and not before:
        os._exit(0)
    if parameters["seed"] == 4:
        sys.exit("enough")
    return {"loss": float(parameters["seed"])}


def talking(parameters: Mapping[str, Any], *, checkpoint: Path | None = None) -> dict[str, Any]:
    """Prints where its driver listens, reads where its driver speaks, and returns what is no metric for seed 1."""
    print("{}", flush=True)
    os.write(1, b"not json\n")
    assert sys.stdin.read() == ""
    return {"loss": [1.0] if parameters["seed"] == 1 else 1.0}


def threads(parameters: Mapping[str, Any], *, checkpoint: Path | None = None) -> dict[str, Any]:
    """How many threads the libraries take here."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    return {"threads": max(pool["num_threads"] for pool in threadpool_info()), "process": os.getpid()}


def long(parameters: Mapping[str, Any], *, checkpoint: Path | None = None) -> dict[str, Any]:
    """Steps with a pause each, continued from the checkpoint; every step leaves a mark."""
    assert checkpoint is not None
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for step in range(done, parameters["steps"]):
        marked(parameters, f"seed{parameters['seed']}step{step}")
        beside = checkpoint.with_name(f"{checkpoint.name}.part")
        beside.write_text(str(step + 1))
        os.replace(beside, checkpoint)
        time.sleep(parameters["pause"])
    return {"loss": float(parameters["seed"]), "steps": parameters["steps"]}
