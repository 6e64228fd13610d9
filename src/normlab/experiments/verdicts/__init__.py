"""Sentences computed from a comparison's numbers, favourable or not, in both languages.

`verdicts(document)` is a pure function of the document of `normlab compare --json`: no arrays, no registry,
no method by name. `limits.py` holds the thresholds, `readings.py` decides by them, and the other files say
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import limits
from .gradient import exploding, law, no_ratio, vanishing, worse
from .leading import lead
from .pairs import deceptive, equal, twins
from .readings import read
from .signal import constant, hidden, kept, not_finite, saturated
from .single import one_layer
from .wording import Verdict

__all__ = ["marked", "verdicts"]

# In order of importance; what does not fit into MOST_SENTENCES is left out from the end.
MANY_LAYERS = (
    lead, not_finite, no_ratio, constant, vanishing, exploding, hidden, deceptive, law, saturated, equal, twins,
    kept, worse,
)  # fmt: skip
ONE_LAYER = (one_layer, not_finite, constant, hidden, equal)


def verdicts(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Say what a comparison shows, most important first.

    Args:
        document: the mapping that `normlab compare --json` prints; measured numbers may be numbers or
        intervals
            {"mean", "low", "high"}, and a difference between intervals is claimed only where they do not
            overlap.

    Returns:
        At most eight sentences {"en": ..., "ko": ...}; empty where no arm acted.
    """
    return [dict(verdict.text) for verdict in marked(document)]


def marked(document: Mapping[str, Any]) -> list[Verdict]:
    """The same sentences as pairs (mark, text): "+" in favour, "!" a warning, "=" only informs."""
    readings = read(document)
    if not readings.arms:
        return []
    parts = MANY_LAYERS if readings.depth > 1 else ONE_LAYER
    found = [verdict for part in parts for verdict in part(readings)]
    return found[: limits.MOST_SENTENCES]
