"""The results file: one driver, never overwritten, and whatever goes wrong with it said with what is safe."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from normlab.errors import ReadWriteError, UsageError
from normlab.sweep import Interrupted, read
from normlab.sweep.locking import Lock
from sweeping import rows, run, spec, start, swept, table

pytestmark = pytest.mark.usefixtures("folder")
NOBODY = 65534


def refused(content: dict[str, Any], store: str = "a.db", kind: type[Exception] = ReadWriteError, **more: Any) -> str:
    """The error of a sweep; it changes no byte of the file."""
    before = Path(store).read_bytes() if Path(store).is_file() else None
    with pytest.raises(kind) as problem:
        swept(content, store, **more)
    assert before is None or Path(store).read_bytes() == before
    assert not list(Path().glob("*.lock"))
    return str(problem.value)


def test_a_second_driver_refuses_at_once_and_says_who_has_the_file() -> None:
    with start(spec(4, pause=0.2), "a.db") as first:
        assert first.stdout is not None and first.stdout.readline()
        with pytest.raises(ReadWriteError, match=f"another sweep is writing to it: process {first.pid} on "):
            swept(spec(4, pause=0.2), "a.db")
        assert read("a.db")["counts"]["done"] >= 1  # reading is for everybody
        first.communicate()
    assert first.returncode == 0 and read("a.db")["counts"]["done"] == 4


def test_a_lock_dies_with_its_process_and_its_file_may_stay() -> None:
    Path("a.db.lock").write_text("process 1 on some machine, since long ago", encoding="utf-8")
    lock = Lock(Path("a.db"))
    with pytest.raises(ReadWriteError, match=f"process {os.getpid()} on "):
        Lock(Path("a.db"))
    lock.release()
    lock.release()
    assert not Path("a.db.lock").exists()
    Lock(Path("a.db")).release()


def test_a_link_leads_to_the_same_lock() -> None:
    swept(spec(4), "a.db")
    os.symlink("a.db", "b.db")
    lock = Lock(Path("b.db"))
    with pytest.raises(ReadWriteError, match="another sweep"):
        Lock(Path("a.db"))
    lock.release()


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (spec(4, steps=9), "steps in [fixed] (absent, now 9)"), (spec(6), "seed in [grid] ([0, 1], now [0, 1, 2])"),
        ({**spec(4), "name": "b"}, "name ('a grid', now 'b')"),
        ({**spec(4), "grid": {"seed": [0, 1], "lr": [0.1, 0.3]}}, "the order of [grid] (lr, seed, now seed, lr)"),
        ({**spec(4), "grid": {"seed": [0, 1]}}, "lr in [grid] ([0.1, 0.3], now absent)"),
    ],
)  # fmt: skip
def test_a_specification_that_has_changed_since_is_refused_by_name(now: dict[str, Any], says: str) -> None:
    swept(spec(4), "a.db")
    said = refused(now, kind=UsageError)
    assert says in said and "4 of" in said and "-o FILE.db" in said


def test_defaults_that_have_changed_since_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    swept(spec(4), "a.db")
    monkeypatch.setitem(__import__("sweep_trials").KNOWN, "steps", 5)
    assert "Changed since: the defaults of normlab for steps." in refused(spec(4), kind=UsageError)


def test_a_file_of_another_version_says_which_and_how_many_results_it_has() -> None:
    swept(spec(4), "a.db")
    rows("a.db", "PRAGMA user_version = 7")
    said = refused(spec(4))
    assert "version 7, and this normlab reads version 1; 4 results can be read" in said and "Nothing was written" in said
    with pytest.raises(ReadWriteError, match="version 7"):
        read("a.db")


def test_another_programs_database_is_left_alone() -> None:
    rows("a.db", "CREATE TABLE mine (x)")
    assert "not of a sweep" in refused(spec(4))


@pytest.mark.parametrize("content", [b"not a database at all " * 100, b"\x00" * 4096, b"SQLite format 3\x00" + b"\xff" * 5000, b"x"])
def test_what_is_no_database_is_left_as_it_is(content: bytes) -> None:
    Path("a.db").write_bytes(content)
    assert "damaged or no results file" in refused(spec(4))
    with pytest.raises(ReadWriteError, match="damaged or no results file"):
        read("a.db")


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_a_file_that_was_cut_is_refused_with_what_can_still_be_read(keep: float) -> None:
    swept(spec(40), "a.db")
    whole = Path("a.db").read_bytes()
    Path("a.db").write_bytes(whole[: int(len(whole) * keep)])
    said = refused(spec(40))
    assert "damaged" in said and "results can be read from it" in said


def test_a_page_of_garbage_in_the_middle_is_found() -> None:
    swept(spec(40), "a.db")
    whole = bytearray(Path("a.db").read_bytes())
    root = rows("a.db", "SELECT rootpage FROM sqlite_master WHERE name = 'trials'")[0][0]
    whole[(root - 1) * 4096 : root * 4096] = b"\xa5" * 4096
    Path("a.db").write_bytes(whole)
    assert "0 results can be read from it" in refused(spec(40))


def test_an_empty_file_is_a_beginning_and_a_missing_one_an_error_for_reading() -> None:
    Path("a.db").touch()
    with pytest.raises(ReadWriteError, match="is empty"):
        read("a.db")
    swept(spec(4), "a.db")
    with pytest.raises(ReadWriteError, match="no such file"):
        read("b.db")
    with pytest.raises(ReadWriteError, match="no lock can be made"):
        swept(spec(4), "no/such/folder/a.db")
    Path("c.db").mkdir()
    assert "cannot be opened" in refused(spec(4), "c.db")


def stop_after(count: int, content: dict[str, Any], store: str) -> None:
    """A sweep that Ctrl-C ends after so many results."""

    def stop(done: int, total: int, latest: Any) -> None:
        if done == count:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        swept(content, store, on_trial=stop)


def test_a_full_disk_loses_nothing_that_was_acknowledged() -> None:
    """The system lets no file grow by more than a page: Python ignores the signal, so writing fails as on a full disk."""
    if sys.platform == "win32":
        pytest.skip("Windows has no limit for the size of a file")
    stop_after(2, spec(40), "a.db")
    room = Path("a.db").stat().st_size + 4096
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))"
    out, err = run(spec(40), "a.db", before=limit)
    done = 2 + len(out.splitlines())
    assert err.startswith("5 ") and f"a.db: cannot be written: disk I/O error; {done} of 40 results are saved in it" in err
    assert 2 < done < 40 and read("a.db")["counts"]["done"] == done and "The same command continues" in err
    assert not Path("a.db.lock").exists()
    swept(spec(40), "a.db")
    swept(spec(40), "b.db")
    assert table("a.db") == table("b.db")


def test_sqlites_own_word_for_a_full_disk_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def small(*arguments: Any, **more: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **more)
        connection.execute("PRAGMA max_page_count = 7")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        with pytest.raises(ReadWriteError, match=r"database or disk is full; \d+ of 40 results are saved in it"):
            swept(spec(40), "a.db")
    assert swept(spec(40), "a.db").to_dict()["counts"]["done"] == 40


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that another user can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def as_nobody(content: dict[str, Any], store: Path) -> str:
    """What a user without rights is told; root would be let in, so the process gives up being root."""
    # What is imported late is imported before: root's interpreter may lie where nobody else can read.
    early = "from normlab.result import machine, versions; versions(), machine()"
    become = f"import os; {early}; os.geteuid() or os.setuid({NOBODY})"
    return run(content, store, before=become)[1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no users by number")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_written_is_said_and_left_as_it_is(shared: Path, what: str) -> None:
    store = shared / "a.db"
    swept(spec(4), store)
    rows(store, "UPDATE trials SET state = 'waiting' WHERE trial = 2")
    shared.chmod(0o777 if what == "file" else 0o555)
    store.chmod(0o444)
    before = store.read_bytes()
    said = as_nobody(spec(4), store)
    expected = "attempt to write a readonly database; 3 of 4 results are saved" if what == "file" else "no lock can be made beside it"
    assert said.startswith("5 ") and expected in said, said
    assert store.read_bytes() == before and read(store)["counts"]["done"] == 3
    shared.chmod(0o755)


def test_a_reader_without_rights_reads_what_is_there(shared: Path) -> None:
    swept(spec(4), shared / "a.db")
    shutil.copy(shared / "a.db", "b.db")
    Path("b.db").chmod(0o444)
    assert table("b.db") == table(shared / "a.db")
