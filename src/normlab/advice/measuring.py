"""Whether an advice held: the candidates trained on the user's data, and one sentence on the outcome.

Training is handed in as a function, so that this file knows only the document that comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..language import N_, both
from . import sentences
from .ranking import NONE

__all__ = ["CANDIDATES", "candidates", "measured", "training_settings"]

CANDIDATES = 3
"""So many of the ranking are trained, and the network without normalization beside them."""
OUTCOMES = {
    "held": N_("Trained on {data}, the advice held: {name}, accuracy {mean} [{low}, {high}], better than the others."),
    "failed": N_("Trained on {data}, the advice did not hold: {name} is ahead, accuracy {mean} [{low}, {high}]."),
    "open": N_(
        "Trained on {data}, it stays open: on average best is {name}, accuracy {mean} [{low}, {high}], but these "
        "seeds do not tell it from the advice. More seeds may."
    ),
    "ahead": N_(
        "Trained on {data}, it stays open: the advice, {name}, is best on average, accuracy {mean} [{low}, {high}], "
        "but these seeds do not tell it from the next. More seeds may."
    ),
}
DENSE_NETS = ("mlp", "sigmoid_mlp", "rnn", "transformer")


def candidates(document: Mapping[str, Any]) -> list[str]:
    """The methods to train: the first of the ranking, two more at most that share the last place, and none."""
    ranks = [one for one in document["ranking"] if one["place"] is not None and one["method"] != NONE]
    last = ranks[min(CANDIDATES, len(ranks)) - 1]["place"] if ranks else 0
    return [*[one["method"] for one in ranks if one["place"] <= last][: CANDIDATES + 2], NONE]


def training_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `train` is told of the answers: the nearest network that it has, its activation and start, the batch."""
    net, batch = settings["net"], settings["batch"]
    found: dict[str, Any] = {"net": "dense" if net is None or net in DENSE_NETS else "conv"}
    found |= {"activation": "sigmoid"} if net == "sigmoid_mlp" else {"activation": "relu", "init": "he"}
    return {**found, "batch": batch} if isinstance(batch, int) else found


def measured(
    methods: Sequence[str], data: Any, *, train: Callable[..., Any], first: Sequence[str], **options: Any
) -> dict[str, Any]:
    """Train the candidates and say whether the advice held.

    Args:
        methods: the candidates, as `candidates` gives them.
        data: what `train` takes as `data`.
        train: `train(methods, data=data, **options)`; what comes back has `to_dict()` with `arms`, each with `method`,
            `label` and, unless it was refused, `final["test_accuracy"]` (`mean`, `low`, `high`); and `ranking`, with
            the labels of the `best`, which no other was shown better than; None where there is one arm.
        first: the method advised; several where they were level.
        **options: for `train`: net, batch, seeds ...

    Returns:
        `command`, `data`, `arms` (method, label, accuracy), `outcome`, `text` and `verdicts`, training's own. The
        outcome is "held" where only advised arms are among the best, "failed" where none is, else "open".
    """
    race = train(list(methods), data=data, **options).to_dict()
    arms = [{"method": a["method"], "label": a["label"], "accuracy": _accuracy(a)} for a in race["arms"]]
    outcome = _outcome(arms, race.get("ranking"), first)
    return {
        "command": race.get("command"), "data": str(data), "arms": arms, "outcome": outcome,
        "text": _said(outcome, arms, str(data), first), "verdicts": list(race.get("verdicts", ())),
    }  # fmt: skip


def _accuracy(arm: Mapping[str, Any]) -> dict[str, float] | None:
    found = (arm.get("final") or {}).get("test_accuracy")
    if found is None or found.get("mean") is None:
        return None
    return {end: float(found[end] if found.get(end) is not None else found["mean"]) for end in ("mean", "low", "high")}


def _outcome(arms: Sequence[Mapping[str, Any]], ranking: Mapping[str, Any] | None, first: Sequence[str]) -> str:
    """Held, failed or open: training compares arms seed by seed, so its ranking is asked, not single intervals."""
    finished = {arm["label"]: arm["method"] in first for arm in arms if arm["accuracy"] is not None}
    best = [label for label in (finished if ranking is None else ranking["best"]) if label in finished]
    advised = [finished[label] for label in best]
    if not advised:
        return "open"
    return "held" if all(advised) else "open" if any(advised) else "failed"


def _said(outcome: str, arms: Sequence[Mapping[str, Any]], data: str, first: Sequence[str]) -> dict[str, str]:
    best = max(arms, key=lambda arm: -1.0 if arm["accuracy"] is None else arm["accuracy"]["mean"])
    if best["accuracy"] is None:
        return both("No candidate finished training, so nothing is said about the advice.")
    values = {
        "data": data, "name": sentences.label(best["method"]), "mean": f"{best['accuracy']['mean']:.3f}",
        "low": f"{best['accuracy']['low']:.3f}", "high": f"{best['accuracy']['high']:.3f}",
    }  # fmt: skip
    if outcome == "open" and best["method"] in first:
        outcome = "ahead"
    return both(OUTCOMES[outcome], **values)
