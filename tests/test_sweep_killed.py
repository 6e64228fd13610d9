"""Whatever hits a sweep at whatever moment: nothing acknowledged is lost, nothing counts twice, the table is the same."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from normlab.sweep import read
from sweeping import acknowledged, opened_in_s, rows, run, spec, start, strike, swept, table, until_dead, workers_of

pytestmark = [
    pytest.mark.usefixtures("folder"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
]
GRID = spec(40, pause=0.02)
"""Longer than a driver takes to begin, so that most moments strike in between."""


class Right(NamedTuple):
    """A sweep that nobody interrupted."""

    table: bytes
    seconds: float


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Right:
    """What must come out, and how long a driver takes for it on this machine, today."""
    store, began = tmp_path_factory.mktemp("right") / "a.db", time.perf_counter()
    run(GRID, store, "mixed")
    return Right(table(store), time.perf_counter() - began)


def check_file(store: Path, said: set[tuple[float, int]]) -> float:
    """No acknowledged result is lost and none is there twice; returns how long the file took to open, in seconds."""
    if not store.exists() or rows(store, "SELECT 1 FROM sqlite_master") == []:
        assert not said
        return 0.0  # struck before there was anything
    took = opened_in_s(store)
    document = read(store)
    kept = {(one["parameters"]["lr"], one["parameters"]["seed"]) for one in document["trials"] if one["state"] != "waiting"}
    assert said <= kept
    assert rows(store, "SELECT trial FROM attempts WHERE outcome = 'done' GROUP BY trial HAVING count(*) > 1") == []
    assert rows(store, "SELECT trial FROM attempts WHERE outcome != 'done' GROUP BY trial HAVING count(*) > 3") == []
    done = {trial for (trial,) in rows(store, "SELECT trial FROM attempts WHERE outcome = 'done'")}
    assert done == {one["trial"] for one in document["trials"] if one["state"] == "done"}
    return took


@pytest.mark.parametrize("moments", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_a_driver_killed_at_random_moments_loses_nothing_and_doubles_nothing(moments: int, right: Right) -> None:
    chance, said, number, slowest = random.Random(moments), set(), 0, 0.0
    struck = 0
    for _ in range(moments):
        store = Path(f"{number}.db")
        output, _ = strike(start(GRID, store, "mixed"), chance.uniform(0, right.seconds), signal.SIGKILL)
        said |= acknowledged(output)
        struck += 0 < len(said) < 40
        slowest = max(slowest, check_file(store, said))
        if len(said) == 40 or (store.exists() and chance.random() < 0.3):  # else the next one continues this file
            swept(GRID, store, "mixed")
            assert table(store) == right.table
            number, said = number + 1, set()
    print(f"{moments} kills, {struck} of them in the middle of a sweep; the slowest file opened in {1000 * slowest:.0f} ms")
    assert struck


def test_the_workers_of_a_killed_driver_end_by_themselves() -> None:
    process = start(spec(40, pause=0.05), "a.db", workers=2)
    assert process.stdout is not None and process.stdout.readline()
    strike(process, 0.1, signal.SIGKILL)
    found = workers_of(Path("a.db"))
    assert found and until_dead(found)


@pytest.mark.parametrize("points", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_interrupted_at_random_points_the_final_table_has_the_same_bytes(points: int, right: Right) -> None:
    chance, same = random.Random(points), 0
    for number in range(points):
        store = Path(f"{number}.db")
        output, error = strike(start(GRID, store, "mixed"), chance.uniform(0, right.seconds), signal.SIGINT)
        said = acknowledged(output)
        check_file(store, said)
        assert not 0 < len(said) < 40 or error == "130\n"
        swept(GRID, store, "mixed")
        same += table(store) == right.table
    assert same == points


def test_a_long_trial_goes_on_from_its_checkpoint_after_the_driver_was_killed(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    content = {"name": "n", "grid": {"seed": [0]}, "fixed": {"mark": str(marks), "steps": 8, "pause": 0.1}}
    process = start(content, "a.db", "long")
    while not list(marks.glob("seed0step3-*")):
        assert process.poll() is None
    strike(process, 0.0, signal.SIGKILL)
    assert list(Path("a.db.checkpoints").glob("*.checkpoint"))
    document = swept(content, "a.db", "long").to_dict()
    assert document["trials"][0]["metrics"] == {"loss": 0.0, "steps": 8}
    counts = [len(list(marks.glob(f"seed0step{k}-*"))) for k in range(8)]
    assert counts[:3] == [1, 1, 1] and sum(counts) <= 9  # only the step in which it was struck is done again
    assert not Path("a.db.checkpoints").exists()


def test_workers_killed_from_outside_change_nothing(right: Right) -> None:
    killed = set()

    def kill(done: int, total: int, latest: Any) -> None:
        if done in (5, 15, 25):
            victim = max(workers_of(Path("a.db")) - killed)
            killed.add(victim)
            os.kill(victim, signal.SIGKILL)

    swept(GRID, "a.db", "mixed", workers=2, on_trial=kill)
    assert len(killed) == 3 and table("a.db") == right.table
    assert {path.name for path in Path().iterdir()} == {"a.db"}
