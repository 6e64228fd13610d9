"""What is said beside a sharing board: what a set shares, who takes part, and what evaluation uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..boards import demonstration, lines
from ..errors import NormlabError
from ..language import N_, both
from ..pattern import parse
from .drawing import Text

if TYPE_CHECKING:
    from ..definition import Definition
    from ..pattern import Pattern, Plan

__all__ = ["LEARNT", "facts_of", "statistic_names", "who_shares"]

LEARNT = N_(
    "The statistics are learnt from the training data once; later rows, even a single one, are scaled with what was "
    "learnt."
)
DENSE_CHANNELS = 4  # of the dense board


def statistic_names(centre: bool, spread: str | None) -> tuple[Text, Text]:
    """What a set shares, in the singular and in the plural."""
    if centre and spread == "std":
        return both("pair (mean, variance)"), both("pairs (mean, variance)")
    if centre and spread is None:
        return both("mean"), both("means")
    if not centre and spread in ("rms", "std"):
        return both("root mean square"), both("root mean squares")
    if not centre and spread == "l2":
        return both("length"), both("lengths")
    return both("statistic"), both("statistics")


_EACH = {
    "n": N_("sample"), "c": N_("channel"), "h": N_("place"), "w": N_("place"), "t": N_("token"), "...": N_("place"),
    "o": N_("output"), "i": N_("input"),
}  # fmt: skip
_ALL = {
    "n": N_("all samples"), "c": N_("all channels"), "h": N_("all places"), "w": N_("all places"),
    "t": N_("all tokens"), "...": N_("all places"), "o": N_("all outputs"), "i": N_("all inputs"),
}  # fmt: skip


def who_shares(line: str, statistic: Text, axes: Sequence[str]) -> Text | None:
    """The line in a sentence: a statistic for each of what is kept, over what is pooled; None for other names."""
    kept: list[Text] = []
    pooled: list[Text] = []
    terms, tokens = parse(line).terms, "t" in axes
    if len(axes) < len(terms):  # no axis is left for `...`
        terms = tuple(term for term in terms if term.name != "...")
    for term in terms:
        names = [f.name for f in term.factors]
        role = next((name for name in names if name in _EACH), None)
        if role is None:
            return None
        role = "t" if tokens and role == "..." else role
        if len(names) > 1:
            inside = next(f for f in term.factors if f.name == role or (role == "t" and f.name == "..."))
            if not inside.pooled or all(f.pooled for f in term.factors):
                return None
            kept.append(both("group of channels") if role == "c" else both("slice of the batch"))
            pooled.append(both("its channels") if role == "c" else both("its samples"))
        elif term.factors[0].pooled:
            pooled.append(both(_ALL[role]))
        else:
            kept.append(both(_EACH[role]))
    return _sentence(_joined(kept), _joined(pooled), statistic)


def _joined(words: list[Text]) -> Text | None:
    """Words in a row, each once."""
    each = list({word["en"]: word for word in words}.values())
    if not each:
        return None
    *first, last = each
    if not first:
        return last
    return both("{first} and {last}", first={k: ", ".join(w[k] for w in first) for k in last}, last=last)


def _sentence(kept: Text | None, pooled: Text | None, statistic: Text) -> Text:
    if pooled is None:
        return both("Nothing is shared: every element stands alone.")
    if kept is None:
        return both("One {statistic} for everything, over {pooled}.", statistic=statistic, pooled=pooled)
    return both("One {statistic} for each {kept}, over {pooled}.", statistic=statistic, kept=kept, pooled=pooled)


def facts_of(definition: Definition) -> list[Text]:
    """Who takes part: other samples or not, how many are needed, and what evaluation uses."""
    if definition.role == "input":
        return [both(LEARNT)]
    facts: list[Text] = []
    pooled = {name for pattern in lines(definition).values() for name in pattern.pooled}
    one = next(
        (p for pattern in lines(definition).values() if (p := _fit_samples(definition, pattern, 1)) is not None), None
    )
    if one is None:
        pass
    elif definition.centre and _refuses_dense(definition):
        facts.append(both("Dense data cannot be normalized so: each set would hold one element."))
    elif definition.centre and one.count < 2:
        facts.append(both("Needs two samples or more: yes, with dense data."))
    else:
        facts.append(both("Needs two samples or more: no."))
    if "n" not in pooled:
        facts.append(both("No other sample takes part; evaluation is the same as training."))
    elif definition.has_running:
        facts.append(both("In evaluation these numbers come from the past: running statistics."))
    else:
        facts.append(both("Other samples take part, in training and in evaluation."))
    return facts


def _refuses_dense(definition: Definition) -> bool:
    found = [_fit_samples(definition, pattern, 2) for pattern in lines(definition).values()]
    return all(plan is not None and plan.count < 2 for plan in found)


def _fit_samples(definition: Definition, pattern: Pattern, samples: int) -> Plan | None:
    """The pattern on dense data with so many samples."""
    channels = DENSE_CHANNELS
    sizes: Mapping[str, int] = definition.factor_sizes(demonstration(definition), channels)
    try:
        return pattern.arrange("n c").plan((samples, channels), {k: v for k, v in sizes.items() if k in pattern.names})
    except NormlabError:
        return None
