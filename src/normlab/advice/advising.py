"""`advise`: reads the answers, ranks, and writes the one document that everything is printed from."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import registry
from ..experiments.claims.recorded import recorded
from ..language import both
from ..result import Result, machine, versions
from . import sentences
from .questions import QUESTIONS, UNKNOWN, bracket, read
from .ranking import NONE, Change, Reason, Standing, changes, ranked
from .rule import WEIGHTS

__all__ = ["Advice", "advise"]


class Advice(Result):
    """A ranking of methods with reasons; `str` gives the terminal's text."""

    @property
    def first(self) -> tuple[str, ...]:
        """The method in the first place; all of them where several are level."""
        return tuple(one["method"] for one in self._document["ranking"] if one["place"] == 1)


def advise(
    *, data: str | None = None, batch: Any = None, agree: str | bool | None = None, net: str | None = None,
    model: Any = None, measure: Any = False, train: Callable[..., Any] | None = None,
) -> Advice:  # fmt: skip
    """Say which normalization suits, and why: each reason with its source, and what would change the answer.

    Args:
        data: what the network reads: images, tokens, sequences, table, style or embeddings.
        batch: how many samples each device sees at once; with `model`, a batch to read the answers from (a tensor, a
            tuple or a dict of them).
        agree: whether training and evaluation must be the same function and samples strangers to each other
            (single-sample inference, contrastive or reinforcement learning, DP-SGD): yes, no, True or False.
        net: the kind of network: cnn, unet, transformer, rnn, mlp, sigmoid_mlp or gan.
        model: a `torch.nn.Module` whose layers answer what was not given here.
            Each of the four may be left out; then the ranking is the mean over what it could be.
        measure: train the candidates and say whether the advice held: on the data that `nl.train` takes (a file, a pair
            (x, y) ...); True: on the handwritten digits.
        train: what trains them; `nl.train` unless given.

    Returns:
        An `Advice`. Its document's `ranking` holds every method with `place`, `points`, `reasons` for and against
        (text, source, claim, command) and its card; `changes` says which other answers would put another method first.

    Raises:
        UnknownNameError: an answer that the question does not know, with the nearest ones.
        UsageError: a batch that is no whole number of at least 1; a `model` that is no module.
        MissingExtraError: `model` without torch. What `nl.train` raises, with `measure`.

    Source:
        Each rule names its own (`normlab.advice.rules`).

    Example:
        >>> print(advise(data="images", batch=2, net="cnn").first)
        ('group_norm',)
    """
    began = time.perf_counter()
    given = {"data": data, "batch": batch, "agree": agree, "net": net}
    seen: dict[str, Any] = {"answers": {}, "how": [], "norms": {}}
    if model is not None:
        from .reading import look

        seen = look(model, batch)
        given["batch"] = seen["answers"].get("batch")
    answers = {question: read(question, given[question]) for question in QUESTIONS}
    answers |= {q: found for q, found in seen["answers"].items() if answers[q] is None}
    document = _document(answers, seen)
    if measure is not False and measure is not None:
        data = "digits" if measure is True else measure
        document["measured"] = _measured(document, data, train)
        document["settings"]["measure"] = str(data)
        document["command"] += " " + shlex.join(["--measure", str(data)])
    return Advice(document | {"wall_s": round(time.perf_counter() - began, 6)})


def _measured(document: Mapping[str, Any], data: Any, train: Callable[..., Any] | None) -> dict[str, Any]:
    from .measuring import candidates, measured, training_settings

    if train is None:
        from ..experiments.train import train as own

        train = own
    first = [one["method"] for one in document["ranking"] if one["place"] == 1]
    return measured(candidates(document), data, train=train, first=first, **training_settings(document["settings"]))


def _document(given: Mapping[str, str | int | None], seen: Mapping[str, Any]) -> dict[str, Any]:
    batch = given["batch"]
    answers = {q: str(a) if a is not None else None for q, a in given.items()}
    answers["batch"] = bracket(batch) if isinstance(batch, int) else batch
    standings = ranked(answers)
    turns = changes(answers)
    left_out = [sentences.depends(one) for one in turns if _matters(one, answers)]
    notes = [sentences.note(standings), sentences.sigmoid(answers), *_norms(seen["norms"], standings)]
    return {
        "schema": "normlab.advise/1", "command": _command(given), "versions": versions(), "machine": machine(),
        "settings": {**given, "measure": None}, "wall_s": 0.0, "answers": answers, "read": seen["how"],
        "ranking": [_entry(s) for s in standings], "changes": [_change(one) for one in turns],
        "verdicts": [sentences.advice(answers, standings), *left_out],
        "notes": [text for text in notes if text is not None], "measured": None,
    }  # fmt: skip


def _entry(standing: Standing) -> dict[str, Any]:
    short = NONE if standing.method == NONE else registry.method(standing.method).short
    return {
        "method": standing.method, "short": short, "title": sentences.title(standing.method),
        "place": standing.place or None, "tied": standing.tied, "points": standing.points,
        "excluded": standing.excluded, "beside": standing.beside,
        "card": "normlab guide" if standing.method == NONE else f"normlab guide {short}",
        "reasons": [_reason(one) for one in standing.reasons],
    }  # fmt: skip


def _reason(reason: Reason) -> dict[str, Any]:
    rule = reason.rule
    return {
        "rule": rule.id, "weight": WEIGHTS[rule.weight], "points": rule.weight, "text": both(rule.text),
        "source": rule.source or None, "claim": rule.claim or None, "command": rule.shows or None,
        "claim_verdict": recorded().get(rule.claim, {}).get("verdict"),
        "holds": reason.holds, "needs": {q: list(a) for q, a in reason.needs.items()},
        "if": [{"topic": sentences.topics(q), "answers": sentences.answered(q, a)} for q, a in reason.needs.items()],
    }  # fmt: skip


def _change(one: Change) -> dict[str, Any]:
    cases = [
        {"answers": list(c.answers), "first": list(c.first), "text": sentences.change(one.question, c)}
        for c in one.cases
    ]
    return {"question": one.question, "given": one.given, "cases": cases}


def _matters(one: Change, answers: Mapping[str, str | None]) -> bool:
    """Whether to say what an answer that was left out decides: not over networks that have nothing in common."""
    return not one.given and (one.question in ("data", "net") or not answers["data"] is answers["net"] is None)


def _norms(norms: Mapping[str, int], standings: Sequence[Standing]) -> list[dict[str, str]]:
    """Where the model's own normalization stands."""
    found = []
    for method, count in norms.items():
        one = next((s for s in standings if s.method == method), None)
        says = {"name": sentences.label(method), "count": count}
        if one is not None and one.excluded:
            found.append(both("In the model: {name}, {count} layers; ruled out here.", **says))
        elif one is not None and one.place:
            found.append(both("In the model: {name}, {count} layers; place {place} here.", **says, place=one.place))
        elif one is not None:
            found.append(both("In the model: {name}, {count} layers; nothing here speaks for it.", **says))
    return found


def _command(given: Mapping[str, Any]) -> str:
    """The command line that asks the same."""
    words = [w for q, a in given.items() if a is not None for w in (f"--{q}", str(a))]
    return shlex.join(["normlab", "advise", *(words or ["--data", UNKNOWN[0]])])
