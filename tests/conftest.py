"""What all tests share: a neutral environment, and the switch that turns skips into failures."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")  # nobody looks at a window here
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it runs behind, and children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
NO_SKIP = bool(os.environ.get("NORMLAB_NO_SKIP"))
"""Set where every test must run: there a missing browser, font or package is a failure, with its reason."""


@pytest.fixture(autouse=True)
def neutral_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """English, no colour switches: a test that wants another locale sets it."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls the command line in this process: `call("compare", "bn")` gives what it said."""
    from commanding import Caller

    return Caller(capsys)


@pytest.fixture(params=["formula", "kernels"])
def way(request: pytest.FixtureRequest) -> Generator[str, None, None]:
    """Both ways a call may go; by the formula, bytes do not depend on the order of memory either."""
    from contextlib import nullcontext

    from normlab import kernels

    with kernels.off() if request.param == "formula" else nullcontext():
        yield request.param


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.hookimpl(trylast=True)  # so that the faces of one case follow each other, and share what it is compared with
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `every_face` runs on each: as it is used and, where kernels take calls, by the formula."""
    if "every_face" in metafunc.fixturenames:
        from faces import WAYS

        metafunc.parametrize("every_face", WAYS, indirect=True)


@pytest.fixture
def every_face(request: pytest.FixtureRequest) -> Generator[Any]:
    """The adapter of a face; see faces.py."""
    from faces import on

    with on(request.param) as face:
        yield face


def _as_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"NORMLAB_NO_SKIP is set, so this may not be skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        _as_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: Any) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if NO_SKIP and report.skipped:
        _as_failure(report)
    return report


def area(nodeid: str) -> str:
    """`tests/test_cli_info.py::...` belongs to `cli`; what runs in src are docstrings."""
    path = Path(nodeid.partition("::")[0])
    return path.stem.split("_")[1] if path.stem.startswith("test_") else "docstrings"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Where the seconds go: a table by area, which is the first word of a file's name."""
    seconds: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for report in (r for reports in terminalreporter.stats.values() for r in reports if hasattr(r, "duration")):
        seconds[area(report.nodeid)] += report.duration
        calls[area(report.nodeid)] += report.when == "call"
    if not seconds:
        return
    terminalreporter.section(f"seconds per area: {sum(seconds.values()):.0f} in all")
    cells = [f"{name:<12}{spent:>7.1f} s {calls[name]:>5}" for name, spent in seconds.most_common()]
    for first in range(0, len(cells), 3):
        terminalreporter.write_line("   ".join(cells[first : first + 3]).rstrip())
    if "grid" in seconds:
        from faces import NO_DEVICE

        terminalreporter.write_line(NO_DEVICE or "the grid ran on torch-cuda as well")
