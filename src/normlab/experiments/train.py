"""`train`: the same network, data order and seeds under several normalizations, each at its best learning rate."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from normlab.data.dataset import Dataset
from normlab.result import Result, machine, versions

from .arms import Arm, Methods, read_arms, text_of, texts_of
from .presets import NO_PRESET, RACE_ARMS
from .repeatable import by_the_formula
from .training.course import OnTurn
from .training.preparing import parts_of
from .training.progress import OnStep, Told
from .training.running import Training, run_all, run_in_turn
from .training.settings import Settings
from .training.stack import Run
from .training.summary import Document, chosen, grid, summarized
from .training.trainer import Trainer, dataset_of, network_of, source_of

__all__ = ["Interrupted", "Race", "run", "train"]



class Race(Result):
    """What `train` found."""

    def plot(self, lang: str = "auto") -> Any:
        """Draw the curves with matplotlib: loss and accuracy over steps, a band of 95 % for each arm.

        Returns: a matplotlib Figure.
        Raises: MissingExtraError without the extra `plot`.
        """
        from .training.plotting import plot

        return plot(self._document, lang)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; `result` holds the arms that were finished, or is None where none was."""

    def __init__(self, result: Race | None) -> None:
        super().__init__()
        self.result = result


def _train(
    methods: Methods = None, *, data: Any = "digits", net: Any = "dense", layers: int = 5, width: int = 100,
    activation: str = "sigmoid", init: str | float = "xavier", place: str = "before", bias: bool = True,
    optimizer: str = "sgd", lr: float | Sequence[float] | None = None, momentum: float = 0.9,
    weight_decay: float = 0.0, batch: int = 64, steps: int = 300, seeds: int = 5, seed: int = 0,
    dtype: str = "float32",
) -> Race:  # fmt: skip
    """Train the same network under several normalizations, and say which the seeds can tell apart.

    Every arm gets the same first weights, the same rows in the same order, and its own learning rate: the one of a
    small grid that is best on rows kept back from training. Test rows choose nothing.

    Args:
        methods: the arms, as `compare` has them. None: none, batch, layer and group normalization.
        data: "digits", a toy ("moons", "circles", "spirals", "blobs"), a file or folder that `normlab.data.load` reads,
            a pair (x, y), or a Dataset.
        net: "dense"; "conv", 3 x 3 convolutions with pooling (3 layers of 16 channels unless given); or a function
            `factory(norm)` that returns a torch.nn.Module, with `norm(channels)` wherever a normalization stands.
        layers, width: 1 to 64 layers; units, or channels.
        activation: sigmoid, tanh, relu, gelu, selu or identity.
        init: xavier, he, lecun, glorot, or a standard deviation.
        place: a normalization stands "before" or "after" the activation function.
        bias: biases in every layer, 0 at the start.
        optimizer: "sgd" (with momentum), "adam" or "adamw".
        lr: a learning rate or several; None: three that suit the optimizer, a factor of ten apart.
        momentum, weight_decay: of SGD; of all.
        batch, steps: rows a step, and steps.
        seeds, seed: how many seeds, from which on. Five or more allow conclusions; one allows none.
        dtype: "float32" or "float64".

    Returns:
        A Race; `to_dict()` is the document. The same arguments give the same bytes.

    Raises:
        UsageError: an argument out of range, an unknown name, fewer rows than a batch. ReadWriteError: the file.
        NonFiniteError: NaN or infinity in the data. An arm that diverges is a result and raises nothing.

    Example:
        >>> import normlab as nl
        >>> race = nl.train(["none", "bn"], steps=100, seeds=2, lr=0.1)
        >>> [arm["final"]["test_accuracy"]["mean"] > 0.8 for arm in race.to_dict()["arms"]]
        [False, True]
    """
    raise AssertionError("never called: `train` passes on what was given")


@functools.wraps(_train)
def train(methods: Methods = None, **given: Any) -> Race:
    return run(methods, **given)


train.__name__ = train.__qualname__ = "train"


def run(
    methods: Methods = None, *, data: Any = None, net: Any = None, on_step: OnStep | None = None,
    stop: threading.Event | None = None, threads: int | None = None, on_turn: OnTurn | None = None, **given: Any,
) -> Race:  # fmt: skip
    """`train`, with `on_step` called now and then (see `training.progress`), and `stop` to end every run where it is.

    With `on_turn` the arms go side by side instead, one step of each in turn in the caller's thread, and it is called
    before every one (see `training.running.run_in_turn`), with how they stand. The result has the same bytes.

    Raises: what `train` and `on_turn` raise; Interrupted on Ctrl-C, with the arms that were finished.
    """
    started = time.perf_counter()
    texts = texts_of(methods) or list(RACE_ARMS)
    arms = read_arms(texts, NO_PRESET)
    factory, name = network_of(net)
    dataset = dataset_of(data)
    settings = Settings.read({**given, "data": source_of(data, dataset), "net": name})
    trainer = Trainer(settings, dataset, factory)
    document: Document = {
        "schema": "normlab.train/1", "command": settings.command([text_of(one) for one in texts]),
        "versions": versions(), "machine": machine(), "wall_s": 0.0,
        "settings": settings.to_dict([arm.label for arm in arms]), "data": dataset.to_dict(),
        "seeds": settings.seed_numbers, "arms": [], "contrasts": [], "ranking": None, "verdicts": [],
        "notes": list(dataset.notes),
    }  # fmt: skip
    runs: list[list[list[Run]]] = []
    try:
        with by_the_formula(), trainer.one_thread():
            _run_arms(arms, trainer, document["arms"], runs, on_step, on_turn, stop=stop, threads=threads)
    except KeyboardInterrupt:
        document["interrupted"] = True
    _summarize(document, settings, dataset, runs)
    if "interrupted" in document:
        raise Interrupted(_finish(document, started) if document["arms"] else None)
    return _finish(document, started)


def _run_arms(
    arms: Sequence[Arm], trainer: Trainer, documents: list[Document], runs: list[list[list[Run]]],
    on_step: OnStep | None, on_turn: OnTurn | None, *, stop: threading.Event | None, threads: int | None,
) -> None:  # fmt: skip
    """Train every arm that can act; `documents` gets an entry for each, `runs` its runs, group by group."""
    makers: list[Callable[[], Training]] = []
    owners: list[int] = []
    for number, arm in enumerate(arms):
        documents.append(_entry(arm, trainer))
        runs.append([])
        made = trainer.makers(arm) if documents[-1]["refused"] is None else []
        makers += made
        owners += [number] * len(made)

    def keep(number: int, made: list[Run]) -> None:
        runs[owners[number]].append(made)

    if on_turn is not None:
        course = trainer.course(documents, owners)
        run_in_turn(makers, keep, trainings=course.trainings, on_turn=functools.partial(on_turn, course))
        return
    told = Told(on_step, [arms[k].label for k in owners], trainer.settings.steps)
    run_all(makers, keep, threads=trainer.threads or threads, stop=stop, on_step=told)


def _entry(arm: Arm, trainer: Trainer) -> Document:
    """One arm's entry before it is trained: refused with the reason, or to be filled."""
    return {
        "method": arm.method, "options": arm.shown_options, "label": arm.label, "role": arm.role,
        "refused": trainer.refused(arm),
    }  # fmt: skip


def _summarize(document: Document, settings: Settings, dataset: Dataset, runs: Sequence[Sequence[list[Run]]]) -> None:
    """Fill the entries of the arms that were trained to the end; drop those that were not."""
    chance, kept = 1 / len(dataset.classes), []
    _, validation = parts_of(dataset)
    wanted = len(settings.lr) * settings.seeds
    for entry, stacks in zip(document["arms"], runs, strict=False):
        found = [run for stack in stacks for run in stack]
        if entry["refused"] is None:
            if len(found) < wanted:
                continue
            lines = grid(found, chance, len(validation))
            best = chosen(lines)
            own = [run for run in found if run.slot.lr == best["lr"]]
            entry |= {"lr": best["lr"], "grid": lines, **summarized(own, chance, len(dataset.test_y))}
        kept.append(entry)
    document["arms"] = kept


def _finish(document: Document, started: float) -> Race:
    from .training.verdicts import judge

    judge(document)
    document["wall_s"] = round(time.perf_counter() - started, 3)
    return Race(document)
