"""`normlab sweep`: what it prints, writes and refuses, with trainings of milliseconds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from commanding import Caller, start, too_wide
from normlab.report import text
from normlab.sweep import Interrupted, Sweep, read
from sweeping import swept, table

pytestmark = pytest.mark.usefixtures("folder")
SPEC = 'name = "small"\n[grid]\nmethods = ["none", "bn"]\nseed = [0, 1]\n[fixed]\nlayers = 2\nwidth = 8\nsteps = 3\nlr = 0.1\n'


@pytest.fixture(autouse=True)
def specification(folder: Path) -> None:
    """A grid of four short trainings."""
    (folder / "small.toml").write_text(SPEC, encoding="utf-8")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_table_is_printed_and_the_same_command_prints_it_again(call: Caller, lang: str, folder: Path) -> None:
    said = call("sweep", "small.toml", "--lang", lang)
    assert said.code == 0 and said.err == "" and too_wide(said.out) == []
    assert said.out == text(read("small.db"), lang) + "\n"
    assert {path.name for path in folder.iterdir()} == {"small.toml", "small.db"}
    again = call("sweep", "small.toml", "--lang", lang)
    assert again.out == said.out


def test_trials_are_trainings_with_the_same_bytes_each_time(call: Caller) -> None:
    document = json.loads(call("sweep", "small.toml", "--json").out)
    assert document["schema"] == "normlab.sweep/1" and document["command"] == "normlab sweep small.toml -o small.db"
    assert [one["parameters"]["methods"] for one in document["trials"]] == ["none", "none", "bn", "bn"]
    assert all(0 <= one["metrics"]["test_accuracy"] <= 1 for one in document["trials"])
    assert call("sweep", "small.toml", "-o", "b.db", "--workers", "1").code == 0
    assert table("b.db") == table("small.db")


def test_tables_are_exported_and_no_half_file_is_left(call: Caller) -> None:
    said = call("sweep", "small.toml", "--export", "a.csv", "--export", "a.parquet")
    assert said.code == 0 and "wrote a.csv" in said.err and "wrote a.parquet" in said.err
    assert len(Path("a.csv").read_text(encoding="utf-8").splitlines()) == 5
    assert Path("a.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("arguments", "code", "phrase"),
    [
        ([], 2, "normlab sweep examples/sweep.toml"), (["no.toml"], 5, "no such file"), (["smal.toml"], 5, "small.toml"),
        (["small.toml", "-o", "a.html"], 2, ".db"), (["small.toml", "-o", "no/a.db"], 5, "no such folder"),
        (["small.toml", "--export", "a.xlsx"], 2, ".csv / .parquet"), (["small.toml", "--engine", "rai"], 2, "ray"),
        (["small.toml", "--workers", "0"], 2, "from 1 to"), (["small.toml", "--most", "3"], 2, "--most 4"),
        (["small.toml", "--address", "a:1"], 2, "--engine ray"), (["small.toml", "small.toml"], 2, "too many arguments"),
    ],
)  # fmt: skip
def test_what_it_refuses_it_refuses_in_one_sentence(call: Caller, arguments: list[str], code: int, phrase: str) -> None:
    said = call("sweep", *arguments)
    assert said.code == code and phrase in said.err and said.out == "" and "Traceback" not in said.err
    failure = json.loads(call("sweep", *arguments, "--json").out)
    assert failure["schema"] == "normlab.error/1" and failure["code"] == code
    assert not Path("small.db").exists()


@pytest.mark.parametrize(
    ("old", "new", "phrase"),
    [
        ("seed", "sead", "seed"), ('"bn"', '"bm"', "bn"), ("steps = 3", "steps = 0", "steps must be"),
        ("seed = [0, 1]", "seeds = [1, 2]", "seed"), ('"bn"', '"none"', "twice"), ('"bn"', '"bn ln"', "bn"),
    ],
)  # fmt: skip
def test_a_bad_specification_is_refused_before_a_file_is_made(call: Caller, old: str, new: str, phrase: str) -> None:
    Path("small.toml").write_text(SPEC.replace(old, new), encoding="utf-8")
    said = call("sweep", "small.toml")
    assert said.code == 2 and phrase in said.err and not Path("small.db").exists()


def test_without_ray_the_code_is_3(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    said = call("sweep", "small.toml", "--engine", "ray")
    assert said.code == 3 and '".[ray]"' in said.err


def test_without_pyarrow_parquet_is_refused_before_the_work(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("normlab.sweep.export.find_spec", lambda name: None)
    said = call("sweep", "small.toml", "--export", "a.parquet")
    assert said.code == 3 and '".[export]"' in said.err and not Path("small.db").exists()


def test_ctrl_c_shows_what_was_finished_and_ends_with_130(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def early(*_: Any, **__: Any) -> Any:
        raise Interrupted(Sweep(swept({"name": "n", "grid": {"seed": [0]}}, "a.db").to_dict()))

    monkeypatch.setattr("normlab.sweep.run_sweep", early)
    said = call("sweep", "small.toml")
    assert said.code == 130 and "1 of 1" in said.out and "interrupted; what was finished is kept" in said.err


def test_a_second_command_on_the_same_file_is_refused(call: Caller) -> None:
    from normlab.sweep.locking import Lock

    lock = Lock(Path("small.db"))
    said = call("sweep", "small.toml")
    lock.release()
    assert said.code == 5 and "another sweep is writing to it: process " in said.err


def test_as_a_process_it_leaves_no_progress_bar_in_a_pipe(folder: Path) -> None:
    with start("sweep", "small.toml", cwd=folder) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and err == "" and "4 of 4" in out
