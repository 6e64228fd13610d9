"""Draw the pictures of the two READMEs again: python docs/pictures.py

They are the figure `columns` of the first command that a reader runs, `normlab compare none bn ln`; a test compares
the files with what is drawn now.
"""

from __future__ import annotations

from pathlib import Path

import normlab as nl
from normlab.report import figures

FOLDER = Path(__file__).resolve().parent
FILES = {"en": "same-moments.svg", "ko": "same-moments.ko.svg"}


def pictures() -> dict[str, str]:
    """The text of each file, by its name."""
    document = nl.compare(["none", "bn", "ln"]).to_dict()
    return {name: figures(document, lang)["columns"] + "\n" for lang, name in FILES.items()}


if __name__ == "__main__":
    for name, text in pictures().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"docs/{name}")
