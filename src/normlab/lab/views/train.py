"""Train: up to four arms on the same batches, before one's eyes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

from ...data import load
from ...experiments.training.settings import DEFAULTS, Settings
from ...language import both
from ..fields import State, Text, address
from ..race_page import Drawer, stage, terms
from ..race_routes import race_routes
from ..race_settings import FIELDS, GRID, arguments, arms_of, settled
from ..racing import Races, Standing
from ..view import Asked, Computing, Shown, View

__all__ = ["VIEW", "Ready", "Train"]


@dataclass(frozen=True)
class Ready:
    """A race that can begin: what `normlab.train` is called with, and what draws it."""

    arguments: Mapping[str, Any]
    draw: Callable[[Standing], Mapping[str, str]]


class Train(View):
    """The race."""

    name, place, path, title = "train", 3, "/train", both("Train")
    template, script = "train.html", "train.js"
    fields = FIELDS

    def settle(self, state: State) -> tuple[State, list[Text]]:
        """Arms that are the same stand once; what would be too large becomes smaller."""
        return settled(state)

    def show(self, asked: Asked) -> Shown:
        """What is to be known of these settings, and the command that runs the same race; the race is told apart."""
        settings, arms = Settings.read(arguments(asked.state)), arms_of(asked.state)
        command = settings.command(arms)
        html = terms(asked.lang, command, fair=asked.state["lr"] == GRID)
        return Shown(html, command, python(arms, arguments(asked.state)))

    def prepared(self, asked: Asked) -> Ready:
        """Everything that a race needs."""
        return Ready({"methods": arms_of(asked.state), **arguments(asked.state)}, self._drawer(asked))

    def context(self, asked: Asked) -> dict[str, Any]:
        """Examples to begin with, as addresses, and the place where the race will be."""
        plain = {field.name: field.default for field in self.fields}
        examples = [(words, address(self.fields, {**plain, **changed})) for words, changed in _EXAMPLES]
        return {"examples": examples, "stage": stage(self._drawer(asked))}

    def routes(self, compute: Computing) -> list[BaseRoute]:
        """Those of the races, which end with the server."""
        races = Races()
        compute.at_close(races.close)
        return race_routes(self, races, compute)

    def _drawer(self, asked: Asked) -> Drawer:
        settings = Settings.read(arguments(asked.state))
        chance = 1 / len(load(asked.state["data"]).classes)
        return Drawer(settings.to_dict(arms_of(asked.state)), settings.points(), chance, asked.lang)


_EXAMPLES: tuple[tuple[Text, dict[str, Any]], ...] = (
    (both("the note's question"), {}),
    (both("four rows a step"), {"c": "gn", "batch": 4, "steps": 600}),
    (both("too large a rate"), {"lr": 1000.0, "seeds": 3}),
    (both("ReLU, 15 layers"), {"activation": "relu", "init": "he", "layers": 15, "seeds": 3}),
    (both("convolutions"), {"net": "conv", "layers": 3, "width": 16, "seeds": 2, "steps": 150}),
)


def python(arms: list[str], given: Mapping[str, Any]) -> str:
    """The lines that run the same race in Python."""
    usual = Settings.read({"net": given["net"]})
    named = [f"{n}={v!r}" for n, v in given.items() if v != getattr(usual, n, DEFAULTS[n]) and v is not None]
    return f"import normlab as nl\n\nrace = nl.train({', '.join([repr(arms), *named])})\nprint(race)"


VIEW = Train()
