"""`make demo` on a fresh copy: from any folder name, once with an installation and once without."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CARRIED = ("Makefile", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", "src")
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "*.egg-info")
FOLDER = "한글 (a b) & c's $x"


def copy_to(folder: Path) -> Path:
    folder.mkdir()
    for name in CARRIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=LEFT_BEHIND)
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def make(target: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", target], cwd=folder, env=outside_make(), capture_output=True, text=True)


def outside_make() -> dict[str, str]:
    """The environment that a shell gives to make, not a part of the make that may be running the tests."""
    inside = ("MAKE", "MFLAGS", "PYTHON", "VIRTUAL_ENV", "COV_", "WORKERS", "TESTS")
    return {k: v for k, v in os.environ.items() if not k.startswith(inside)}


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_make_demo_works_from_any_folder_and_installs_once(tmp_path: Path) -> None:
    folder = copy_to(tmp_path / FOLDER)
    first = make("demo", folder)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "installing" in first.stderr
    begun = time.perf_counter()
    second = make("demo", folder)
    assert second.returncode == 0 and second.stderr == ""
    print(f"make demo after installation: {time.perf_counter() - begun:.1f} s (goal: 15 s)")
    assert re.search("[가-힣]{2}.*다[.(]", second.stdout) and "carries the gradient best" in second.stdout

    page = (folder / "normlab-report.html").read_text(encoding="utf-8")
    assert all(f"--preset {name}" in page for name in ("note-1", "note-5")) and "--data digits" in page

    pasted = second.stdout.splitlines()[-4:]
    for line in pasted:
        assert "normlab" in line
        run = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True)
        assert run.returncode == 0 and len(run.stdout) > 500, (line, run.stderr)
    assert any("--lang ko" in line for line in pasted)

    freeze = subprocess.run([".venv/bin/python", "-m", "pip", "list"], cwd=folder, capture_output=True, text=True)
    assert not re.search(r"^(torch|jax|flax|mlx|numba|matplotlib|scikit-learn) ", freeze.stdout, re.M)  # the base package alone

    moved = folder.rename(tmp_path / "moved")
    os.utime(moved / ".venv" / ".base")
    said = make("help", moved)
    assert said.returncode == 0
    assert not (moved / ".venv").exists()  # an environment knows its folder: another folder's is gone, and made anew as above


def test_how_many_processes_run_the_tests_is_for_the_caller_to_say() -> None:
    for given, expected in (([], "-n 2 "), (["WORKERS=0", "TESTS=-k word"], "-n 0 ")):
        command = ["make", "-C", str(ROOT), "--no-print-directory", "-n", "test", *given]
        said = subprocess.run(command, capture_output=True, text=True, env=outside_make())
        assert said.returncode == 0
        (line,) = (one for one in said.stdout.splitlines() if "-m pytest" in one)
        assert expected in line and ("-k word" in line) == bool(given)


def test_the_seconds_of_an_area_are_counted_whoever_ran_it(tmp_path: Path) -> None:
    """Two files of one area and one of another, with sleeps that nothing else in this suite's machinery can hide."""
    sleeps = {"test_north_a": 0.2, "test_north_b": 0.2, "test_south": 0.5}
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    for name, seconds in sleeps.items():
        (tmp_path / f"{name}.py").write_text(f"import time\ndef test_one():\n    time.sleep({seconds})\ndef test_two():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--rootdir", str(tmp_path), str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout
    found = {name: (float(spent), int(calls)) for name, spent, calls in re.findall(r"(north|south) +([\d.]+) s +(\d+)", said)}
    assert found["north"][1] == 4 and found["south"][1] == 2, said
    assert found["north"][0] >= 0.4 and found["south"][0] >= 0.5, said


def test_help_says_what_there_is() -> None:
    said = subprocess.run(["make", "-C", str(ROOT), "--no-print-directory", "help"], capture_output=True, text=True)
    assert said.returncode == 0 and "make demo" in said.stdout and "make test" in said.stdout


@pytest.mark.parametrize("script", [ROOT / ".ci" / "run"], ids=["ci"])
def test_the_ci_script_is_valid_and_turns_skips_into_failures(script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    text = script.read_text(encoding="utf-8")
    assert "NORMLAB_NO_SKIP=1" in text and "make test" in text and os.access(script, os.X_OK)
