"""Layer normalization does not depend on the batch, and works in a recurrent network at lengths it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab import numpy as face
from normlab.data.dataset import Dataset
from normlab.language import N_, both
from normlab.statistics import contrasts

from ..training.preparing import parts_of
from ..training.stack import Samples
from ..training.trainer import dataset_of
from .claim import Claim, Finding
from .recurrent import Recurrent
from .saying import difference, percent

CHANNELS, ROWS = 64, 32
STEPS = 300
RATES = (0.001, 0.003, 0.01)
SEEN, UNSEEN = tuple(range(9)), (16, 24)  # empty rows before the image, in training and only in evaluation
MARGIN = 0.02
_STREAM = 25


def measure(seeds: Sequence[int]) -> list[Finding]:
    """The layers' bytes, then the recurrent network with and without."""
    data = dataset_of(None)
    nets = {arm: _best(arm, seeds, data) for arm in ("none", "ln")}
    test = Samples(_rows(data.test_x), data.test_y)
    found = {wait: {arm: net.accuracies(test, wait) for arm, net in nets.items()} for wait in (0, *UNSEEN)}
    return [_alone(seeds), _modes(seeds), _learns(found[0], len(test.y)), _lengths(found, len(test.y))]


def _layers(seed: int) -> tuple[Any, Any, Any]:
    draws = np.random.default_rng([seed, _STREAM])
    return draws.standard_normal((ROWS, CHANNELS)), face.LayerNorm(CHANNELS), face.BatchNorm(CHANNELS)


def _alone(seeds: Sequence[int]) -> Finding:
    """In how many of all rows, over all seeds, the bytes alone are those in company."""
    same = {"layer": 0, "batch": 0}
    for seed in seeds:
        x, layer, batch = _layers(seed)
        batch(x)  # in evaluation it stands for what it has seen
        for name, one in (("layer", layer), ("batch", batch)):
            together = one.train()(x)
            pairs = [x[[k, (k + 1) % ROWS]] for k in range(ROWS)]  # of one alone batch norm has no variance
            own = [one(x[k : k + 1])[0] if name == "layer" else one(pairs[k])[0] for k in range(ROWS)]
            same[name] += sum(a.tobytes() == b.tobytes() for a, b in zip(own, together, strict=True))
    return _counted(same, len(seeds), N_(
        "rows of {count} with the same bytes: layer norm {layer} alone and in company, batch norm {batch} in pairs and "
        "in company"
    ))  # fmt: skip


def _modes(seeds: Sequence[int]) -> Finding:
    """In how many rows training and evaluation give the same bytes."""
    same = {"layer": 0, "batch": 0}
    for seed in seeds:
        x, layer, batch = _layers(seed)
        for name, one in (("layer", layer), ("batch", batch)):
            trained, evaluated = one.train()(x), one.eval()(x)
            same[name] += sum(a.tobytes() == b.tobytes() for a, b in zip(trained, evaluated, strict=True))
    return _counted(same, len(seeds), N_(
        "rows of {count} with the same bytes in training and evaluation: layer norm {layer}, batch norm {batch}"
    ))  # fmt: skip


def _counted(same: dict[str, int], seeds: int, sentence: str) -> Finding:
    count = seeds * ROWS
    return Finding(same["layer"] == count and same["batch"] == 0, both(sentence, count=count, **same), {**same})


def _best(arm: str, seeds: Sequence[int], data: Dataset) -> Recurrent:
    """The trained networks at the learning rate that meets the validation rows best."""
    train, kept = parts_of(data)
    x = _rows(data.x)
    best: tuple[float, Recurrent] | None = None
    for lr in RATES:
        net = Recurrent(arm, seeds, x.shape[-1], len(data.classes), lr)
        net.train(Samples(x[train], data.y[train]), STEPS, SEEN)
        merit = float(np.mean(net.accuracies(Samples(x[kept], data.y[kept]), 0)))
        if best is None or merit > best[0]:
            best = merit, net
    assert best is not None  # there are rates
    return best[1]


def _rows(x: Any) -> Any:
    """(n, 1, height, width) as (n, height, width)."""
    return np.asarray(x, np.float32)[:, 0]


def _learns(found: dict[str, list[float]], rows: int) -> Finding:
    contrast = contrasts(found, resolution=1 / rows)[0]
    said = both(
        N_("test accuracy of the recurrent network: {none} without, {layer} with; difference {difference} points"),
        none=percent(found["none"], 1 / rows), layer=percent(found["ln"], 1 / rows), difference=difference(contrast),
    )  # fmt: skip
    return Finding(contrast.verdict == "better", said, {**found})


def _lengths(found: dict[int, dict[str, list[float]]], rows: int) -> Finding:
    """What layer norm's network loses where it waits longer than it ever did in training."""
    named = {str(wait): own["ln"] for wait, own in found.items()}
    lost = contrasts(named, against="0", resolution=1 / rows)
    worst = min(lost, key=lambda one: one.low or 0.0)
    said = both(
        N_(
            "with layer norm after {waits} empty rows (at most {most} in training): {shares}; largest change "
            "{difference} points; without: {others}"
        ),
        waits=", ".join(named), most=max(SEEN), shares=_listed(found, "ln", rows), difference=difference(worst),
        others=_listed(found, "none", rows),
    )  # fmt: skip
    holds = all(one.low is not None and one.low >= -MARGIN for one in lost)
    return Finding(holds, said, {arm: {str(w): own[arm] for w, own in found.items()} for arm in ("none", "ln")})


def _listed(found: dict[int, dict[str, list[float]]], arm: str, rows: int) -> str:
    return ", ".join(percent(own[arm], 1 / rows) for own in found.values())


claim = Claim(
    letter="e",
    title=both(N_("Layer normalization does not depend on the batch, and is usable in a recurrent network.")),
    source="Ba, Kiros and Hinton, arXiv 1607.06450, sections 3 and 3.1 (equation 4)",
    setting=both(
        N_(
            "layers of 64 channels on normal rows; a tanh network of 64 units that reads the digits row by row after 0 "
            "to 8 empty rows, 300 steps of Adam at the best of three learning rates, then after 16 and 24"
        )
    ),
    conditions=(
        both(N_("layer norm gives every row the same bytes alone and in company; batch norm none in other company")),
        both(N_("layer norm gives every row the same bytes in training and evaluation; batch norm none")),
        both(N_("the recurrent network's test accuracy is higher with layer norm than without, by the interval")),
        both(N_("at lengths never seen in training it loses at most 2 points, by the corrected intervals")),
    ),
    measure=measure,
    seeds=8,
    seconds=20,
)
