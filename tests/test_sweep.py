"""A sweep: the grid in order, results that follow from the parameters alone, failures recorded, the sweep going on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from normlab.errors import MissingExtraError, UnknownNameError, UsageError
from normlab.report import text
from normlab.report.cells import cell_len
from normlab.sweep import Interrupted, read
from normlab.sweep.export import check_export, columns, exported
from normlab.sweep.local import Local
from sweep_trials import KNOWN
from sweeping import rows, spec, swept, table

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def marks(tmp_path: Path) -> Iterator[Path]:
    """Where trials leave marks."""
    folder = tmp_path / "marks"
    folder.mkdir()
    yield folder


def test_trials_stand_in_the_grids_order_and_hold_all_parameters() -> None:
    document = swept(spec(6), "a.db").to_dict()
    assert document == read("a.db") and document["schema"] == "normlab.sweep/1"
    assert [one["trial"] for one in document["trials"]] == [1, 2, 3, 4, 5, 6]
    given = [(one["parameters"]["lr"], one["parameters"]["seed"]) for one in document["trials"]]
    assert given == [(0.1, 0), (0.1, 1), (0.1, 2), (0.3, 0), (0.3, 1), (0.3, 2)]
    for one in document["trials"]:
        assert set(one["parameters"]) == set(KNOWN) and one["state"] == "done" and one["error"] is None
        lr, seed = one["parameters"]["lr"], one["parameters"]["seed"]
        assert one["metrics"] == {"loss": lr / 3 + seed, "lr": lr, "stopped": "finished", "nothing": None}
    assert document["counts"] == {"trials": 6, "done": 6, "failed": 0, "waiting": 0}
    assert document["settings"] == spec(6) and {"command", "versions", "machine", "wall_s"} <= set(document)


def test_one_file_is_left_and_any_tool_reads_it(folder: Path) -> None:
    swept(spec(6), "a.db")
    assert [path.name for path in folder.iterdir()] == ["a.db"]
    assert rows("a.db", "SELECT trial, lr, seed, state, loss, lr_measured, error FROM results WHERE trial = 5") == [
        (5, 0.3, 1, "done", 0.3 / 3 + 1, 0.3, None)
    ]
    assert rows("a.db", "SELECT count(*), count(DISTINCT trial) FROM attempts WHERE outcome = 'done'") == [(6, 6)]
    assert rows("a.db", "SELECT min(seconds) FROM attempts")[0][0] > 1e9  # the trial's own `seconds` stand here
    assert rows("a.db", "PRAGMA journal_mode") == [("delete",)]


def test_a_finished_sweep_is_read_and_nothing_runs_again() -> None:
    swept(spec(6), "a.db")
    before = Path("a.db").read_bytes()
    assert swept(spec(6), "a.db").to_dict() == read("a.db")
    assert rows("a.db", "SELECT count(*) FROM runs") == [(1,)]
    assert len(Path("a.db").read_bytes()) == len(before)


def test_any_number_of_workers_gives_the_same_table() -> None:
    for workers in (1, 3):
        swept(spec(8), f"{workers}.db", workers=workers)
    assert table("1.db") == table("3.db")


def test_a_trial_that_fails_three_times_is_recorded_and_the_sweep_goes_on(marks: Path) -> None:
    content = {"name": "n", "grid": {"seed": [1, 2, 3, 4]}, "fixed": {"mark": str(marks)}}
    document = swept(content, "a.db", "failing").to_dict()
    assert [one["state"] for one in document["trials"]] == ["failed", "done", "failed", "done"]
    assert document["trials"][0]["error"] == "ValueError: seed 1 is odd" and document["trials"][0]["metrics"] is None
    assert [len(list(marks.glob(f"seed{k}-*"))) for k in (1, 2, 3, 4)] == [3, 1, 3, 2]
    causes = rows("a.db", "SELECT cause FROM attempts WHERE outcome = 'failed'")
    assert len(causes) == 7 and all("in failing" in cause for (cause,) in causes)
    said = text(document)
    assert "failed three times: trial 1: ValueError: seed 1 is odd" in said and "2 of 4; failed: 2" in said
    assert swept(content, "a.db", "failing").to_dict()["counts"]["failed"] == 2
    assert len(list(marks.iterdir())) == 9  # what has failed has a result


def test_what_has_failed_is_tried_again_where_that_is_asked_for_and_what_is_done_stays(marks: Path) -> None:
    """Seed 1 fails in the first round and, its cause being mended, gives a result in the second; seed 3 fails in both."""
    content = {"name": "n", "grid": {"seed": [1, 2, 3]}, "fixed": {"mark": str(marks)}}
    first = swept(content, "a.db", "failing", retry=True).to_dict()
    assert first["counts"] == {"trials": 3, "done": 1, "failed": 2, "waiting": 0}
    assert len(list(marks.iterdir())) == 7  # nothing had failed before, so nothing was tried more than three times
    second = swept(content, "a.db", "mended", retry=True).to_dict()
    assert second["counts"] == {"trials": 3, "done": 2, "failed": 1, "waiting": 0}
    assert second["trials"][0]["metrics"] == {"loss": 1.0} and second["trials"][0]["error"] is None
    assert second["trials"][1] == first["trials"][1] and second["trials"][2] == first["trials"][2]
    tried = rows("a.db", "SELECT trial, outcome, count(*) FROM attempts GROUP BY trial, outcome ORDER BY trial, outcome")
    assert tried == [(1, "done", 1), (1, "failed", 3), (2, "done", 1), (3, "failed", 6)]
    assert swept(content, "a.db", "mended").to_dict()["trials"] == second["trials"]


def test_an_interrupted_second_round_goes_on_where_it_was(marks: Path) -> None:
    """After one attempt of the second round two are left, asked for again or not."""
    content = {"name": "n", "grid": {"seed": [3]}, "fixed": {"mark": str(marks)}}
    swept(content, "a.db", "failing")
    rows("a.db", "UPDATE trials SET state = 'waiting', error = NULL")
    rows("a.db", "INSERT INTO attempts (run, trial, outcome, ended) VALUES (1, 1, 'failed', '')")
    assert swept(content, "a.db", "failing", retry=True).to_dict()["counts"]["failed"] == 1
    assert rows("a.db", "SELECT count(*) FROM attempts") == [(6,)]


def test_a_worker_that_dies_is_replaced_and_its_trial_tried_again(marks: Path) -> None:
    content = {"name": "n", "grid": {"seed": [1, 2, 3, 4, 6]}, "fixed": {"mark": str(marks)}}
    document = swept(content, "a.db", "dying", workers=2).to_dict()
    assert [one["state"] for one in document["trials"]] == ["failed", "done", "done", "failed", "done"]
    assert [one["error"] for one in document["trials"][::3]] == ["the worker died", "SystemExit: enough"]
    causes = rows("a.db", "SELECT trial, cause FROM attempts WHERE outcome = 'died' ORDER BY trial, attempt")
    assert causes == [(1, "signal 9")] * 3 + [(2, "signal 9"), (3, "exit code 0")]
    assert len(rows("a.db", "SELECT DISTINCT worker FROM attempts WHERE trial = 1")) == 3


def test_a_trial_may_print_read_and_return_nonsense_without_harm() -> None:
    trials = swept({"name": "n", "grid": {"seed": [0, 1]}}, "a.db", "talking").to_dict()["trials"]
    assert trials[0]["metrics"] == {"loss": 1.0}
    assert trials[1]["error"] == "TypeError: a metric must be a number or a text, loss is list"


def test_workers_are_processes_of_their_own_with_libraries_on_one_thread() -> None:
    import os

    trials = swept({"name": "n", "grid": {"seed": [0, 1, 2, 3]}}, "a.db", "threads", workers=2).to_dict()["trials"]
    assert {one["metrics"]["threads"] for one in trials} == {1}
    assert os.getpid() not in {one["metrics"]["process"] for one in trials}


def test_a_long_trial_continues_from_its_checkpoint_after_its_worker_died(marks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is killed once, in the middle of its steps; no step is done twice but the one that it was in."""
    give = Local.next
    killed = []

    def kill_once(self: Local) -> Any:
        import os
        import signal
        import time

        while not killed and len(list(marks.glob("seed0step3*"))) < 1:
            time.sleep(0.01)
        if not killed:
            killed.append(int(self._all[0].name.split()[1]))
            os.kill(killed[0], signal.SIGKILL)
        return give(self)

    monkeypatch.setattr(Local, "next", kill_once)
    fixed = {"mark": str(marks), "steps": 6, "pause": 0.05}
    document = swept({"name": "n", "grid": {"seed": [0]}, "fixed": fixed}, "a.db", "long").to_dict()
    assert killed and document["counts"]["done"] == 1
    counts = [len(list(marks.glob(f"seed0step{k}-*"))) for k in range(6)]
    assert counts[:3] == [1, 1, 1] and sum(counts) <= 7
    assert not Path("a.db.checkpoints").exists()


def test_ctrl_c_keeps_what_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(done: int, total: int, latest: Any) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        swept(spec(20), "a.db", on_trial=stop)
    assert stopped.value.result.to_dict()["counts"]["done"] == 3
    swept(spec(20), "a.db")
    swept(spec(20), "b.db")
    assert table("a.db") == table("b.db")


def test_csv_reads_back_the_same_numbers_and_parquet_keeps_types() -> None:
    import pyarrow.parquet

    document = swept({"name": "n", "grid": {"mark": ["a,b", 'say "c"'], "lr": [0.1, 1]}}, "a.db").to_dict()
    found = list(csv.DictReader(io.StringIO(exported(document, Path("a.csv")).decode())))
    assert [one["mark"] for one in found] == ["a,b", "a,b", 'say "c"', 'say "c"']
    assert [float(one["loss"]) for one in found] == columns(document)["loss"]
    assert {one["nothing"] for one in found} == {""} and {one["error"] for one in found} == {""}
    Path("a.parquet").write_bytes(exported(document, Path("a.parquet")))
    kept = pyarrow.parquet.read_table("a.parquet")
    assert kept.column_names == list(found[0]) and kept["loss"].to_pylist() == columns(document)["loss"]
    assert str(kept.schema.field("lr").type) == "double" and str(kept.schema.field("trial").type) == "int64"
    assert exported(document, Path("b.parquet")) == exported(document, Path("a.parquet"))


def test_texts_among_numbers_make_a_column_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet

    document = swept({"name": "n", "grid": {"mark": ["xavier", 0.5, True]}}, "a.db").to_dict()
    Path("a.parquet").write_bytes(exported(document, Path("a.parquet")))
    assert pyarrow.parquet.read_table("a.parquet")["mark"].to_pylist() == ["xavier", "0.5", "True"]


def test_parquet_without_its_package_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("normlab.sweep.export.find_spec", lambda name: None)
    check_export(Path("a.csv"))
    with pytest.raises(MissingExtraError, match=r"pyarrow is not installed.*\[export\]"):
        check_export(Path("a.parquet"))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_table_fits_eighty_cells_and_says_nothing_of_when_or_where(lang: str) -> None:
    long = "n (g [c]) [...]:g=4,eps=0.00001,affine=False"
    document = swept({"name": "n", "grid": {"mark": ["a", long], "seed": [0, 1]}, "fixed": {"lr": 0.1}}, "a.db").to_dict()
    shown = text(document, lang)
    assert max(map(cell_len, shown.splitlines())) <= 80 and "lr = 0.1" in shown
    assert shown == text({**document, "wall_s": 99, "machine": {}, "versions": {}, "command": ""}, lang)
    assert str(swept({"name": "n", "grid": {"mark": ["a"]}}, "c.db")).startswith("n\n")


def test_json_is_one_document_and_finite() -> None:
    result = swept(spec(4), "a.db")
    assert json.loads(result.to_json()) == result.to_dict() and "NaN" not in result.to_json()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"engine": "rey"}, "unknown engine 'rey'. Did you mean ray"), ({"workers": 0}, "from 1 to 10000, got 0"),
        ({"workers": True}, "got True"), ({"address": "127.0.0.1:1"}, "address is for the engine ray"),
    ],
)  # fmt: skip
def test_what_no_engine_can_do_is_refused_before_the_file_is_made(more: dict[str, Any], says: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=says):
        swept(spec(4), "a.db", **more)
    assert list(folder.iterdir()) == []


def test_what_check_refuses_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown argument of train 'sed'. Did you mean seed"):
        swept({"name": "n", "grid": {"sed": [1]}}, "a.db")
