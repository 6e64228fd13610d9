"""Whether a file may be continued: ours, whole, of this version, and of the same specification."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normlab.errors import ReadWriteError

from .schema import APPLICATION, VERSION
from .spec import Trial

__all__ = ["changed_defaults", "changes", "checked"]

HEADER = b"SQLite format 3\x00"


def checked(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the database holds a sweep, False where it is empty.

    Raises: ReadWriteError for anything else: it is not ours to write to, and says how many results it holds.
    """
    keep = "Nothing was written to it."
    hint = "Keep it, and begin another: -o FILE.db"
    try:
        _check_header(path)
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return False
        ours = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if ours != APPLICATION:
            raise ReadWriteError(f"{path}: is a database, but not of a sweep. {keep}", hint=hint)
        if version != VERSION:
            said = f"is of version {version}, and this normlab reads version {VERSION}; {_count(connection)}"
            raise ReadWriteError(f"{path}: {said}. {keep}", hint=hint)
        found = connection.execute("PRAGMA quick_check").fetchone()[0]
    except (sqlite3.Error, OSError) as problem:
        found = str(problem)
    if found == "ok":
        return True
    reason = found.strip().splitlines()[-1]
    raise ReadWriteError(f"{path}: is damaged or no results file: {reason}; {_count(connection)}. {keep}", hint=hint)


def _check_header(path: Path) -> None:
    """Raise what SQLite raises, for files so short that it would take them for empty; unless it has begun to write."""
    with open(path, "rb") as file:
        first = file.read(len(HEADER))
    if first and first != HEADER and not Path(f"{os.path.realpath(path)}-journal").exists():
        raise sqlite3.DatabaseError("file is not a database")


def _count(connection: sqlite3.Connection) -> str:
    """How many results can still be read: what comes before the first page that cannot."""
    count = 0
    with contextlib.suppress(sqlite3.Error):
        for _ in connection.execute("SELECT metrics FROM trials WHERE state != 'waiting'"):
            count += 1
    return f"{count} results can be read from it"


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between two specifications, by name, with both values; empty where nothing does."""
    found = [f"name ({old['name']!r}, now {new['name']!r})"] if old["name"] != new["name"] else []
    for table in ("grid", "fixed"):
        before, now = old[table], new[table]
        for key in [*before, *(key for key in now if key not in before)]:
            if json.dumps(before.get(key)) != json.dumps(now.get(key)):
                found.append(f"{key} in [{table}] ({before.get(key, 'absent')}, now {now.get(key, 'absent')})")
    if not found and list(old["grid"]) != list(new["grid"]):
        found.append(f"the order of [grid] ({', '.join(old['grid'])}, now {', '.join(new['grid'])})")
    return "; ".join(found)


def changed_defaults(known: Mapping[int, str], trials: Sequence[Trial]) -> str:
    """What a trial's parameters have become without the specification: defaults of another version."""
    for trial in trials:
        old, new = json.loads(known[trial.number]), trial.parameters
        names = [key for key in {**old, **new} if json.dumps(old.get(key)) != json.dumps(new.get(key))]
        if names:
            return f"the defaults of normlab for {', '.join(names)}"
    return ""
