"""Comparisons over seeds that people can trust: intervals, corrected contrasts, and a ranking that may be refused.

Pure functions of the numbers, without resampling: the same metrics give the same bytes, in whatever order the seeds
come. How often an interval holds the truth and how often equal arms are called different is measured by
`tests/measure_statistics.py` and stands in docs/statistics.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contrast import Contrast, contrasts
    from .groups import Ranking, ranking
    from .means import Interval, interval
    from .sentences import Metric, say_contrast, say_interval, say_ranking
    from .student import student_p, student_t
    from .sufficiency import Seeds, least_p, least_seeds, seeds_needed

__all__ = [
    "Contrast",
    "Interval",
    "Metric",
    "Ranking",
    "Seeds",
    "contrasts",
    "interval",
    "least_p",
    "least_seeds",
    "ranking",
    "say_contrast",
    "say_interval",
    "say_ranking",
    "seeds_needed",
    "student_p",
    "student_t",
]

# Fetched on first use: `compare` with several seeds wants Student's t and nothing else.
_PLACES = {
    "contrast": ("Contrast", "contrasts"),
    "groups": ("Ranking", "ranking"),
    "means": ("Interval", "interval"),
    "sentences": ("Metric", "say_contrast", "say_interval", "say_ranking"),
    "student": ("student_p", "student_t"),
    "sufficiency": ("Seeds", "least_p", "least_seeds", "seeds_needed"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
