"""The training engine beside torch: the same first weights, the same rows, the same numbers after every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from normlab.experiments.arms import read_arm
from normlab.experiments.presets import NO_PRESET
from normlab.experiments.repeatable import by_the_formula
from normlab.experiments.training.optimizers import OPTIMIZERS
from normlab.experiments.training.parts import EVALUATE, MEASURE, TRAIN, Pool
from normlab.experiments.training.settings import Settings
from normlab.experiments.training.stack import Samples, Slot, Split, Stack, cross_entropy

F = torch.nn.functional
CLASSES = 4
# One method of every kind of part: stacked, with running statistics, per slot, together, on weights, an activation.
ARMS = ("none", "bn", "ln", "gn:groups=2", "rms", "whole_norm", "lrn", "selu", "adrop", "wn", "wn:start=data", "sn", "n (g [c]) [...]:g=2")


def samples(rows: int, net: str, seed: int = 0) -> Samples:
    draw = np.random.default_rng(seed)
    shape = (rows, 4, 4, 2) if net == "conv" else (rows, 6)
    return Samples(draw.standard_normal(shape), draw.integers(0, CLASSES, rows))


def split(net: str, dtype: str) -> Split:
    parts = [samples(rows, net, seed) for seed, rows in enumerate((40, 12, 14))]
    return Split(*(replace(p, x=p.x.astype(dtype)) for p in parts), CLASSES)


def settings(**given: object) -> Settings:
    return Settings.read({"layers": 2, "width": 8, "batch": 10, "steps": 6, "dtype": "float64", "lr": 0.1, **given})


def stack(arm: str, slots: list[Slot], **given: object) -> Stack:
    made = settings(**given)
    return Stack(read_arm(arm, NO_PRESET), made, split(made.net, made.dtype), slots, made.points())


def trained(arm: str, slots: list[Slot], **given: object) -> Stack:
    with by_the_formula(), np.errstate(all="ignore"):
        made = stack(arm, slots, **given)
        while made.going:
            made.step()
    return made


def to_torch(made: Stack) -> list[torch.nn.Module]:
    """The stack's first slot, built of torch's own modules; parameters in the stack's order."""
    layers: list[torch.nn.Module] = []
    conv = made.settings.net == "conv"
    for layer in made.network.layers:
        w = layer.linear.weight.forward(TRAIN)[0]
        if conv:
            inputs, outputs = w.shape[0] // 9, w.shape[1]
            own: torch.nn.Module = torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False, dtype=torch.float64)
            w = w.reshape(3, 3, inputs, outputs).transpose(3, 2, 0, 1)
        else:
            own = torch.nn.Linear(*w.shape, bias=False, dtype=torch.float64)
            w = w.T
        with torch.no_grad():
            own.weight.copy_(torch.tensor(np.ascontiguousarray(w)))
        layers.append(own)
        label = made.network.arm.label
        channels = len(own.weight)
        if label == "bn":
            layers.append((torch.nn.BatchNorm2d if conv else torch.nn.BatchNorm1d)(channels, dtype=torch.float64))
        if label == "gn:groups=2":
            layers.append(torch.nn.GroupNorm(2, channels, dtype=torch.float64))
        layers.append(torch.nn.Tanh())
        if any(isinstance(p, Pool) for p in layer.parts):
            layers.append(torch.nn.MaxPool2d(2))
    w, b = made.network.head.weight.forward(TRAIN)[0], made.network.head.bias.value[0]
    head = torch.nn.Linear(*w.shape, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.tensor(w.T))
        head.bias.copy_(torch.tensor(b))
    return [*layers, Last(), head]


class Last(torch.nn.Module):
    """Images as rows, in the order of channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.movedim(1, -1).flatten(1) if x.ndim == 4 else x


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("net", ["dense", "conv"])
@pytest.mark.parametrize("arm", ["none", "bn", "gn:groups=2"])
def test_every_step_is_torchs(arm: str, net: str, optimizer: str) -> None:
    # Without biases: before batch norm a bias has no gradient but rounding, and Adam makes whole steps of that.
    given = {"net": net, "activation": "tanh", "optimizer": optimizer, "weight_decay": 0.01, "bias": False}
    with by_the_formula():
        ours = stack(arm, [Slot(3, 0.05)], **given)
        theirs = torch.nn.Sequential(*to_torch(ours))
        rule = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
        options = {"momentum": 0.9} if optimizer == "sgd" else {}
        step = rule(theirs.parameters(), lr=0.05, weight_decay=0.01, **options)
        order = stack(arm, [Slot(3, 0.05)], **given).orders[0]
        for _ in range(6):
            rows = order.take(10)
            x = torch.tensor(np.moveaxis(ours.split.train.x[rows], -1, 1) if net == "conv" else ours.split.train.x[rows])
            loss = F.cross_entropy(theirs(x), torch.tensor(ours.split.train.y[rows]))
            step.zero_grad()
            loss.backward()
            step.step()
            ours.step()
        # a few units of rounding a step; Adam divides by the roots of squares near 1e-8
        assert abs(ours.runs[0].points[-1]["train_loss"] - loss.item()) < 1e-7
        for w, own in zip(weights_of(ours), [m for m in theirs if hasattr(m, "weight") and m.weight.ndim > 1], strict=True):
            given_w = own.weight.detach().numpy()
            shown = given_w.transpose(2, 3, 1, 0).reshape(w.shape) if given_w.ndim == 4 else given_w.T
            np.testing.assert_allclose(w, shown, rtol=1e-6, atol=1e-8)
        theirs.eval()
        x = ours.split.test.x
        found = theirs(torch.tensor(np.moveaxis(x, -1, 1) if net == "conv" else x))
        np.testing.assert_allclose(ours.network.forward(x[None], EVALUATE)[0], found.detach().numpy(), rtol=1e-6, atol=1e-7)


def weights_of(made: Stack) -> list[np.ndarray]:
    linears = [*(layer.linear for layer in made.network.layers), made.network.head]
    return [one.weight.parameter.value[0] for one in linears]


@pytest.mark.parametrize("net", ["dense", "conv"])
@pytest.mark.parametrize("arm", ARMS)
def test_a_slot_has_the_same_bytes_alone(arm: str, net: str) -> None:
    slots = [Slot(seed, lr) for lr in (0.1, 0.01) for seed in (0, 1, 2)]
    given = {"net": net, "dtype": "float32", "width": 8 if net == "conv" else 12}
    together = trained(arm, slots, **given)
    for k in (0, 4):
        alone = trained(arm, [slots[k]], **given)
        assert together.network.flat.value[k].tobytes() == alone.network.flat.value[0].tobytes()
        assert together.runs[k] == alone.runs[0]


# The iterates of spectral norm are constants to its gradient: here they stay where they are.
@pytest.mark.parametrize("arm", [arm if arm != "sn" else "sn:steps=0" for arm in ARMS])
def test_every_part_learns_by_its_gradient(arm: str) -> None:
    """Central differences of the loss by every parameter of a small network, in float64."""
    with by_the_formula():
        made = stack(arm, [Slot(0, 0.1), Slot(1, 0.1)], width=4, activation="tanh")
        rows = np.stack([order.take(10) for order in made.orders])
        x, y = made.split.train.x[rows], made.split.train.y[rows]

        def loss() -> np.ndarray:
            return cross_entropy(made.network.forward(x, MEASURE), y)[0]

        states = made.network.state()
        _, _, g = cross_entropy(made.network.forward(x, TRAIN), y)
        made.network.backward(g)
        made.network.restore(states)
        value, found = made.network.flat.value, made.network.flat.gradient
        step = 1e-5
        for k in range(0, value.shape[1], 3):  # a third of them: every array is met
            before = value[:, k].copy()
            value[:, k] = before + step
            above = loss()
            value[:, k] = before - step
            below = loss()
            value[:, k] = before
            # the error of central differences is step^2 and rounding over the step, both near 1e-10
            np.testing.assert_allclose(found[:, k], (above - below) / (2 * step), atol=2e-8, rtol=1e-5)


def test_measuring_and_evaluating_move_nothing() -> None:
    for arm in ARMS:
        with by_the_formula():
            made = stack(arm, [Slot(0, 0.1)], steps=20)
            made.step()
            before = {n: np.copy(a) if isinstance(a, np.ndarray) else repr(a) for n, a in made.network.state().items()}
            for mode in (MEASURE, EVALUATE):
                made.evaluate(made.split.test, mode)
            after = made.network.state()
            for name, value in before.items():
                now = after[name]
                assert np.array_equal(now, value) if isinstance(value, np.ndarray) else repr(now) == value, (arm, name)


def test_a_run_that_diverges_says_where_and_leaves_the_others_alone() -> None:
    slots = [Slot(0, 0.1), Slot(0, 1e30)]
    made = trained("none", slots, activation="relu", steps=20)
    fine, broken = made.runs
    assert (fine.stopped, fine.step) == ("finished", 20)
    assert broken.stopped == "diverged" and 1 < broken.step < 20 and broken.layer in (1, 2, 3)
    assert set(broken.final.values()) == {None} and len(broken.points) < broken.step
    alone = trained("none", slots[:1], activation="relu", steps=20)
    assert alone.runs[0] == fine


def test_the_order_is_that_of_the_seed_and_every_epoch_has_every_row() -> None:
    with by_the_formula():
        made = stack("none", [Slot(5, 0.1)])
        taken = np.concatenate([made.orders[0].take(10) for _ in range(8)])
    for epoch in (taken[:40], taken[40:]):
        assert sorted(epoch) == list(range(40))
    assert list(taken[:40]) != list(taken[40:])


def test_cross_entropy_is_torchs() -> None:
    draw = np.random.default_rng(0)
    logits, y = 30 * draw.standard_normal((2, 7, CLASSES)), draw.integers(0, CLASSES, (2, 7))
    loss, hits, g = cross_entropy(logits, y)
    for k in range(2):
        a = torch.tensor(logits[k], requires_grad=True)
        theirs = F.cross_entropy(a, torch.tensor(y[k]))
        theirs.backward()
        assert abs(theirs.item() - loss[k]) < 1e-12
        np.testing.assert_allclose(g[k], a.grad.numpy(), atol=1e-14)
        assert hits[k] == np.mean(logits[k].argmax(-1) == y[k])
