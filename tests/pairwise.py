"""Every value of each dimension with every value of every other, in few rows: greedy, seeded, and aware of what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, islice
from itertools import pairwise as neighbours
from typing import Any

import numpy as np

__all__ = ["Row", "pairwise"]

Row = dict[str, Any]
TRIES = 30  # ways to complete a pair before it is taken for one that cannot be
GOOD = 4  # of them, how many possible ones are compared


def pairwise(
    dimensions: Mapping[str, Sequence[Any]], why_not: Callable[[Row], str | None], seed: int = 0
) -> tuple[list[Row], list[Row]]:
    """The rows, and the pairs (two entries each) for which no row was found that `why_not` has nothing against.

    `why_not` is asked of unfinished rows too.
    """
    random, names = np.random.default_rng(seed), list(dimensions)
    starts = np.cumsum([0, *(len(dimensions[n]) for n in names)])
    wanted = np.ones((starts[-1], starts[-1]), bool)  # pairs of values, numbered through
    for a, b in neighbours(starts):
        wanted[a:b, a:b] = False
    pairs = [(u, v) for a, b in combinations(range(len(names)), 2)
             for u in range(starts[a], starts[a + 1]) for v in range(starts[b], starts[b + 1])]  # fmt: skip
    owner = np.repeat(np.arange(len(names)), np.diff(starts))

    def complete(chosen: list[int]) -> list[int] | None:
        """One value for each dimension that has none: of the possible ones that which brings most of what is wanted."""
        for k in random.permutation([k for k in range(len(names)) if k not in owner[chosen]]):
            gain = wanted[starts[k] : starts[k + 1], chosen].sum(1) + random.random(starts[k + 1] - starts[k])
            fits = ([*chosen, int(starts[k] + v)] for v in np.argsort(-gain))
            chosen = next((c for c in fits if why_not(row(c)) is None), [])
            if not chosen:
                return None
        return sorted(chosen)

    def row(chosen: Sequence[int]) -> Row:
        return {names[owner[v]]: dimensions[names[owner[v]]][v - starts[owner[v]]] for v in chosen}

    rows, impossible = [], []
    for pair in (pairs[k] for k in random.permutation(len(pairs))):
        if not wanted[pair]:
            continue
        tried = (complete(list(pair)) for _ in range(TRIES if why_not(row(pair)) is None else 0))
        good = list(islice((t for t in tried if t is not None), GOOD))
        if not good:
            impossible.append(row(pair))
            wanted[pair] = wanted[pair[::-1]] = False
            continue
        best = max(good, key=lambda c: int(wanted[np.ix_(c, c)].sum()))
        wanted[np.ix_(best, best)] = False
        rows.append(row(best))
    return rows, impossible
