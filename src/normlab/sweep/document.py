"""The document `normlab.sweep/1`, read from a results file: the same bytes however often the sweep was interrupted."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from normlab.errors import ReadWriteError

from .checking import checked

__all__ = ["SCHEMA", "read"]

SCHEMA = "normlab.sweep/1"


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The document of a results file, finished or not, also while a driver is writing to it.

    `trials` are in the grid's order: number, key, all parameters, state (done, failed, waiting), metrics, error.
    `columns` names the grid's arguments and the metrics in the order of the tables. `wall_s` is the sum over the runs,
    `command`, `versions` and `machine` are the last one's; nothing else depends on when or where it ran.

    Raises: ReadWriteError where there is no such file, or it is damaged, of another version or not ours.
    """
    file = Path(path)
    if not file.is_file():
        raise ReadWriteError(f"{path}: there is no such file.")
    try:
        # Not read-only: what a killed driver left half written is rolled back first, where that is allowed.
        uri = f"file:{quote(str(file.resolve()))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30.0)
    except sqlite3.Error as problem:
        raise ReadWriteError(f"{path}: cannot be opened: {problem}.") from None
    try:
        if not checked(connection, file):
            raise ReadWriteError(f"{path}: is empty: no sweep has begun in it.")
        connection.execute("BEGIN")  # one moment of a file that may be growing
        return _document(connection)
    except sqlite3.Error as problem:
        raise ReadWriteError(f"{path}: cannot be read: {problem}.") from None
    finally:
        connection.close()


def _document(connection: sqlite3.Connection) -> dict[str, Any]:
    settings = json.loads(connection.execute("SELECT value FROM meta WHERE key = 'spec'").fetchone()[0])
    query = "SELECT trial, key, parameters, state, metrics, error FROM trials ORDER BY trial"
    trials = [
        {
            "trial": number, "key": key, "parameters": json.loads(parameters), "state": state,
            "metrics": None if metrics is None else json.loads(metrics), "error": error,
        }
        for number, key, parameters, state, metrics, error in connection.execute(query)
    ]  # fmt: skip
    last = connection.execute("SELECT command, versions, machine FROM runs ORDER BY run DESC").fetchone()
    command, versions, machine = last or ("", "{}", "{}")
    counts = {state: sum(one["state"] == state for one in trials) for state in ("done", "failed", "waiting")}
    return {
        "schema": SCHEMA,
        "command": command,
        "versions": json.loads(versions),
        "machine": json.loads(machine),
        "wall_s": round(connection.execute("SELECT total(wall_s) FROM runs").fetchone()[0], 3),
        "settings": settings,
        "counts": {"trials": len(trials), **counts},
        "columns": {
            "grid": list(settings["grid"]),
            "metrics": list({name: None for one in trials for name in one["metrics"] or ()}),
        },
        "trials": trials,
    }
