"""What a claim is made of, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from normlab.language import N_

__all__ = ["NOT_REPRODUCED", "PARTLY", "REPRODUCED", "VERDICTS", "Claim", "Finding", "verdict"]

Text = Mapping[str, str]
REPRODUCED, PARTLY, NOT_REPRODUCED = N_("reproduced"), N_("partly"), N_("not reproduced")
NOT_RUN = N_("not run")  # a package is missing
VERDICTS = (REPRODUCED, PARTLY, NOT_REPRODUCED, NOT_RUN)


@dataclass(frozen=True)
class Finding:
    """What came of one condition: whether it holds, the sentence with its figures, and the figures themselves."""

    holds: bool
    said: Text
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        letter: from a on; the file's name starts with it.
        title: the claim as a sentence, by language.
        source: the paper, with section or figure, or the study note's sentence.
        setting: what is run here in its place, by language.
        conditions: what must come out, each by language; written before anything runs.
        measure: from seeds to one finding a condition, in their order. Deterministic for the same seeds.
        seeds: how many; 0 where nothing is drawn.
        seconds: about how long it takes on one core.
        needs: extras of normlab that it cannot do without.
    """

    letter: str
    title: Text
    source: str
    setting: Text
    conditions: Sequence[Text]
    measure: Callable[[Sequence[int]], Sequence[Finding]]
    seeds: int
    seconds: int
    needs: tuple[str, ...] = ()


def verdict(findings: Sequence[Finding]) -> str:
    """Reproduced where every condition holds, partly where some do."""
    held = sum(finding.holds for finding in findings)
    return REPRODUCED if held == len(findings) else PARTLY if held else NOT_REPRODUCED
