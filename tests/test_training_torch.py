"""Networks of the user's in a race: recorded like ours, left as they were between steps, and continued from the disk."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from normlab.errors import ShapeError, UsageError
from normlab.experiments.arms import read_arm
from normlab.experiments.presets import NO_PRESET
from normlab.experiments.repeatable import by_the_formula
from normlab.experiments.training import checkpoints
from normlab.experiments.training.running import run_all
from normlab.experiments.training.settings import Settings
from normlab.experiments.training.stack import Samples, Slot, Split, Stack
from normlab.experiments.training.torch_run import TorchRun, refused, with_arm
from normlab.experiments.training.trainer import Trainer, network_of


def small(norm):
    """Two layers for rows of 6, with a dropout that draws."""
    return nn.Sequential(nn.Linear(6, 8), norm(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 4))


def split() -> Split:
    draw = np.random.default_rng(0)
    parts = [Samples(draw.standard_normal((n, 6)).astype(np.float32), draw.integers(0, 4, n)) for n in (40, 12, 14)]
    return Split(*parts, 4)


SETTINGS = Settings.read({"batch": 10, "steps": 12, "net": "nets:small", "lr": 0.1})


def made(label: str, seed: int = 0, factory=small) -> TorchRun:
    make = with_arm(factory, read_arm(label, NO_PRESET))
    return TorchRun(make, SETTINGS, split(), Slot(seed, 0.1), [4, 8, 12])


@pytest.mark.parametrize("label", ["none", "bn", "ln", "gn:groups=2", "wn", "sn"])
def test_an_arm_stands_where_the_factory_asks_for_a_norm_or_on_its_weights(label: str) -> None:
    run = made(label)
    kinds = [type(m).__name__ for m in run.model.modules()]
    definition = read_arm(label, NO_PRESET).definition
    if definition is None or definition.role == "weight":
        assert "Identity" in kinds and kinds.count("ParametrizationList") == (0 if definition is None else 2)
    else:
        assert definition.class_name in kinds
    while run.going:
        run.step()
    found = run.runs[0]
    assert found.stopped == "finished" and [p["step"] for p in found.points] == [4, 8, 12]
    assert all(layer[0]["grad_norm"] > 0 for layer in found.layers) and len(found.layers[0]) == 1


def test_a_record_changes_nothing_of_the_training() -> None:
    """Evaluation in between moves neither buffers nor random numbers: with and without it the weights are equal."""
    with by_the_formula():
        often, never = made("bn"), made("bn")
        often.points, never.points = frozenset(range(1, 13)), frozenset()
        for _ in range(12):
            often.step()
            torch.rand(3)  # nor does what others draw
            never.step()
    for a, b in zip(often.model.state_dict().values(), never.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("label", ["none", "bn", "sn", "wn"])
@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_a_training_continued_from_the_disk_has_the_same_bytes(label: str, engine: str, tmp_path: Path) -> None:
    def new():
        if engine == "torch":
            return made(label)
        own = Settings.read({"batch": 10, "steps": 12, "lr": 0.1, "layers": 2, "width": 8, "optimizer": "adam"})
        return Stack(read_arm(label, NO_PRESET), own, split(), [Slot(0, 0.1), Slot(1, 0.2)], [4, 8, 12])

    with by_the_formula():
        whole, first = new(), new()
        while whole.going:
            whole.step()
        for _ in range(5):
            first.step()
        checkpoints.write(tmp_path / "held.npz", first.state())
        second = new()
        second.restore(checkpoints.read(tmp_path / "held.npz"))
        while second.going:
            second.step()
    assert second.runs == whole.runs
    assert not list(tmp_path.glob("*.new"))


def test_a_damaged_checkpoint_is_none(tmp_path: Path) -> None:
    path = tmp_path / "held.npz"
    assert checkpoints.read(path) is None
    checkpoints.write(path, {"value": np.ones(3), "taken": 2})
    whole = path.read_bytes()
    assert checkpoints.read(path)["taken"] == 2
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert checkpoints.read(path) is None


def test_a_network_that_diverges_says_where() -> None:
    run = made("none", factory=lambda norm: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 4)))
    run.optimizer.param_groups[0]["lr"] = 1e30
    while run.going:
        run.step()
    assert run.runs[0].stopped == "diverged" and run.runs[0].layer in (1, 2, 3)
    assert set(run.runs[0].final.values()) == {None}


def test_what_the_factory_owns_is_refused_with_the_reason() -> None:
    for label in ("selu", "adrop"):
        said = refused(read_arm(label, NO_PRESET))
        assert said is not None and "factory" in said["en"] and said["ko"] != said["en"]
    assert refused(read_arm("bn", NO_PRESET)) is None


def test_bad_factories_are_told_what_was_required() -> None:
    with pytest.raises(UsageError, match=r"must return a torch.nn.Module, got int"):
        made("none", factory=lambda norm: 3)
    wide = made("none", factory=lambda norm: nn.Linear(6, 7))
    with pytest.raises(ShapeError, match=r"\(rows, classes\) = \(10, 4\), got \(10, 7\)"):
        wide.step()
    for net, words in (("no_such_module:f", "cannot be imported: ModuleNotFoundError"), ("math:no_such", "has no no_such"), ("math:pi", "function of a norm")):
        with pytest.raises(UsageError, match=words):
            network_of(net)


def test_a_stop_from_outside_ends_every_run_where_it_is() -> None:
    stop, kept = threading.Event(), {}

    def on_step(number: int, training) -> None:
        if training.taken >= 3:
            stop.set()

    long = Settings.read({"batch": 10, "steps": 100_000, "lr": 0.1, "layers": 1, "width": 4})
    arm = read_arm("none", NO_PRESET)
    makers = [lambda k=k: Stack(arm, long, split(), [Slot(k, 0.1)], [50_000]) for k in range(3)]
    with by_the_formula():
        run_all(makers, kept.__setitem__, threads=2, stop=stop, on_step=on_step)
    assert kept[0][0].stopped == "stopped" and 3 <= kept[0][0].step < 100_000


def test_the_trainer_runs_a_function_of_a_norm() -> None:
    factory, name = network_of(small)
    assert name == f"{__name__}:small"
    from normlab.data.dataset import Dataset

    parts = split()
    data = Dataset("own", parts.train.x, parts.train.y, parts.test.x, parts.test.y, tuple("abcd"))
    trainer = Trainer(Settings.read({"net": name, "batch": 10, "steps": 4, "seeds": 2, "lr": [0.1, 0.2]}), data, factory)
    arm = read_arm("bn", NO_PRESET)
    assert trainer.refused(arm) is None and trainer.threads == 1
    assert len(trainer.makers(arm)) == 4
