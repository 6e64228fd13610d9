"""What the adviser says about a ranking in both languages: the advice, what it depends on, the note's question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .. import registry
from ..formatting import number
from ..language import LANGUAGES, N_, both
from .questions import QUESTIONS, SMALLEST, Answers
from .ranking import NONE, Case, Change, Standing

__all__ = ["advice", "answered", "change", "depends", "label", "note", "sigmoid", "title", "topics"]

Text = dict[str, str]

TOPICS = {"data": N_("data"), "batch": N_("batch"), "agree": N_("agreement"), "net": N_("network")}
YES_NO = {"yes": N_("yes"), "no": N_("no")}


def title(method: str) -> Text:
    """The printed name of a method."""
    if method == NONE:
        return both("No normalization")
    definition = registry.method(method)
    return {"en": definition.title, "ko": definition.title_ko}


def label(method: str) -> Text:
    """The printed name inside a sentence, with the short name that commands take."""
    full, short = title(method), NONE if method == NONE else registry.method(method).short
    english = full["en"] if full["en"][:2].isupper() else full["en"][0].lower() + full["en"][1:]
    named = {"en": english, "ko": full["ko"]}
    if short.lower() in english.lower().split():
        return named
    return {lang: f"{text} ({short})" if lang == "en" else f"{text}({short})" for lang, text in named.items()}


def topics(question: str) -> Text:
    """What a question is about, in a word."""
    return both(TOPICS[question])


def answered(question: str, answers: Sequence[str]) -> Text:
    """Answers to one question, as short as they can be said; neighbouring sizes of a batch become one range."""
    if question == "batch":
        return _joined(_range(run) for run in _runs(answers))
    return _joined(both(YES_NO[a]) if question == "agree" else dict.fromkeys(LANGUAGES, a) for a in answers)


def advice(answers: Answers, standings: Sequence[Standing]) -> Text:
    """The first sentence: what to take, or that several are level."""
    leading = [s.method for s in standings if s.place == 1]
    if answers.get("data") is None and answers.get("net") is None:
        return both("Neither the data nor the network is known. On average over what they could be: {names}.",
                    names=_level(leading))  # fmt: skip
    if len(leading) > 1:
        return both("Level in the first place: {names}. The rules do not separate them; a training run does.",
                    names=_level(leading))  # fmt: skip
    if leading == [NONE]:
        return both("Start without any normalization: here nothing speaks for one strongly enough.")
    return both("First choice: {name}.", name=label(leading[0]))


def note(standings: Sequence[Standing]) -> Text | None:
    """Where no normalization stands, which is often right; nothing where it comes first."""
    place = next((s.place for s in standings if s.method == NONE), 0)
    if place <= 1:
        return None
    return both("Without any normalization: place {place} of {count} here. Where it trains as well, it is the right "
                "choice, so train it beside the others.", place=place,
                count=sum(s.place > 0 for s in standings))  # fmt: skip


def change(question: str, case: Case) -> Text:
    """What another answer would put first."""
    return both("{topic} {answers}: {names} would come first.", topic=topics(question),
                answers=answered(question, case.answers), names=_level(case.first))  # fmt: skip


def depends(one: Change) -> Text:
    """What an answer that was left out decides."""
    cases = [
        {lang: f"{answered(one.question, c.answers)[lang]}: {_level(c.first)[lang]}" for lang in LANGUAGES}
        for c in one.cases
    ]
    unsaid = QUESTIONS[one.question].unsaid
    message = N_("It depends on the {topic}, which was left out. {cases}.")
    if unsaid is not None:
        message = N_("The {topic} was left out and is taken for: {unsaid}. {cases}.")
    return both(message, topic=topics(one.question), cases=_joined(cases, "; "),
                unsaid=answered(one.question, (unsaid,)) if unsaid is not None else "")  # fmt: skip


def sigmoid(answers: Answers) -> Text | None:
    """The study note's question, answered by the law of the gains where the network is dense with sigmoid."""
    if answers.get("net") != "sigmoid_mlp":
        return None
    from ..experiments.law import free_gain, normalized_gain

    return both(
        "Does batch normalization cure vanishing gradients with sigmoid? At initialization, yes. The law predicts that "
        "each layer multiplies the gradient by {with_it} with it, by {without} without any normalization, and by "
        "{layer} with layer normalization, which leaves the offsets between units.",
        with_it=number(normalized_gain("sigmoid", offsets_removed=True)), without=number(free_gain("sigmoid", 1.0)),
        layer=number(normalized_gain("sigmoid", offsets_removed=False)),
    )  # fmt: skip


def _level(methods: Iterable[str]) -> Text:
    return _joined(map(label, methods), " / ")


def _joined(texts: Iterable[Mapping[str, str]], between: str = ", ") -> Text:
    every = list(texts)
    return {lang: between.join(text[lang] for text in every) for lang in LANGUAGES}


def _runs(answers: Sequence[str]) -> list[list[str]]:
    """Sizes of a batch, in neighbours."""
    order = list(QUESTIONS["batch"].answers)
    runs: list[list[str]] = []
    for one in sorted(answers, key=order.index):
        if runs and order.index(one) == order.index(runs[-1][-1]) + 1:
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _range(run: Sequence[str]) -> Text:
    order = list(SMALLEST)
    low, last = SMALLEST[run[0]], order.index(run[-1])
    if last == len(order) - 1:
        return both("{low} or more", low=low)
    high = SMALLEST[order[last + 1]] - 1
    return dict.fromkeys(LANGUAGES, str(low)) if high == low else both("{low} to {high}", low=low, high=high)
