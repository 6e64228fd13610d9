"""The one grid: methods x faces x dtypes x layouts x sizes, and whatever else a call can be told, there and back.

`make test` meets every value of each dimension with every other at least once; `make test-all` the whole product of
the first five, with the rest drawn. The truth is the formula in float64, of the NumPy face, which is itself compared
with 300 bits where it computes in float64 here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import faces
from crossing import DIMENSIONS, definition_of, spoken_row, why_not, work_of
from faces import Work
from grid import acting
from normlab import registry
from pairwise import Row, pairwise
from truths import Truth, check, truth_of_work

ROWS, IMPOSSIBLE = pairwise(DIMENSIONS, why_not)
DENSE = ("contiguous", "transposed", "channels last")


def posed(row: Row, seed: int = 0) -> tuple[Work, Truth]:
    """The row's call, and what must come of it."""
    beyond = row["face"] == "numpy" and row["dtype"] == "float64" and definition_of(row).forward is None
    work = work_of(row, seed)
    with np.errstate(all="ignore"):
        return work, truth_of_work(work, beyond)


def judge(row: Row, work: Work, truth: Truth) -> None:
    """Run the call on the row's face, and compare everything that comes back."""
    with np.errstate(all="ignore"), faces.without_kernels(row["path"] == "formula"):
        done = faces.of(row["face"]).run(work)
    check(spoken_row(row), done, truth, work, goal=row["face"].partition("-")[0] in ("numpy", "torch"))
    if row["memory"] in DENSE and work.x.size and done.lies is not None:
        assert done.lies, f"{spoken_row(row)}: y or dx does not lie in memory as x does"


def meet(row: Row, seed: int = 0) -> None:
    faces.of(row["face"])
    judge(row, *posed(row, seed))


@pytest.mark.parametrize("row", ROWS, ids=spoken_row)
def test_every_face_gives_what_the_formula_gives(row: Row) -> None:
    meet(row)


MAIN = ("method", "face", "dtype", "layout", "size")


def drawn(row: Row, random: np.random.Generator) -> Row | None:
    """The row with the other dimensions drawn until it is possible; None where it cannot be."""
    for _ in range(50):
        others = {n: v[int(random.integers(len(v)))] for n, v in DIMENSIONS.items() if n not in MAIN}
        if why_not({**row, **others}) is None:
            return {**row, **others}
    return None


def whole(method: str, face: str, dtype: str) -> Iterator[Row]:
    random = np.random.default_rng([*map(ord, method + face + dtype)])
    for layout, size in product(DIMENSIONS["layout"], DIMENSIONS["size"]):
        row = drawn({"method": method, "face": face, "dtype": dtype, "layout": layout, "size": size}, random)
        if row is not None:
            yield row


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DIMENSIONS["dtype"])
@pytest.mark.parametrize("face", DIMENSIONS["face"])
@pytest.mark.parametrize("method", DIMENSIONS["method"])
def test_the_whole_product(method: str, face: str, dtype: str) -> None:
    rows = list(whole(method, face, dtype))
    assert rows or (face == "numpy" and dtype == "float64")
    for k, row in enumerate(rows):
        meet(row, seed=k)


# What the grid leaves out


def covered(rows: list[Row]) -> set[tuple[Any, ...]]:
    return {(m, row[m], n, row[n]) for row in rows for m in row for n in row if m < n}


def test_every_method_met_every_face_and_every_pair_was_met_that_can_be() -> None:
    met = covered(ROWS)
    assert {(d.name, f) for d in acting() for f in faces.DECLARED} == {(r["method"], r["face"]) for r in ROWS}
    names = sorted(DIMENSIONS)
    wanted = {(m, a, n, b) for i, m in enumerate(names) for n in names[i + 1 :] for a in DIMENSIONS[m] for b in DIMENSIONS[n]}
    missing = {tuple(sorted(pair.items())) for pair in IMPOSSIBLE}
    assert {((m, a), (n, b)) for m, a, n, b in wanted - met} == missing


def test_a_pair_that_was_not_met_cannot_be() -> None:
    """Twenty random completions of each by another seed: all are impossible, and say why."""
    random = np.random.default_rng(1)
    for pair in IMPOSSIBLE:
        for _ in range(20):
            row = {n: v[int(random.integers(len(v)))] for n, v in DIMENSIONS.items()}
            assert why_not({**row, **pair}) is not None, pair


def test_every_face_of_normlab_is_in_the_grid() -> None:
    assert faces.declared() == set(faces.FACES)
    assert {d.name for d in registry.methods() if d.role != "input"} == set(DIMENSIONS["method"])


def test_a_row_reads_aloud() -> None:
    plain = {n: v[0] for n, v in DIMENSIONS.items()} | {"method": "layer_norm", "face": "torch", "dtype": "bfloat16", "size": "33"}
    plain["layout"] = 2
    assert spoken_row(plain) == "layer_norm-torch-bf16-3x33"
    assert len({spoken_row(row) for row in ROWS}) == len(ROWS)
