"""The results file: SQLite, a transaction a result, one writer; what cannot be read or continued is left as it is."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from normlab.errors import ReadWriteError, UsageError
from normlab.result import machine, versions

from .attempts import Outcome
from .checking import changed_defaults, changes, checked
from .locking import Lock
from .schema import TABLES, results_view
from .spec import Spec, Trial

__all__ = ["Store"]

BUSY_S = 30.0
"""How long a reader may hold up a result; nobody else writes."""


class Store:
    """The file of one sweep, made or continued.

    Raises: ReadWriteError where another driver has it, where it is damaged, of another version or not ours, where it
    cannot be written; UsageError where it belongs to another specification.
    """

    def __init__(self, path: Path, spec: Spec, trials: Sequence[Trial]) -> None:
        self.path = path
        self.saved = 0  # results that are in the file
        self._total = len(trials)
        self._lock = Lock(path)
        self._columns: list[str] = []
        try:
            self._connection = self._opened()
            self._prepare(spec, trials)
        except BaseException:
            self.close()
            raise

    def begin(self, command: str, engine: str, workers: int) -> None:
        """Note who drives from now on."""
        self._began = time.perf_counter()
        values = (_now(), _now(), 0.0, command, engine, workers, json.dumps(versions()), json.dumps(machine()))
        columns = "began, ended, wall_s, command, engine, workers, versions, machine"
        with self._transaction():
            made = self._connection.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            self._run = made.lastrowid

    def waiting(self) -> dict[int, int]:
        """The trials without a result, in order, each with the number of its failed attempts."""
        query = (
            "SELECT trial, (SELECT count(*) FROM attempts WHERE attempts.trial = trials.trial) FROM trials"
            " WHERE state = 'waiting' ORDER BY trial"
        )
        with self._told():
            return dict(self._connection.execute(query).fetchall())

    def reopen(self) -> None:
        """Let the trials that have failed wait again; their attempts stay on record, and so does all that is done."""
        with self._transaction():
            query = "UPDATE trials SET state = 'waiting', error = NULL WHERE state = 'failed'"
            self.saved -= self._connection.execute(query).rowcount

    def record(self, trial: int, outcome: Outcome, *, final: bool) -> None:
        """Keep an attempt and, where it is the `final` one, the result: all of it or nothing, on the disk on return."""
        state = "died" if outcome.died else "done" if outcome.error is None else "failed"
        attempt = (self._run, trial, state, outcome.worker, _now(), outcome.seconds, outcome.error, outcome.cause)
        with self._transaction():
            names = "run, trial, outcome, worker, ended, seconds, error, cause"
            self._connection.execute(f"INSERT INTO attempts ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", attempt)
            ended = (_now(), time.perf_counter() - self._began, self._run)
            self._connection.execute("UPDATE runs SET ended = ?, wall_s = ? WHERE run = ?", ended)
            if final:
                self._settle(trial, outcome)
        self.saved += final

    def close(self) -> None:
        """Leave one file behind, without the journal that a killed driver leaves beside it."""
        if hasattr(self, "_connection"):
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()
        self._lock.release()

    def _settle(self, trial: int, outcome: Outcome) -> None:
        metrics = None if outcome.metrics is None else json.dumps(outcome.metrics, ensure_ascii=False, allow_nan=False)
        state = "done" if outcome.error is None else "failed"
        values = (state, metrics, outcome.error, trial)
        query = "UPDATE trials SET state = ?, metrics = ?, error = ? WHERE trial = ? AND state = 'waiting'"
        if self._connection.execute(query, values).rowcount != 1:
            raise AssertionError(f"trial {trial} has its result already")
        new = [name for name in outcome.metrics or () if name not in self._columns]
        if new:
            self._columns += new
            self._show()

    def _opened(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        except sqlite3.Error as problem:
            raise ReadWriteError(f"{self.path}: cannot be opened: {problem}. Nothing was written.") from None
        try:
            checked(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, spec: Spec, trials: Sequence[Trial]) -> None:
        """Make the tables, or see that they are those of this specification."""
        with self._told():
            # A journal that is cut to nothing is on the disk by then; one that is deleted might come back.
            self._connection.execute("PRAGMA journal_mode = TRUNCATE")
            self._connection.execute("PRAGMA synchronous = FULL")
            is_new = not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if is_new:
            self._make(spec, trials)
        with self._told():
            kept = dict(self._connection.execute("SELECT key, value FROM meta"))
            known = dict(self._connection.execute("SELECT trial, parameters FROM trials ORDER BY trial"))
            metrics = self._connection.execute("SELECT metrics FROM trials WHERE metrics IS NOT NULL ORDER BY trial")
            self._columns = list({name: None for (text,) in metrics for name in json.loads(text)})
            count = "SELECT count(*) FROM trials WHERE state != 'waiting'"
            self.saved = self._connection.execute(count).fetchone()[0]
        self._grid = list(spec.grid)
        changed = changes(json.loads(kept["spec"]), spec.to_dict()) or changed_defaults(known, trials)
        if changed:
            hint = "Put the specification back to continue it, or begin another: -o FILE.db"
            message = f"{self.path}: belongs to another specification, and {self._kept()}. Changed since: {changed}."
            raise UsageError(message, hint=hint)

    def _make(self, spec: Spec, trials: Sequence[Trial]) -> None:
        rows = [(one.number, one.key, json.dumps(one.parameters, ensure_ascii=False)) for one in trials]
        spec_text = json.dumps(spec.to_dict(), ensure_ascii=False)
        self._grid = list(spec.grid)
        with self._transaction():
            for statement in TABLES:
                self._connection.execute(statement)
            self._connection.executemany("INSERT INTO meta VALUES (?, ?)", [("name", spec.name), ("spec", spec_text)])
            self._connection.executemany("INSERT INTO trials (trial, key, parameters) VALUES (?, ?, ?)", rows)
            self._show()

    def _show(self) -> None:
        """The view `results`: a column for each argument of the grid and for each metric."""
        for statement in results_view(self._grid, self._columns):
            self._connection.execute(statement)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as ours, with what is safe."""
        try:
            yield
        except sqlite3.Error as problem:
            hint = "The same command continues, once it can be written again."
            raise ReadWriteError(f"{self.path}: cannot be written: {problem}; {self._kept()}.", hint=hint) from None

    def _kept(self) -> str:
        return f"{self.saved} of {self._total} results are saved in it"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
