"""Markdown of the cards to HTML: no raw HTML passes, and a link becomes its text with the address behind it.

A report makes no outside request and offers none: an address is there to be read, not to be followed by accident.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt

__all__ = ["to_html"]


def to_html(text: str) -> Markup:
    """Render Markdown; headings, if any, come out as paragraphs in bold, because a card sets its own."""
    return Markup(_renderer().render(text))  # html is switched off: everything in `text` arrives escaped


@lru_cache(maxsize=1)
def _renderer() -> MarkdownIt:
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image"])
    made.add_render_rule("link_open", _nothing)
    made.add_render_rule("link_close", _address)
    made.add_render_rule("heading_open", _paragraph)
    made.add_render_rule("heading_close", _paragraph_end)
    made.add_render_rule("fence", _fence)
    return made


def _nothing(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Any) -> str:
    return ""


def _address(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Any) -> str:
    depth = 0
    for token in reversed(tokens[:at]):
        depth += (token.type == "link_close") - (token.type == "link_open")
        if depth < 0:
            return f" ({escape(token.attrs.get('href', ''))})"
    return ""


def _paragraph(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Any) -> str:
    return "<p><b>"


def _paragraph_end(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Any) -> str:
    return "</b></p>\n"


def _fence(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Any) -> str:
    kind = escape(tokens[at].info.strip() or "text")
    return f'<pre class="{kind}" tabindex="0"><code>{escape(tokens[at].content)}</code></pre>\n'
