"""The report: one HTML file, a notebook's fragment, and the drawings alone, all made of one drawing kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["figures", "fragment", "render", "text"]

BENCH = "normlab.bench/1"
ADVICE = "normlab.advise/1"
RACE = "normlab.train/1"
SWEEP = "normlab.sweep/1"
CLAIMS = "normlab.claims/1"
CHECK = "normlab.check/1"


def render(documents: Sequence[Mapping[str, Any]], *, lang: str = "en", limit: bool = True) -> str:
    """One self-contained HTML page, a chapter for each document.

    The page opens from disk without network and without script; both languages are inside and are switched without
    reloading.

    Args:
        documents: at least one, as a result's `to_dict()` gives them. A sweep's may name the `metric` that is shown.
        lang: the language shown first, "en" or "ko", or "auto" for the locale's.
        limit: refuse a page that is too large to be read and sent: 300 kB for one seed, up to four arms and
            five layers, 1.2 MB otherwise and for several runs together.

    Returns:
        The page's text, to be written as UTF-8.

    Raises:
        UsageError: no document, or a page above the limit; the message names the size.
    """
    from .page import render as write

    return write(documents, lang=lang, limit=limit)


def fragment(document: Mapping[str, Any], lang: str = "en") -> str:
    """Verdict, ladder and table as HTML without script and without styles of its own: what a notebook shows."""
    from .advice_fragment import fragment as write_advice
    from .check_chapter import fragment as write_check
    from .claims_table import fragment as write_claims
    from .notebook import fragment as write
    from .race_fragment import fragment as write_race
    from .speed_fragment import fragment as write_speed
    from .sweep_fragment import fragment as write_sweep

    by_schema = {
        BENCH: write_speed, ADVICE: write_advice, RACE: write_race, SWEEP: write_sweep, CLAIMS: write_claims,
        CHECK: write_check,
    }  # fmt: skip
    return by_schema.get(document.get("schema", ""), write)(document, lang)


def text(document: Mapping[str, Any], lang: str = "auto", *, color: bool = False, width: int = 80) -> str:
    """The terminal's table of a document, whichever verb made it; at most `width` cells wide."""
    from .advice_text import text as write_advice
    from .check_text import text as write_check
    from .claims_text import text as write_claims
    from .race_text import text as write_race
    from .speed_table import table as write_speed
    from .sweep_table import table as write_sweep
    from .table import table as write

    by_schema = {
        BENCH: write_speed, ADVICE: write_advice, SWEEP: write_sweep, RACE: write_race, CLAIMS: write_claims,
        CHECK: write_check,
    }  # fmt: skip
    return by_schema.get(document.get("schema", ""), write)(document, lang, color=color, width=width)


def figures(document: Mapping[str, Any], lang: str = "en") -> dict[str, str]:
    """Every drawing of the report as the text of an SVG file, by name: ladder, fate, law, heat, board-batch_norm ...

    What a document does not have is left out: no law for one layer, no fate where no two arms look alike. A race has
    test-accuracy, train-loss, modes, learning-rates, layers-1 ... A sweep has its metric's, test-accuracy-1 ...
    """
    from .race_gallery import figures as draw_race
    from .single import figures as draw
    from .sweep import figures as draw_sweep

    by_schema = {RACE: draw_race, SWEEP: draw_sweep}
    return by_schema.get(document.get("schema", ""), draw)(document, lang)
