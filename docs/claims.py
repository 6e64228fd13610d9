"""Run every claim again and write the pages that show them: python docs/claims.py (under 20 minutes on two cores)

`claims.json` is the run; the pages, and the list that `normlab claims` prints, are made of it. A test compares them.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normlab.experiments.claims import recorded
from normlab.experiments.claims.running import run_claims
from normlab.report.claims_markdown import page

FOLDER = Path(__file__).resolve().parent
DOCUMENT = FOLDER / "claims.json"
PAGES = {"en": FOLDER / "claims.md", "ko": FOLDER / "claims.ko.md"}
LIST = Path(recorded.__file__).with_name(recorded.NAME)
EXTRAS = ("torch", "scikit-learn", "mlx", "numba")
HEADS = {
    "en": (
        "# What the literature claims, run here\n\n*English · [한국어](claims.ko.md)*\n\n"
        "What papers and the study note claim about normalizations, as experiments that take a minute or two each. The "
        "conditions were written before anything ran, from the source and not from what happens here, and a claim that "
        "is not reproduced stays in the table: a small network on small images is not the paper's, and the figures say "
        "how far they are apart. What is run was in some claims changed after a first look, conditions never: "
        "samples and rate in d, the loss in l, seeds in k, size in n, rate in g. "
        "`normlab claims d` runs one claim, `make claims` all of them, and writes this page."
    ),
    "ko": (
        "# 문헌의 주장을 여기서 돌려 보면\n\n*[English](claims.md) · 한국어*\n\n"
        "논문과 공부 노트가 정규화(normalization)에 대해 주장하는 것을 저마다 한두 분 걸리는 실험으로 옮겼다. "
        "조건은 아무것도 돌리기 전에, 여기서 나올 결과가 아니라 출처를 보고 적었다. "
        "재현되지 않은 주장도 표에 그대로 둔다. 작은 그림을 읽는 작은 신경망은 논문의 것이 아니며, "
        "얼마나 다른지는 숫자가 말한다. 몇몇 주장은 처음 돌려 본 뒤에 설정을 바꾸었다. "
        "d는 표본 수와 학습률, l은 손실, k는 시드 수, n은 크기, g는 학습률이다. 조건은 하나도 바꾸지 않았다. "
        "`normlab claims d`는 주장 하나를, `make claims`는 전부를 돌리고 이 문서를 다시 쓴다."
    ),
}


def pages(document: Mapping[str, Any]) -> dict[Path, str]:
    """The text of each file that is made of the run."""
    written = {path: f"{HEADS[lang]}\n\n{page(document, lang)}" for lang, path in PAGES.items()}
    return {**written, LIST: recorded.shortened(document)}


def _installed() -> dict[str, str]:
    """The versions of the packages that some claims need."""
    found = {}
    for name in EXTRAS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "-"
    return found


def _say(done: int, total: int, entry: Mapping[str, Any]) -> None:
    print(f"{done}/{total} {entry['letter']} {entry['verdict']}, {entry['seconds']:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    document = run_claims(on_claim=_say).to_dict()
    document["versions"] |= _installed()
    files = {DOCUMENT: json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n", **pages(document)}
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", newline="\n")
        print(path.relative_to(FOLDER.parent))
