"""One rule of the adviser: when it holds, for or against which method it speaks, how much, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["AGAINST", "EXCLUDES", "FOR", "STRONGLY_AGAINST", "STRONGLY_FOR", "WEIGHTS", "Rule"]

# Points add up. Excluding outweighs everything that can speak for a method, which a test holds.
STRONGLY_FOR, FOR, AGAINST, STRONGLY_AGAINST, EXCLUDES = 3, 1, -1, -3, -9
WEIGHTS = MappingProxyType({
    STRONGLY_FOR: "strongly for", FOR: "for", AGAINST: "against", STRONGLY_AGAINST: "strongly against",
    EXCLUDES: "excludes",
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule: data, so that coverage and contradiction can be tested over all answers.

    `when` maps a question to the answers under which the rule holds; a question that it does not name does not matter.
    `source` is a paper with its section or table, `claim` the letter of `normlab claims` that measures it, `shows` a
    command that does; one of them is given. Where this rule holds, those in `over` are silent.
    """

    id: str
    method: str
    weight: int
    text: str
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: str = ""
    claim: str = ""
    shows: str = ""
    over: tuple[str, ...] = ()

    def holds(self, world: Mapping[str, str]) -> bool:
        """Whether it holds under a full set of answers."""
        return all(world[question] in answers for question, answers in self.when.items())
