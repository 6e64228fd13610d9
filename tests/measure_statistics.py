"""Measures what docs/statistics.md says (`python tests/measure_statistics.py --write`, some minutes): coverage, false alarms."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from normlab.statistics import contrasts, interval, student_p
from statistics_candidates import candidates
from statistics_shapes import EQUAL_ARMS as EQUAL
from statistics_shapes import NAMES, SEEDS, SHAPES, UNEQUAL, equal_arms, generator

PAGES = [Path(__file__).resolve().parents[1] / "docs" / name for name in ("statistics.md", "statistics.ko.md")]
REPEATS = 4000  # a rate of 5 % is measured to 0.34 points (one standard error), one of 50 % to 0.8
COVERAGE = ("here", "Student", "Johnson", "bootstrap-t", "BCa", "percentile", "width")
ALARMS = ("2 arms", "4 arms", "4 arms, t alone", "4 arms, no correction")


def coverage(name: str, seeds: int, repeats: int = REPEATS) -> dict[str, float]:
    """In how many of 100 samples each interval holds the true mean; `width` is ours over Student's, in the median."""
    draw, mean = SHAPES[name]
    rng = generator(name, seeds)
    x = draw(rng, (repeats, seeds))
    found = [interval(row) for row in x.tolist()]
    # Equal values give no interval, which is not one that holds the mean.
    ends = np.array([(f.low, f.high) if f.low is not None else (math.nan, math.nan) for f in found])
    tried = candidates(x, rng)
    student = tried["Student"][1] - tried["Student"][0]
    rates = {"here": _held(ends[:, 0], ends[:, 1], mean), **{k: _held(low, high, mean) for k, (low, high) in tried.items()}}
    return {**rates, "width": float(np.nanmedian((ends[:, 1] - ends[:, 0]) / np.maximum(student, 1e-9)))}


def _held(low: np.ndarray, high: np.ndarray, mean: float) -> float:
    return 100 * float(np.mean((low <= mean) & (mean <= high)))


def alarms(name: str, seeds: int, repeats: int = REPEATS) -> dict[str, float]:
    """In how many of 100 comparisons of equal arms any two are called different."""
    two = [_calls(case) for case in equal_arms(name, seeds, 2, repeats, 2)]
    cases = list(equal_arms(name, seeds, 4, repeats, 4))
    four = [_calls(case) for case in cases]
    plain = [_least_plain_p(case) for case in cases]
    rates = (np.mean(two), np.mean(four), np.mean([6 * p <= 0.05 for p in plain]), np.mean([p <= 0.05 for p in plain]))
    return dict(zip(ALARMS, (100 * float(rate) for rate in rates), strict=True))


def _calls(case: dict[str, list[float]]) -> bool:
    return any(c.verdict != "no difference shown" for c in contrasts(case))


def _least_plain_p(case: dict[str, list[float]]) -> float:
    """Of the pairs, by Student's t without any guard; runs without a number are left out pair by pair, as is often done."""
    least = 1.0
    for a in range(len(case)):
        for b in range(a):
            d = np.subtract(*(case[NAMES[k]] for k in (a, b)))
            d = d[np.isfinite(d)]
            if len(d) > 1 and d.any():
                t = abs(d.mean()) / max(d.std(ddof=1), 1e-12) * math.sqrt(len(d))
                least = min(least, student_p(t, len(d) - 1))
    return least


def together(seeds: int, repeats: int = REPEATS) -> float:
    """In how many of 100 comparisons of four unequal arms all six intervals hold the true differences."""
    rng = generator("together", seeds)
    arms = [SHAPES[name][0](rng, (repeats, seeds)).tolist() for name in UNEQUAL]
    true = dict(zip(NAMES, (SHAPES[name][1] for name in UNEQUAL), strict=True))
    held = 0
    for case in zip(*arms, strict=True):
        found = contrasts(dict(zip(NAMES, case, strict=True)))
        held += all(c.low <= true[c.label] - true[c.against] <= c.high for c in found if c.low is not None)
    return 100 * held / repeats


def row(name: str, seeds: int, numbers: Iterable[tuple[str, float]]) -> str:
    cells = [f"{value:.2f}" if key == "width" else f"{value:.1f}" for key, value in numbers]
    return f"| {name} | {seeds} | {' | '.join(cells)} |"


def tables() -> dict[str, list[str]]:
    return {
        "coverage": [row(name, n, coverage(name, n).items()) for name in SHAPES for n in SEEDS],
        "alarms": [row(name, n, alarms(name, n).items()) for name in EQUAL for n in SEEDS],
        "together": [row(", ".join(UNEQUAL), n, [("all", together(n))]) for n in SEEDS],
    }


def rows_of(page: str, table: str) -> list[str]:
    """The rows that a page holds between `<!-- table -->` and `<!-- end -->`, without the two lines of the header."""
    found = re.search(rf"<!-- {table} -->\n(.*?)\n<!-- end -->", page, re.S)
    assert found, table
    return found.group(1).splitlines()[2:]


def written(page: str, table: str, rows: list[str]) -> str:
    pattern = rf"(<!-- {table} -->\n[^\n]*\n[^\n]*\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda m: m[1] + "\n".join(rows) + "\n" + m[2], page, flags=re.S)


if __name__ == "__main__":
    measured = tables()
    for path in PAGES if "--write" in sys.argv else ():
        text = path.read_text(encoding="utf-8")
        for table, rows in measured.items():
            text = written(text, table, rows)
        path.write_text(text, encoding="utf-8")
    print("\n".join(line for rows in measured.values() for line in rows))
