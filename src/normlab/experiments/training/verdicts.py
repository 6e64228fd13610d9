"""What a race's numbers say: which arms the seeds can tell apart, and what to know about how they were trained.

Pure functions of the document of `normlab train --json`; no arrays, no method by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from normlab.formatting import share
from normlab.language import both
from normlab.statistics import Metric, ranking, say_contrast, say_ranking

from .stack import DIVERGED

__all__ = ["ACCURACY", "judge", "resolution"]

ACCURACY = Metric(both("Test accuracy"), 100, both(" points"))
LEARNT = 1.25  # an accuracy below so many times that of guessing has learnt nothing
MODES_APART = 0.02  # a gap between evaluation and the batch's own statistics that is worth a sentence
MOST_CONTRASTS = 6


def judge(document: dict[str, Any]) -> None:
    """Fill `contrasts`, `ranking` and `verdicts` from the arms."""
    arms = [arm for arm in document["arms"] if arm["refused"] is None]
    said = []
    if len(arms) > 1:
        metrics = {arm["label"]: [run["test_accuracy"] for run in arm["runs"]] for arm in arms}
        found = ranking(metrics, resolution=resolution(document), diverged=chance(document))
        document["contrasts"] = [{**asdict(one), "failed": list(one.failed)} for one in found.contrasts]
        document["ranking"] = {
            "ranked": found.ranked, "order": list(found.order), "best": list(found.best),
            "tiers": [list(tier) for tier in found.tiers], "groups": [list(group) for group in found.groups],
        }  # fmt: skip
        first = arms[0]["label"]
        said = [say_ranking(found, ACCURACY)]
        said += [say_contrast(one, ACCURACY) for one in found.contrasts if first in (one.label, one.against)]
    said = said[: 1 + MOST_CONTRASTS]
    for arm in arms:
        said += _of_one(arm, document)
    document["verdicts"] = [*said, *_at_the_ends(arms, document)]


def resolution(document: Mapping[str, Any]) -> float:
    """The step of the accuracy: one test row."""
    return 1 / int(document["data"]["test_rows"])


def chance(document: Mapping[str, Any]) -> float:
    """The accuracy of guessing, which is what a run that diverged counts as."""
    return 1 / len(document["data"]["classes"])


def _of_one(arm: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    said, seeds = {"label": arm["label"]}, len(arm["runs"])
    broken = [run for run in arm["runs"] if run["stopped"] == DIVERGED]
    final = arm["final"]
    if broken:
        first = min(broken, key=lambda run: (run["step"], run["seed"]))
        yield both(
            "{label}: {count} of {seeds} runs diverged, the first at step {step}, in layer {layer}",
            **said, count=len(broken), seeds=seeds, step=first["step"], layer=first["layer"],
        )  # fmt: skip
    if not _has_learnt(arm, document):
        yield both(
            "{label} has learnt next to nothing, at none of the learning rates: {share} right, by guessing {chance}",
            **said, share=share(final["test_accuracy"]["mean"]), chance=share(chance(document)),
        )  # fmt: skip
    own, evaluated = final["own_statistics_accuracy"]["mean"], final["test_accuracy"]["mean"]
    if not broken and abs(own - evaluated) > MODES_APART:
        yield both(
            "{label} is two functions: {evaluated} right in evaluation, {own} with each test batch's own statistics",
            **said, evaluated=share(evaluated), own=share(own),
        )  # fmt: skip


def _has_learnt(arm: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    return bool(arm["final"]["test_accuracy"]["mean"] >= LEARNT * chance(document))


def _at_the_ends(arms: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """A sentence for each end of the grid at which arms were best: the grid may have been too narrow for them."""
    rates = sorted(document["settings"]["lr"])
    for lr, end in ((rates[0], both("smallest")), (rates[-1], both("largest"))) if len(rates) > 1 else ():
        labels = [arm["label"] for arm in arms if arm["lr"] == lr and _has_learnt(arm, document)]
        if labels:
            yield both(
                "best at the {end} learning rate of the grid, {lr}: {labels}; one further out may be better still",
                end=end, lr=f"{lr:g}", labels=", ".join(labels),
            )  # fmt: skip
