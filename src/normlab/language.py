r"""English and Korean from one source: a message is an English format string, the catalogue holds its Korean.

At run time this is `gettext` of the standard library and nothing else. Babel is a development tool that
collects the messages and compiles the catalogue; `make messages` runs it, from the root of a checkout:

    python -m babel.messages.frontend extract --no-location --sort-output -k translate -k both \
        -o normlab.pot src/normlab
    python -m babel.messages.frontend update --no-fuzzy-matching --ignore-pot-creation-date --no-wrap \
        -D normlab -i normlab.pot -d src/normlab/locale
    python -m babel.messages.frontend compile -D normlab -d src/normlab/locale

Rules for a message. It is a literal (not an f-string), so that it can be collected; where it is passed
through a variable, `N_` marks it. What varies is a named field. In Korean no particle follows a field,
because the particle would depend on how the value is read aloud. A test over the whole source tree holds all
of this.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["LANGUAGES", "N_", "both", "choose", "translate"]

LANGUAGES = ("en", "ko")
"""Every language of the catalogue, the language of the messages themselves first."""


def N_(message: str) -> str:  # the name that gettext's tools look for
    """Mark a message for collection without translating it yet."""
    return message


def translate(message: str, /, lang: str = "auto", **values: Any) -> str:
    """Say a message in one language, with its fields filled in.

    Args:
        message: an English format string with named fields, as it stands in the catalogue.
        lang: "en", "ko", or "auto" for the language of the user's locale.
        **values: the fields. A mapping with the keys "en" and "ko", as `both` returns it, fills a field with the
            text in the language that is being written.

    Returns:
        The text; in English where the catalogue lacks the message.

    Raises:
        UsageError: `lang` is none of the three.

    Example:
        >>> translate("In brackets the {level} interval over {n} seeds.", "ko", level="95 %", n=5)
        '괄호 안은 시드 5개의 95 % 구간이다.'
    """
    lang = choose(lang)
    # gettext answers an empty message with the catalogue's header.
    text = message if lang == LANGUAGES[0] or not message else _catalogue(lang)(message)
    return text.format(**{name: _in_language(value, lang) for name, value in values.items()})


def both(message: str, /, **values: Any) -> dict[str, str]:
    """Say a message in every language.

    Args:
        message: an English format string with named fields.
        **values: the fields, as `translate` takes them.

    Returns:
        The text by language: {"en": ..., "ko": ...}.
    """
    return {lang: translate(message, lang, **values) for lang in LANGUAGES}


def choose(lang: str = "auto") -> str:
    """Turn "auto" into the language of the user's locale, and check anything else.

    The first of LC_ALL, LC_MESSAGES and LANG that is set decides, as POSIX has it: Korean where its
    language is "ko", else English.

    Args:
        lang: "en", "ko" or "auto".

    Returns:
        "en" or "ko".

    Raises:
        UsageError: `lang` is none of the three.
    """
    if lang in LANGUAGES:
        return lang
    if lang != "auto":
        from normlab.errors import UsageError

        raise UsageError(f"lang: required one of en, ko, auto, got {lang!r}.")
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    named = locale.lower().replace("-", "_").partition("_")[0].partition(".")[0]
    return "ko" if named in ("ko", "kor", "korean") else "en"


def _in_language(value: Any, lang: str) -> Any:
    return value[lang] if isinstance(value, Mapping) and lang in value else value


@functools.cache
def _catalogue(lang: str) -> Callable[[str], str]:
    import gettext  # here, because a run in English never needs it

    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "locale")
    return gettext.translation("normlab", folder, languages=[lang], fallback=True).gettext
