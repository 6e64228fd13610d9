"""What a view of the lab is: its settings, and what it shows of a state. The server does everything else."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from markupsafe import Markup

from .fields import Field, State, Text

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.routing import BaseRoute

__all__ = ["Asked", "Computing", "Shown", "View", "render"]


@dataclass(frozen=True)
class Asked:
    """One question to a view.

    Args:
        state: a value for each of its fields, all valid.
        quick: somebody is dragging a slider: as much as can be shown at once.
        folded: nothing that folds is unfolded on the page, so a quick answer may leave the insides out.
        lang: the language that the page shows; the other one stands in the HTML as well, hidden.
        before: the state whose picture stays as a grey ghost behind the new one, or None.
    """

    state: State
    quick: bool = False
    lang: str = "en"
    before: State | None = None
    folded: bool = False


@dataclass(frozen=True)
class Shown:
    """The answer: `html` for the output region, and how to get the same elsewhere.

    Args:
        html: both languages inside (the filter `say`, `Drawing.svg`), no style attribute, no script.
        command, python: the line for a terminal and the lines for Python that give the same numbers; empty where there
            are none.
        document: what *Save HTML* makes a report of; None where nothing can be saved.
        said: the sentence that a screen reader is told when it is new.
    """

    html: Markup
    command: str = ""
    python: str = ""
    document: Mapping[str, Any] | None = None
    said: Text | None = None


class Computing(Protocol):
    """Runs a function beside the server, two at a time at most."""

    def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]:
        """What the function returns. Raises what it raises, and BusyError where too many are waiting."""

    def at_close(self, function: Callable[[], None]) -> None:
        """Have a function called when the server ends."""


class View:
    """One page of the lab. A file in `views/` defines a subclass and sets `VIEW` to an instance of it.

    `place` orders the views in the navigation; `paths` are further addresses whose parts in braces are fields
    (`/guide/{name}`); `script` is a file in `static/` that this page loads besides `lab.js`; `live` says whether the
    form asks by itself when a setting changes.
    """

    name: ClassVar[str]
    place: ClassVar[int]
    path: ClassVar[str]
    paths: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[Text]
    template: ClassVar[str] = "shell.html"
    script: ClassVar[str | None] = None
    live: ClassVar[bool] = True
    fields: ClassVar[Sequence[Field]] = ()

    def settle(self, state: State) -> tuple[State, list[Text]]:
        """The state with settings that exclude each other brought together, and a note for each one changed."""
        return state, []

    def show(self, asked: Asked) -> Shown:
        """What the page shows; runs in a thread of the pool. Raises NormlabError for what cannot be shown."""
        raise NotImplementedError

    def context(self, asked: Asked) -> dict[str, Any]:
        """What the view's own template needs besides the form."""
        return {}

    def routes(self, compute: Computing) -> list[BaseRoute]:
        """Routes of its own, such as a stream."""
        return []


@functools.cache
def environment(lang: str) -> Environment:
    """The templates of the lab, and those of the report: macros, and the filter `say`."""
    from jinja2 import ChoiceLoader, PackageLoader

    from ..report.page import environment as of_the_report
    from .fields import spelt

    places = [PackageLoader("normlab.lab"), PackageLoader("normlab.report")]
    made = of_the_report(lang).overlay(loader=ChoiceLoader(places))
    made.filters = {**made.filters, "spelt": spelt}
    return made


@functools.cache
def _words() -> dict[str, Text]:
    from ..report.words import words
    from .words import words as own

    return {**words(), **own()}


def render(template: str, lang: str, **context: Any) -> Markup:
    """A template of the lab or of the report, with `lang`, `w` (the fixed words) and the context given."""
    return Markup(environment(lang).get_template(template).render(lang=lang, w=_words(), **context))
