"""What editors and type checkers know of the layers is what the definitions say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grid import acting
from normlab.torch import stubs

RIGHT = "from normlab.torch import BatchNorm\nlayer = BatchNorm(8, eps=1e-3, momentum=None)\nlayer.running_mean.sum()\n"
WRONG = {
    "BatchNorm(8, epsilon=1e-3)": 'Unexpected keyword argument "epsilon"',
    "BatchNorm(8, eps='small')": 'incompatible type "str"',
    "GroupNorm(8, groups=None)": "incompatible type",
    "LayerNorm(8, over='rows')": "incompatible type",
    "BatchNorm()": "Missing positional argument",
}


def test_the_stubs_are_up_to_date() -> None:
    assert stubs.FILE.read_text(encoding="utf-8") == stubs.text(), "run: python -m normlab.torch.stubs"
    assert all(f"class {d.class_name}(Layer):" in stubs.text() for d in acting())


def checked(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "planted.py").write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(folder / "cache"), "--follow-imports", "silent", "planted.py"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_type_checker_takes_what_is_right_and_refuses_what_is_not(tmp_path: Path) -> None:
    """One run for all: mypy reads torch each time anew, a minute's work."""
    lines = RIGHT + "from normlab.torch import GroupNorm, LayerNorm\n" + "\n".join(WRONG) + "\n"
    run = checked(tmp_path, lines)
    found = [line for line in run.stdout.splitlines() if "error:" in line]
    assert len(found) == len(WRONG), run.stdout + run.stderr
    for said, wanted in zip(found, WRONG.values(), strict=True):
        assert wanted in said
