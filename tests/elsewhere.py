"""Writes elsewhere.md (`python tests/elsewhere.py`, two minutes): what torch and the NumPy face make of the cases."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import elsewhere_rows as make
import hard_inputs as hard
from normlab import functional
from normlab.errors import NormlabError

Say = make.Say


def attempt(say: Say) -> str:
    try:
        return say()
    except (NormlabError, RuntimeError, ValueError, TypeError) as problem:
        text = str(problem).splitlines()[0]
        return f"raises {type(problem).__name__}: {text if len(text) < 90 else text[:87] + '...'}"


def table() -> dict[int, list[tuple[str, Say, Say]]]:
    """The rows of every case that applies; those that two libraries cannot do differently are left to the tests."""
    big = np.random.default_rng(8).random((1, 8, 256, 256, 72), np.float32)
    far32, far64 = hard.far("float32"), hard.far("float64")
    tiny = hard.tiny_and_huge()
    flat = np.full((1000, 3), 1e6 + 0.1, np.float32)
    return {
        1: [make.columns(hard.batch_far_from_zero()), make.running(hard.batch_far_from_zero())],
        2: [make.layer(hard.narrow_rows(64)), make.running(np.ascontiguousarray(hard.narrow_rows(2).T))],
        3: [*(make.layer_named(x, 1e-5, f"base {m}") for x, m in zip(far32 + far64, ("1e6", "1e7") * 2, strict=True))],
        4: [make.layer(hard.fourteen_hundred())],
        5: [make.layer(hard.ratio(1e6, (8, 512))), make.columns(hard.ratio(1e6, (512, 8))), make.rms(hard.ratio(1e6, (8, 512)), 1e-5)],
        6: [make.layer(hard.million_near_1e12())],
        7: [make.layer(hard.ratio(1e15, (8, 400), "float64")), make.frozen()],
        8: [make.groups(big, 1, "one group of 37.7 million")],
        9: [
            make.groups(hard.channels_last_far(), 4, "channels last"),
            make.groups(np.ascontiguousarray(hard.channels_last_far()), 4, "contiguous"),
        ],
        10: [
            *make.constant(0.0), *make.constant(1000.1),
            ("GroupNorm(27, 27) on (7, 27)",
             lambda: "gives " + make.yes(not np.any(F.group_norm(torch.ones(7, 27), 27).numpy()), "noise").replace("right", "zeros"),
             lambda: str(functional.group_norm(np.ones((7, 27)), groups=27))),
        ],
        11: [make.slope_outside()],
        12: [
            ("batch norm of 1e6 throughout, a thousand rows",
             lambda: make.noise(F.batch_norm(make.t(flat), None, None, training=True).numpy()), lambda: make.noise(functional.batch_norm(flat))),
        ],
        13: [make.zero_vector()],
        14: [make.layer(hard.half_large()), make.rms(hard.half_large(), 1e-5)],
        15: [make.half_weight()],
        16: [
            make.layer_named(tiny[0], 1e-5, "near 1e20"), make.rms(tiny[0], 1e-5),
            make.layer_named(tiny[1], 0.0, "near 1e-30, eps 0"), make.rms(tiny[1], 0.0),
            make.near_1e200(),
        ],
        17: [make.one_value()],
        23: [make.groups(np.random.default_rng(0).standard_normal((3, 48, 5)).astype(np.float32), 16, "48 channels, 16 groups")],
        27: [make.memory()],
        28: [make.instance_evaluation()],
        29: [make.default_eps()],
        30: [make.rounded_once()],
        31: make.selections(),
        32: [
            make.corner("batch norm of (0, 3)", np.ones((0, 3), np.float32), 3),
            make.corner("batch norm of (4, 0)", np.ones((4, 0), np.float32), 0),
        ],
        34: [make.threads()],
    }  # fmt: skip


def write() -> str:
    rows = table()
    lines = [
        "# The numbered cases elsewhere",
        "",
        f"Written by `python tests/elsewhere.py` with torch {torch.__version__}, NumPy {np.__version__}, Python "
        f"{platform.python_version()} on {platform.machine()}. Units: error over (eps of the dtype times the largest "
        "value of the set), worst set; see `comparing.py`. The goal is 2, in half precision 1. In the last column is "
        "the NumPy face.",
        "",
        "| # | case | on | torch | normlab |",
        "| --- | --- | --- | --- | --- |",
    ]
    for number, what in sorted({**hard.APPLIES, **hard.NOT_HERE}.items()):
        for name, theirs, ours in rows.get(number, []):
            cells = [str(number), hard.APPLIES[number], name, attempt(theirs), attempt(ours)]
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        if number in hard.NOT_HERE:
            lines.append(f"| {number} | not on this face | {what} | | |")
        elif number not in rows:
            lines.append(f"| {number} | {what} | {hard.BY_TESTS[number][0]} | {hard.BY_TESTS[number][1]} | right |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        Path(__file__).with_name("elsewhere.md").write_text(write(), encoding="utf-8")
    print("written", file=sys.stderr)
