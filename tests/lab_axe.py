"""axe-core on a page of the lab, in both languages and both themes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["faults"]


def faults(page: Any) -> Iterator[str]:
    """What axe calls serious or critical, once for each language and theme."""
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    for lang in ("en", "ko"):
        page.click(f"label[for=lang-{lang}]")
        for theme in ("light", "dark"):
            page.click(f"label[for=theme-{theme}]")
            for found in axe.run(page).response["violations"]:
                if found["impact"] in ("serious", "critical"):
                    where = [node["target"] for node in found["nodes"]][:3]
                    yield f"{lang} {theme}: {found['id']}: {found['help']}: {where}"
