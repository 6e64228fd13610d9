"""A sweep's table for other tools: CSV, which all read, and Parquet, which keeps types."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from normlab.errors import missing_extra

from .schema import metric_columns

__all__ = ["ENDINGS", "check_export", "columns", "exported"]

ENDINGS = (".csv", ".parquet")


def check_export(path: Path) -> None:
    """Raise MissingExtraError before the work where the format needs a package that is not there."""
    if path.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise missing_extra("export", "pyarrow")


def exported(document: Mapping[str, Any], path: Path) -> bytes:
    """The content of a file whose name ends in .csv or .parquet.

    Raises: MissingExtraError without the extra `export` for Parquet.
    """
    check_export(path)
    return _parquet(document) if path.suffix.lower() == ".parquet" else _csv(document)


def columns(document: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The table: number, arguments of the grid, state, metrics, error, a row for each trial; None where absent."""
    trials = document["trials"]
    names = document["columns"]
    found = {"trial": [one["trial"] for one in trials]}
    found |= {name: [one["parameters"][name] for one in trials] for name in names["grid"]}
    found["state"] = [one["state"] for one in trials]
    for name, title in metric_columns(names["grid"], names["metrics"]).items():
        found[title] = [(one["metrics"] or {}).get(name) for one in trials]
    return {**found, "error": [one["error"] for one in trials]}


def _csv(document: Mapping[str, Any]) -> bytes:
    """UTF-8, floats with all their digits (Python's shortest that reads back the same), empty where absent."""
    table = columns(document)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return stream.getvalue().encode(errors="backslashreplace")


def _parquet(document: Mapping[str, Any]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    made = {name: pyarrow.array(_of_one_kind(values)) for name, values in columns(document).items()}
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(made), sink)
    return bytes(sink.getvalue())


def _of_one_kind(values: Sequence[Any]) -> Sequence[Any]:
    """A column of Parquet has one type: texts among numbers make all of it text."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2:
        return values
    common = float if kinds == {int, float} else str
    return [None if value is None else common(value) for value in values]
