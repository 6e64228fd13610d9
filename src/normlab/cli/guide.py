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
    usage="[NAME] [--steps] [--code NAME] [--markdown]",
    help=N_(
        "Explain the techniques. Without NAME: what normalization is for, where each technique acts, and the list. "
        "With NAME (bn, layer_norm ...): its card."
    ),
    examples=[
        "normlab guide", "normlab guide bn", "normlab guide bn --steps", "normlab guide bn --code torch",
        "normlab guide ln --markdown > ln.md",
    ],
)  # fmt: skip
@click.argument("name", required=False)
@flag("--steps", is_flag=True, help=N_("walk a small batch through every intermediate value, code beside formula"))
@flag("--code", metavar="NAME", help=N_("the card's code for numpy (from scratch, the default), torch, jax or mlx"))
@flag("--markdown", is_flag=True, help=N_("print Markdown as it is, for a blog"))
def guide(
    name: str | None, steps: bool, code: str | None, markdown: bool, as_json: bool, lang: str, debug: bool
) -> None:  # fmt: skip
    """The verb; the text comes from the cards, what is computed in it from the definitions."""
    say = language()
    _check(name, steps, code, say)
    flags = [*(["--steps"] if steps else []), *(["--code", code] if code else [])]
    words = ["normlab", "guide", *([name] if name else []), *flags]
    envelope = Envelope("guide", " ".join(words), {"name": name, "steps": steps, "code": code, "lang": say})
    text = _text(name, steps, code, say)
    if as_json:
        envelope.print(markdown=text, code=_tabs(name, say))
    elif markdown:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        show_markdown(text)


def _check(name: str | None, steps: bool, code: str | None, lang: str) -> None:
    """Refuse what cannot be shown. Raises UsageError."""
    if steps and code is not None:
        raise UsageError(translate("--steps and --code cannot be given together.", lang))
    if steps and name is None:
        raise UsageError(
            translate("--steps needs the NAME of a technique.", lang), hint="normlab guide bn --steps"
        )  # fmt: skip
    if code is not None and name is None:
        raise UsageError(
            translate("--code needs the NAME of a technique.", lang), hint="normlab guide bn --code torch"
        )  # fmt: skip


def _text(name: str | None, steps: bool, code: str | None, lang: str) -> str:
    from normlab import cards

    if name is None:
        return cards.overview(lang)
    if steps:
        from normlab import walkthrough

        return walkthrough.steps(name, lang)
    return cards.card(name, lang).markdown(code or "numpy")


def _tabs(name: str | None, lang: str) -> dict[str, str]:
    """The code of a card in every tab, by the tab's name."""
    from normlab import cards, tabs

    return {} if name is None else {t: cards.card(name, lang).code(t) for t in (tabs.SCRATCH, *tabs.FRAMEWORKS)}
