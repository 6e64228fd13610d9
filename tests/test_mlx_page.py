"""The page on MLX: its code runs in both languages, and both say the same numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

PAGES = {lang: Path(__file__).resolve().parents[1] / "docs" / name for lang, name in (("en", "mlx.md"), ("ko", "mlx.ko.md"))}


def text(lang: str) -> str:
    return PAGES[lang].read_text(encoding="utf-8")


def code(lang: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text(lang), flags=re.M | re.S)


@pytest.mark.parametrize("lang", PAGES)
def test_the_code_runs_and_the_network_learns(lang: str) -> None:
    (program,) = code(lang)
    named: dict[str, object] = {}
    exec(compile(program, PAGES[lang].name, "exec"), named)
    layer = named["model"].layers[1]  # type: ignore[attr-defined]
    assert layer["num_batches_tracked"] == 20 and np.isfinite(named["loss"].item())  # type: ignore[attr-defined]


def test_both_languages_show_the_same_code_and_numbers() -> None:
    without_comments = [re.sub(r"#.*", "", code(lang)[0]) for lang in PAGES]
    assert without_comments[0] == without_comments[1]
    figures = [[re.findall(r"(?<=\| )[\d.,]+(?= \|)", line) for line in text(lang).splitlines() if line.startswith("|")] for lang in PAGES]
    assert figures[0] == figures[1] and sum(map(len, figures[0])) > 40


@pytest.mark.parametrize("lang", PAGES)
def test_links_lead_somewhere(lang: str) -> None:
    links = re.findall(r"\]\(([^)]+)\)", text(lang))
    assert links and all((PAGES[lang].parent / link).is_file() for link in links)
