"""What all sentences are built from: lists that fit, ranges, and a sentence's mark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from normlab.formatting import ratio, share
from normlab.language import LANGUAGES, both

from . import limits
from .readings import Arm

__all__ = [
    "GOOD",
    "NEUTRAL",
    "POOR",
    "Text",
    "Verdict",
    "listed",
    "names",
    "ranged",
    "ratios",
    "say",
    "signals",
]

Text = dict[str, str]
GOOD, NEUTRAL, POOR = "+", "=", "!"
"""A finding in favour, one that only informs, and one that warns."""


class Verdict(NamedTuple):
    """A sentence in every language, and its mark."""

    mark: str
    text: Text


def say(mark: str, message: str, /, **values: object) -> Verdict:
    """A verdict from a message that `N_` marked; a field called `items` is a list, cut so that the sentence fits."""
    items = values.pop("items", None)
    if isinstance(items, list):
        frame = both(message, **values, items="")
        values["items"] = listed(items, limits.MOST_LETTERS - max(map(len, frame.values())))
    elif items is not None:
        values["items"] = items
    return Verdict(mark, both(message, **values))


def listed(items: Iterable[Text | str], room: int) -> Text:
    """The items with commas between, as many as fit into `room` letters in every language, but at least one."""
    texts = [item if isinstance(item, dict) else dict.fromkeys(LANGUAGES, item) for item in items]

    def first(count: int) -> Text:
        shown = {lang: ", ".join(text[lang] for text in texts[:count]) for lang in LANGUAGES}
        left = len(texts) - count
        return both("{items} and {count} more", items=shown, count=left) if left else shown

    counts = range(len(texts), 1, -1)
    fitting = (text for count in counts if max(map(len, (text := first(count)).values())) <= room)
    return next(fitting, None) or first(1)


def ranged(values: Sequence[float], written: Callable[[float], str]) -> Text:
    """The smallest and the largest of `values`, or the one where they are written alike."""
    low, high = written(min(values)), written(max(values))
    return dict.fromkeys(LANGUAGES, low) if low == high else both("{low} to {high}", low=low, high=high)


def names(arms: Sequence[Arm], room: int) -> Text:
    """The arms' labels."""
    return listed([arm.label for arm in arms], room)


def ratios(arms: Iterable[Arm]) -> list[Text | str]:
    """Each arm with its first over last."""
    return [f"{arm.label} {ratio(arm.ratio.mean)}" for arm in arms if arm.ratio]


def signals(arms: Iterable[Arm]) -> list[Text | str]:
    """Each arm with the signal share of its last layer."""
    return [f"{arm.label} {share(arm.signal)}" for arm in arms]
