"""The tables of a results file, so plain that any tool reads them: what is measured apart from when and where."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["APPLICATION", "TABLES", "VERSION", "metric_columns", "results_view"]

APPLICATION = 0x6E6C7377  # "nlsw": SQLite keeps a number that says whose file it is
VERSION = 1

TABLES = (
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE trials (
        trial INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, parameters TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
        metrics TEXT, error TEXT)""",
    """CREATE TABLE runs (
        run INTEGER PRIMARY KEY, began TEXT NOT NULL, ended TEXT NOT NULL, wall_s REAL NOT NULL, command TEXT NOT NULL,
        engine TEXT NOT NULL, workers INTEGER NOT NULL, versions TEXT NOT NULL, machine TEXT NOT NULL)""",
    """CREATE TABLE attempts (
        attempt INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs, trial INTEGER NOT NULL REFERENCES trials,
        outcome TEXT NOT NULL CHECK (outcome IN ('done', 'failed', 'died')),
        worker TEXT, ended TEXT NOT NULL, seconds REAL, error TEXT, cause TEXT)""",
    "CREATE INDEX attempts_of_a_trial ON attempts (trial)",
)


def metric_columns(grid: Sequence[str], metrics: Sequence[str]) -> dict[str, str]:
    """The column of each metric: its name, marked where an argument of the grid or a column of ours has it already."""
    taken = {"trial", "state", "error", *grid}
    return {name: f"{name}_measured" if name in taken else name for name in metrics}


def results_view(grid: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """The statements that make the view `results`, a column for each argument of the grid and for each metric."""
    columns = ["trial", *(_column("parameters", name, name) for name in grid), "state"]
    columns += [_column("metrics", name, title) for name, title in metric_columns(grid, metrics).items()]
    selected = ", ".join([*columns, "error"])
    return ["DROP VIEW IF EXISTS results", f"CREATE VIEW results AS SELECT {selected} FROM trials"]


def _column(source: str, name: str, title: str) -> str:
    path = f'$."{name}"'.replace("'", "''")
    quoted = title.replace('"', '""')
    return f"json_extract({source}, '{path}') AS \"{quoted}\""
