"""Reading the cards as a user does: their bullets, their evidence, their code."""

from __future__ import annotations

import re

import pytest

from normlab import cards, registry

METHODS = registry.list_methods()
BULLETS = ("pros", "cons", "pitfalls")
MEASURED, SOURCE = ("measured:", "측정:"), ("source:", "출처:")
ENDS_IN_COMMAND = re.compile(r"`normlab (compare|guide|report|info)\b[^`]*`\.?$")
COMMAND = re.compile(r"`(normlab(?: [^`]+)?)`", re.DOTALL)
HANGUL = re.compile(r"[가-힣]")
EVERY_CARD = [(lang, card) for lang in cards.LANGUAGES for card in cards.cards(lang)]
IDS = [f"{lang}-{card.name}" for lang, card in EVERY_CARD]
every_card = pytest.mark.parametrize(("lang", "card"), EVERY_CARD, ids=IDS)


def outside_fences(markdown: str) -> str:
    return re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)


def bullets(markdown: str) -> list[str]:
    """The items of a list, each on one line."""
    items = re.split(r"^- ", outside_fences(markdown), flags=re.MULTILINE)
    return [" ".join(item.split()) for item in items[1:]]


def last_parenthesis(item: str) -> str:
    """What stands in the parentheses that an item ends with; empty where it ends otherwise."""
    item = item.rstrip(".")
    if not item.endswith(")"):
        return ""
    depth = 0
    for at in range(len(item) - 1, -1, -1):
        depth += (item[at] == ")") - (item[at] == "(")
        if depth == 0:
            return item[at + 1 : -1]
    return ""


def is_proven(item: str) -> bool:
    """Whether an item ends in evidence: a command, something measured (with a number in the item), or a source."""
    evidence = last_parenthesis(item)
    measured = evidence.startswith(MEASURED) and re.search(r"\d", item) is not None
    return bool(ENDS_IN_COMMAND.search(item)) or measured or evidence.startswith(SOURCE)


def unproven(markdown: str) -> list[str]:
    return [item for item in bullets(markdown) if not is_proven(item)]


def code_of(card: cards.Card) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", card.sections["code"], flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1, f"{card.lang} {card.name}: one python block, got {len(blocks)}"
    return blocks[0]


def everything(lang: str) -> dict[str, str]:
    """All text of a language by name: the cards and the overview."""
    return {c.name: c.markdown() for c in cards.cards(lang)} | {"overview": cards.overview(lang)}
