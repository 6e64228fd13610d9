"""`normlab guide`: the map of the techniques, one card, or one small batch step by step."""

from __future__ import annotations

import click

from normlab.errors import UsageError
from normlab.language import N_, translate

from .envelope import Envelope
from .screen import show_markdown
from .speaking import flag, language, verb


@verb(
    "guide",
    usage="[NAME] [--steps] [--markdown]",
    help=N_(
        "Explain the techniques. Without NAME: what normalization is for, where each technique acts, and the list. "
        "With NAME (bn, layer_norm ...): its card."
    ),
    examples=["normlab guide", "normlab guide bn", "normlab guide bn --steps", "normlab guide ln --markdown > ln.md"],
)
@click.argument("name", required=False)
@flag("--steps", is_flag=True, help=N_("walk a small batch through every intermediate value, code beside formula"))
@flag("--markdown", is_flag=True, help=N_("print Markdown as it is, for a blog"))
def guide(name: str | None, steps: bool, markdown: bool, as_json: bool, lang: str, debug: bool) -> None:
    """The verb; the text comes from the cards, what is computed in it from the definitions."""
    say = language()
    if steps and name is None:
        hint = "normlab guide bn --steps"
        raise UsageError(translate("--steps needs the NAME of a technique.", say), hint=hint)
    words = ["normlab", "guide", *([name] if name else []), *(["--steps"] if steps else [])]
    envelope = Envelope("guide", " ".join(words), {"name": name, "steps": steps, "lang": say})
    text = _text(name, steps, say)
    if as_json:
        envelope.print(markdown=text)
    elif markdown:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        show_markdown(text)


def _text(name: str | None, steps: bool, lang: str) -> str:
    from normlab import cards

    if name is None:
        return cards.overview(lang)
    if steps:
        from normlab import walkthrough

        return walkthrough.steps(name, lang)
    return cards.card(name, lang).markdown()
