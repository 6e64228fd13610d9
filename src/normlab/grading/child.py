"""The process in which somebody's code runs: reads a task, grades, writes what it finds line by line, and ends."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any

__all__ = ["grade", "main"]


def grade(task: Mapping[str, Any], path: str, target: Any = None) -> None:
    """Grade what a task names (or `target`, where the process has it already) and write the findings to `path`."""
    with open(path, "a", encoding="utf-8") as stream:

        def write(line: str) -> None:
            stream.write(line + "\n")
            stream.flush()

        _grade(task, write, target)


def _grade(task: Mapping[str, Any], write: Any, target: Any) -> None:
    from ..experiments.repeatable import by_the_formula
    from .examining import examine
    from .findings import Findings
    from .loading import loaded
    from .problems import Failed, Refused
    from .quiet import quietly
    from .reading import read

    findings = Findings(write)
    definition, given = read(task["as"])
    try:
        with by_the_formula():
            findings.asking("loading", shape=())
            with quietly():
                target = target or loaded(task)
            _one_thread()
            examine(target, definition, given, findings)
    except Refused as problem:
        findings.refused(problem.key, **problem.fields)
    except Failed as problem:
        findings.check("runs", False)
        findings.fault(problem.key, **problem.fields)
    except Exception as problem:  # theirs are caught where they are called: this one is ours
        findings.defect("".join(traceback.format_exception(problem)))
    findings.done()


def _one_thread() -> None:
    """torch on one thread: the order of its sums, and a forked process without its pool."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
        torch.manual_seed(0)


def main(arguments: list[str]) -> None:
    """Grade the task of a file; what is left of the process ends without the exit handlers of somebody's code."""
    task, path = arguments
    with open(task, encoding="utf-8") as stream:
        asked = json.load(stream)
    sys.path[:] = [*asked["path"]]
    grade(asked, path)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

