"""`make demo` on a fresh copy: from any folder name, once with an installation and once without."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
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
    """Run make as a shell would, not as a part of the make that may be running the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PYTHON", "VIRTUAL_ENV", "COV_"))}
    return subprocess.run(["make", target], cwd=folder, env=kept, capture_output=True, text=True)


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
    again = make("demo", moved)
    assert again.returncode == 0 and "installing" in again.stderr  # an environment knows its folder: made again


def test_help_says_what_there_is() -> None:
    said = subprocess.run(["make", "-C", str(ROOT), "--no-print-directory", "help"], capture_output=True, text=True)
    assert said.returncode == 0 and "make demo" in said.stdout and "make test" in said.stdout


@pytest.mark.parametrize("script", [ROOT / ".ci" / "run"], ids=["ci"])
def test_the_ci_script_is_valid_and_turns_skips_into_failures(script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    text = script.read_text(encoding="utf-8")
    assert "NORMLAB_NO_SKIP=1" in text and "make test" in text and os.access(script, os.X_OK)
