"""What every claim came to in the run that the documentation shows, so that a list can say it without running anything.

`make claims` writes the file; a claim that is new has no entry.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from . import claims
from .claim import NOT_RUN

__all__ = ["NAME", "listed", "recorded", "shortened"]

NAME = "recorded.json"


@functools.cache
def recorded() -> dict[str, dict[str, Any]]:
    """By letter the verdict and the seconds."""
    file = files(__package__).joinpath(NAME)
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def shortened(document: Mapping[str, Any]) -> str:
    """The file's text for a run of all claims."""
    found = {e["letter"]: {"verdict": e["verdict"], "seconds": e["seconds"]} for e in document["claims"]}
    return json.dumps(found, indent=1) + "\n"


def listed() -> list[dict[str, Any]]:
    """The claims as entries of a document, none of them run; `recorded` is the verdict that the documentation shows."""
    known = recorded()
    return [
        {
            "letter": one.letter, "title": one.title, "source": one.source, "setting": one.setting, "seeds": one.seeds,
            "needs": list(one.needs), "conditions": [{"text": text} for text in one.conditions],
            "verdict": NOT_RUN, "recorded": known.get(one.letter, {}).get("verdict"), "seconds": one.seconds,
        }
        for one in claims()
    ]  # fmt: skip
