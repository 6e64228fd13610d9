"""Whether an advice held: the candidates trained on the user's data, and one sentence on the outcome.

Training is handed in as a function, so that this file knows only the document that comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..language import N_, both
from . import sentences
from .ranking import NONE

__all__ = ["CANDIDATES", "candidates", "measured", "training_net"]

CANDIDATES = 3
"""So many of the ranking are trained, and the network without normalization beside them."""
OUTCOMES = {
    "held": N_("Trained on your data, the advice held: {name}, accuracy {mean} [{low}, {high}], clear of the others."),
    "failed": N_("Trained on your data, the advice did not hold: {name} is ahead, accuracy {mean} [{low}, {high}]."),
    "open": N_(
        "Trained on your data, it stays open: best is {name}, accuracy {mean} [{low}, {high}], and the intervals "
        "overlap. More seeds tell more."
    ),
}
DENSE_NETS = ("mlp", "sigmoid_mlp", "rnn", "transformer")


def candidates(document: Mapping[str, Any]) -> list[str]:
    """The methods to train: the first of the ranking, two more at most that share the last place, and none."""
    ranks = [one for one in document["ranking"] if one["place"] is not None and one["method"] != NONE]
    last = ranks[min(CANDIDATES, len(ranks)) - 1]["place"] if ranks else 0
    return [*[one["method"] for one in ranks if one["place"] <= last][: CANDIDATES + 2], NONE]


def training_net(net: str | None) -> str:
    """The network of `train` that is nearest: dense or conv."""
    return "dense" if net is None or net in DENSE_NETS else "conv"


def measured(
    methods: Sequence[str], data: Any, *, train: Callable[..., Any], first: Sequence[str], **options: Any
) -> dict[str, Any]:
    """Train the candidates and say whether the advice held.

    Args:
        methods: the candidates, as `candidates` gives them.
        data: what `train` takes as `data`.
        train: `train(methods, data=data, **options)`; what comes back has `to_dict()` with `arms`, each with `method`,
            `label` and `final["test_accuracy"]` (`mean`, `low`, `high`, or None where the arm diverged), and `ranking`.
        first: the method advised; several where they were level.
        **options: for `train`: net, batch, seeds ...

    Returns:
        `command`, `data`, `arms` (method, label, accuracy), `outcome`, `text` and `ranking`. The outcome is "held"
        where an advised arm's interval lies above all others', "failed" where another's lies above all advised ones',
        else "open".
    """
    race = train(list(methods), data=data, **options).to_dict()
    arms = [{"method": a["method"], "label": a["label"], "accuracy": _accuracy(a)} for a in race["arms"]]
    outcome = _outcome([a for a in arms if a["method"] in first], [a for a in arms if a["method"] not in first])
    return {
        "command": race.get("command"), "data": str(data), "arms": arms, "outcome": outcome,
        "text": _said(outcome, arms), "ranking": list(race.get("ranking", ())),
    }  # fmt: skip


def _accuracy(arm: Mapping[str, Any]) -> dict[str, float] | None:
    found = (arm.get("final") or {}).get("test_accuracy")
    if found is None or found.get("mean") is None:
        return None
    return {end: float(found[end] if found.get(end) is not None else found["mean"]) for end in ("mean", "low", "high")}


def _outcome(advised: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> str:
    """Held, failed or open, by whether intervals lie apart; an arm without a result lies below all."""
    low, high = _best(advised, "low"), _best(advised, "high")
    if low > _best(others, "high"):
        return "held"
    return "failed" if _best(others, "low") > high else "open"


def _best(arms: Sequence[Mapping[str, Any]], end: str) -> float:
    return max((arm["accuracy"][end] for arm in arms if arm["accuracy"] is not None), default=-1.0)


def _said(outcome: str, arms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    best = max(arms, key=lambda arm: -1.0 if arm["accuracy"] is None else arm["accuracy"]["mean"])
    if best["accuracy"] is None:
        return both("No candidate finished training, so nothing is said about the advice.")
    values = {
        "name": sentences.label(best["method"]), "mean": f"{best['accuracy']['mean']:.3f}",
        "low": f"{best['accuracy']['low']:.3f}", "high": f"{best['accuracy']['high']:.3f}",
    }  # fmt: skip
    return both(OUTCOMES[outcome], **values)
