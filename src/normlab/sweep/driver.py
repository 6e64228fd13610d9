"""`run_sweep`: hands out what has no result yet, writes down what comes back, and tries again what failed."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from normlab.errors import UsageError, unknown
from normlab.result import Result

from .attempts import Outcome, Task
from .document import read
from .local import Local
from .spec import MOST_TRIALS, Check, Spec, Trial, read_spec
from .store import Store

__all__ = ["ATTEMPTS", "ENGINES", "Interrupted", "Sweep", "run_sweep"]

ATTEMPTS = 3
"""A trial that fails so often has failed: two accidents in a row are rare, a third time is a property."""
ENGINES = ("local", "ray")
MOST_WORKERS = 10_000
OnTrial = Callable[[int, int, Mapping[str, Any]], None]  # results, of how many, the last one's parameters


class Engine(Protocol):
    """Where trials run. Whatever happens there is an Outcome; only what ends the whole sweep is raised."""

    slots: int

    def submit(self, task: Task) -> None: ...

    def next(self) -> tuple[int, Outcome]: ...

    def close(self) -> None: ...


class Sweep(Result):
    """What a sweep found; failed trials are results too."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; `result` holds what was finished, which the file does too."""

    def __init__(self, result: Sweep) -> None:
        super().__init__()
        self.result = result


def run_sweep(
    spec: Spec | Mapping[str, Any] | str | os.PathLike[str], store: str | os.PathLike[str], *, trial: str, check: Check,
    engine: str = "local", workers: int | None = None, address: str | None = None, most: int = MOST_TRIALS,
    retry: bool = False, command: str | None = None, on_trial: OnTrial | None = None,
) -> Sweep:  # fmt: skip
    """Run the trials of a grid that have no result yet, and return all of them.

    Args:
        spec: a specification, its content, or its file.
        store: the results file, made or continued.
        trial: "module:function", called as `function(parameters, checkpoint=path)` where it can be imported: it
            returns flat metrics. `seconds` among them is kept with the attempt, for no two runs share it. It may keep
            a checkpoint in `path`, and finds it there after an interruption; None where there is no such place.
        check: fills in and validates the parameters of a trial.
        engine: "local" worker processes, or "ray".
        workers: trials at a time; None: as many as there are processors.
        address: of the Ray cluster; None: the one that runs on this machine.
        most: how many trials are allowed.
        retry: what has failed is tried again, as often as the first time; what is done stays as it is.
        command: what repeats this run, for the document.
        on_trial: called after every result.

    Raises:
        UsageError: the specification, or one that has changed since. ReadWriteError: the file, with what is saved.
        MissingExtraError: Ray is not installed or not reachable. Interrupted: Ctrl-C.
    """
    asked = _spec(spec)
    _check_engine(engine, workers, address)
    trials = {one.number: one for one in asked.trials(check, most)}
    path = Path(store)
    with contextlib.closing(Store(path, asked, list(trials.values()))) as kept:
        if retry:
            kept.reopen()
        # Of a trial that waits again, the failures of an earlier round do not count.
        waiting = {number: failures % ATTEMPTS for number, failures in kept.waiting().items()}
        if waiting:
            folder = Path(f"{os.path.realpath(path)}.checkpoints")
            with _engine(engine, trial, workers, address) as runs, _checkpoints(folder):
                kept.begin(command or _command(asked, path), engine, runs.slots)
                try:
                    _drive(kept, runs, folder, trials, waiting, on_trial)
                except KeyboardInterrupt:
                    raise Interrupted(Sweep(read(path))) from None
    return Sweep(read(path))


def _drive(
    store: Store, engine: Engine, folder: Path, trials: Mapping[int, Trial], failures: dict[int, int],
    on_trial: OnTrial | None,
) -> None:  # fmt: skip
    """The loop. What is free gets its next trial before a result is written: the disk's time is not the worker's."""
    waiting, running = deque(failures), 0

    def hand_out() -> None:
        nonlocal running
        while waiting and running < engine.slots:
            one = trials[waiting.popleft()]
            engine.submit(Task(one.number, one.parameters, str(_checkpoint(folder, one))))
            running += 1

    hand_out()
    while running:
        number, outcome = engine.next()
        running -= 1
        hand_out()
        failures[number] += outcome.error is not None
        final = outcome.error is None or failures[number] >= ATTEMPTS
        store.record(number, outcome, final=final)
        if final or not outcome.died:
            _forget(folder, trials[number])  # an error may come from the checkpoint; a death does not
        if not final:
            waiting.append(number)
            hand_out()
        elif on_trial is not None:
            on_trial(store.saved, len(trials), trials[number].parameters)


def _spec(spec: Spec | Mapping[str, Any] | str | os.PathLike[str]) -> Spec:
    if isinstance(spec, Spec):
        return spec
    return Spec.of(spec) if isinstance(spec, Mapping) else read_spec(spec)


def _check_engine(engine: str, workers: int | None, address: str | None) -> None:
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if workers is not None and (isinstance(workers, bool) or not 1 <= workers <= MOST_WORKERS):
        raise UsageError(f"sweep: workers must be a whole number from 1 to {MOST_WORKERS}, got {workers!r}.")
    if address is not None and engine != "ray":
        raise UsageError(f"sweep: address is for the engine ray, got it with {engine}.", hint="Add: --engine ray")


@contextlib.contextmanager
def _engine(engine: str, trial: str, workers: int | None, address: str | None) -> Iterator[Engine]:
    if engine == "ray":
        from .on_ray import OnRay

        made: Engine = OnRay(trial, workers, address)
    else:
        made = Local(trial, workers)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def _checkpoints(folder: Path) -> Iterator[None]:
    """The folder for checkpoints; it goes when nothing is left in it. Where it cannot be made there are none."""
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
    yield
    with contextlib.suppress(OSError):
        folder.rmdir()


def _checkpoint(folder: Path, trial: Trial) -> Path:
    return folder / f"{trial.key}.checkpoint"


def _forget(folder: Path, trial: Trial) -> None:
    """Remove a trial's checkpoint, and what it left half written beside it."""
    for path in folder.glob(f"{trial.key}*"):
        with contextlib.suppress(OSError):
            path.unlink()


def _command(spec: Spec, path: Path) -> str:
    return shlex.join(["normlab", "sweep", spec.source, "-o", str(path)])
