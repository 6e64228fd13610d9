"""Calling the command line in tests: in this process where that is enough, in one of its own where it matters."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from normlab.cli import main
from normlab.report.cells import cell_len

COLUMNS = 80
SMALL = ("--width", "12", "--batch", "30", "--cotangents", "2")
"""A comparison of milliseconds: what is printed about it does not depend on its size."""


@dataclass(frozen=True)
class Said:
    """What a command line printed and how it ended."""

    code: int
    out: str
    err: str


class Caller:
    """Calls `main` and collects what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Said:
        self._capsys.readouterr()
        code = main(list(arguments))
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)


def environment(**more: str) -> dict[str, str]:
    """This process's environment, and this checkout's package however it is found here."""
    paths = [path for path in sys.path if path and Path(path, "normlab").is_dir()]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


def start(*arguments: str, cwd: Path | None = None, **more: str) -> subprocess.Popen[str]:
    """`python -m normlab` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "normlab", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", cwd=cwd, env=environment(**more),
    )  # fmt: skip


def finish(process: subprocess.Popen[str], timeout: float = 60) -> Said:
    """Wait for a process and collect what it printed; one that goes on for ever is ended, and the test fails."""
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
        return Said(process.returncode, out, err)


def too_wide(text: str) -> list[str]:
    """Lines of prose and numbers that do not fit; a command to paste stays on one line however long it is."""
    lines = (line for line in text.splitlines() if " compare " not in line and not line.lstrip().startswith("normlab "))
    return [line for line in lines if cell_len(line) > COLUMNS]
