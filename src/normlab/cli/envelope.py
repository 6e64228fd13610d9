"""The document of a verb that measures nothing: what was asked, with which versions, on which machine, how long."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from .streams import print_json

__all__ = ["Envelope"]


class Envelope:
    """Started when a verb begins; `print` ends it."""

    def __init__(self, verb: str, command: str, settings: Mapping[str, Any]) -> None:
        self.verb, self.command, self.settings = verb, command, dict(settings)
        self._began = time.perf_counter()

    def print(self, **content: Any) -> None:
        """Print the one document, `content` behind what all documents share."""
        from normlab.result import machine, versions

        document = {
            "schema": f"normlab.{self.verb}/1",
            "command": self.command,
            "versions": versions(),
            "machine": machine(),
            "settings": self.settings,
            "wall_s": round(time.perf_counter() - self._began, 6),
            **content,
        }
        print_json(json.dumps(document, ensure_ascii=False, allow_nan=False))
