"""The page: chapters in a template, a style sheet and a script inside, sealed against every outside request."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..language import both, choose
from .advice_chapter import Advised, advised
from .arms import acting, cleaned
from .board_chapter import BOARD, Shared, shared
from .card_chapter import GUIDE, Carded, carded
from .chapter import Chapter, chapter
from .check_chapter import Graded, graded
from .claims_table import Claimed, claimed
from .parts import speaker
from .race import Raced, raced
from .race_arms import RACE, trained
from .shelf import Seen
from .speed import Speed, speed
from .sweep import Swept, swept
from .sweep_points import SWEEP
from .words import words

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["environment", "render"]

# A page is sent by mail and opened on a phone. What counts as one ordinary table may have a quarter of the whole.
ORDINARY_BYTES = 300_000
LARGEST_BYTES = 1_200_000
ORDINARY_ARMS, ORDINARY_LAYERS, ORDINARY_TRIALS = 4, 5, 100


def render(documents: Sequence[Mapping[str, Any]], *, lang: str = "en", limit: bool = True) -> str:
    """The page; see `normlab.report.render`."""
    if not documents:
        raise UsageError("report: at least one document is required, got none.", hint="Pass [comparison.to_dict()].")
    lang = choose(lang)
    seen = Seen()
    chapters = [_chapter(document, k, lang, seen) for k, document in enumerate(documents, 1)]
    style, script = _asset("style.css"), _asset("script.js")
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = environment(lang).get_template("page.html").render(
        chapters=chapters, lang=lang, style=style, script=script, policy=policy, w=words(),
        title=chapters[0].headline if len(chapters) == 1 else both("normlab report, {n} runs", n=len(chapters)),
    )  # fmt: skip
    if limit:
        _check_size(page, documents)
    return page


def _chapter(
    document: Mapping[str, Any], number: int, lang: str, seen: Seen
) -> Chapter | Speed | Advised | Claimed | Graded | Raced | Swept | Shared | Carded:
    if document.get("schema") in (BOARD, GUIDE):
        return carded(document, number, lang, seen) if document["schema"] == GUIDE else shared(document, number, lang)
    if document.get("schema") == "normlab.bench/1":
        return speed(document, number, lang)
    if document.get("schema") == "normlab.advise/1":
        return advised(document, number)
    if document.get("schema") == "normlab.claims/1":
        return claimed(document, number)
    if document.get("schema") == "normlab.check/1":
        return graded(document, number)
    if document.get("schema") == RACE:
        return raced(cleaned(document), number, lang, seen)
    if document.get("schema") == SWEEP:
        return swept(cleaned(document), number, lang)
    return chapter(cleaned(document), number, lang, seen)


@lru_cache(maxsize=2)
def environment(lang: str) -> Environment:
    """The templates' environment: everything is escaped unless it was built as markup here."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("normlab.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters["say"] = speaker(lang)
    return made


def _check_size(page: str, documents: Sequence[Mapping[str, Any]]) -> None:
    size = len(page.encode(errors="backslashreplace"))
    allowed = min(LARGEST_BYTES, sum(_allowance(document) for document in documents))
    if size > allowed:
        raise UsageError(
            f"report: at most {allowed // 1000:,} kB are allowed for this page, it would have {size / 1000:,.0f} kB.",
            hint="Leave out arms, layers or runs, or ask for it: limit=False, --large.",
        )


def _allowance(document: Mapping[str, Any]) -> int:
    if document.get("schema") == SWEEP and len(document["trials"]) <= ORDINARY_TRIALS:
        return ORDINARY_BYTES
    if "arms" not in document:
        return LARGEST_BYTES
    race = document.get("schema") == RACE
    arms = trained(document) if race else acting(document)
    deepest = document["settings"]["layers"] if race else max((len(arm["layers"]) for arm in arms), default=0)
    ordinary = len(arms) <= ORDINARY_ARMS and deepest <= ORDINARY_LAYERS and len(document["seeds"]) == 1
    return ORDINARY_BYTES if ordinary else LARGEST_BYTES


def _asset(name: str) -> str:
    return files("normlab.report").joinpath("templates", name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
