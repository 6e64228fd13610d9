"""Writes elsewhere.md (`python tests/elsewhere.py`, some minutes): what other libraries and our faces make of the cases."""

from __future__ import annotations

import platform
import sys
import warnings
from pathlib import Path

import numpy as np

import elsewhere_rows as make
import hard_inputs as hard
from elsewhere_libraries import LIBRARIES, Absent, Library, library


def attempt(say: make.Say, lib: Library) -> str:
    try:
        return say(lib)
    except Absent:
        return ""
    except Exception as problem:
        text = f"{type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''}"
        return f"raises {text if len(text) < 60 else text[:57] + '...'}"


def table() -> dict[int, list[make.Row]]:
    """The rows of every case that is judged here; the others are left to the tests that `hard_inputs` names."""
    big = np.random.default_rng(8).random((1, 8, 256, 256, 72), np.float32)
    far32, far64 = hard.far("float32"), hard.far("float64")
    tiny = hard.tiny_and_huge()
    far_rows = hard.ratio(1e6, (8, 512))
    return {
        1: [make.columns(hard.batch_far_from_zero()), make.running(hard.batch_far_from_zero())],
        2: [make.layer(hard.narrow_rows(64)), make.running(np.ascontiguousarray(hard.narrow_rows(2).T))],
        3: [make.layer(x, 1e-5, f"base {m}") for x, m in zip(far32 + far64, ("1e6", "1e7") * 2, strict=True)],
        4: [make.layer(hard.fourteen_hundred())],
        5: [make.layer(far_rows), make.columns(hard.ratio(1e6, (512, 8))), make.rms(far_rows, 1e-5)],
        6: [make.layer(hard.million_near_1e12())],
        7: [make.layer(hard.ratio(1e15, (8, 400), "float64")), make.frozen()],
        8: [make.groups(big, 1, "one group of 37.7 million")],
        9: [make.groups(hard.channels_last_far(), 4, "channels last"),
            make.groups(np.ascontiguousarray(hard.channels_last_far()), 4, "contiguous")],
        10: [*make.constant(0.0), *make.constant(1000.1), make.alone()],
        11: [make.slope_outside()],
        12: [make.flat()],
        13: [make.zero_vector()],
        14: [make.layer(hard.half_large()), make.rms(hard.half_large(), 1e-5)],
        15: [make.half_weight()],
        16: [make.layer(tiny[0], 1e-5, "near 1e20"), make.rms(tiny[0], 1e-5), make.layer(tiny[1], 0.0, "near 1e-30, eps 0"),
             make.rms(tiny[1], 0.0), make.near_1e200()],
        17: [make.one_value()],
        18: [make.sense()],
        23: [make.groups(np.random.default_rng(0).standard_normal((3, 48, 5)).astype(np.float32), 16, "48 channels, 16 groups")],
        27: [make.memory()],
        29: [make.default_eps()],
        30: [make.rounded_once()],
        31: make.selections(),
        32: [make.corner("batch norm of (0, 3)", np.ones((0, 3), np.float32)), make.corner("batch norm of (4, 0)", np.ones((4, 0), np.float32))],
        34: [make.both_threads()],
    }  # fmt: skip


def write() -> str:
    rows, libraries = table(), [library(name) for name in LIBRARIES]
    versions = ", ".join(lib.version for lib in libraries[:5])
    lines = [
        "# The numbered cases elsewhere",
        "",
        f"Written by `python tests/elsewhere.py` with {versions}, NumPy {np.__version__}, Python {platform.python_version()} on "
        f"{platform.machine()}, on the CPU; Flax with its default variance, Keras on torch, each library's own default beside "
        "what a row says. Numbers are units: error over (eps of the dtype times the largest value of the set), worst set; see "
        "`comparing.py`. The goal is 2, in half precision 1. An empty cell: the library has no such thing. The last four "
        "columns are normlab's faces, as they come.",
        "",
        "| # | case | on | " + " | ".join(LIBRARIES) + " |",
        "| --- | --- | --- |" + " --- |" * len(LIBRARIES),
    ]
    for number, what in sorted(hard.APPLIES.items()):
        for name, say in rows.get(number, []):
            print(number, name, file=sys.stderr)
            cells = [str(number), what, name, *(attempt(say, lib) for lib in libraries)]
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        if number not in rows:
            where, theirs = hard.BY_TESTS[number]
            lines.append(f"| {number} | {what} | {where} | {' | '.join([*theirs, *['right'] * 4])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"):
        Path(__file__).with_name("elsewhere.md").write_text(write(), encoding="utf-8")
    print("written", file=sys.stderr)
