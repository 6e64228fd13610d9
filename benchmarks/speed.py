"""Measures the speed of the faces and holds it against the goals: `make bench` (25 minutes on two quiet cores).

    .venv/bin/python benchmarks/speed.py            measure, then write docs/speed/
    .venv/bin/python benchmarks/speed.py NAME       only the run of that name, such as float32-1-thread
    .venv/bin/python benchmarks/speed.py --write    only write docs/speed/README.md again, from the documents there

Each run is a `normlab bench` with its document and page beside the table of goals, which names machine and versions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import normlab as nl
from normlab.benchmark.judging import geometric

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "speed"
TIERS = ("L2", "L3", "memory")
CEILING_SHARE = 0.8  # nobody has to come nearer to a plain copy than this


class Goal(NamedTuple):
    """How many times as long as normlab torch (eager) shall take."""

    method: str
    layout: str
    both: bool
    ratio: float
    tiers: tuple[str, ...] = TIERS
    dtype: str = "float32"


GOALS = (
    Goal("batch_norm", "n c ...", False, 5.0),
    Goal("batch_norm", "n c ...", True, 4.0),
    Goal("instance_norm", "n c ...", False, 5.0),
    Goal("instance_norm", "n c ...", True, 5.0),
    Goal("local_response_norm", "n c ...", False, 10.0),
    Goal("local_response_norm", "n c ...", True, 10.0),
    Goal("rms_norm", "... c", False, 3.0),
    Goal("rms_norm", "... c", True, 4.0),
    Goal("layer_norm", "n c ...", False, 3.0),
    Goal("layer_norm", "n c ...", True, 3.0),
    Goal("layer_norm", "... c", False, 1.3, ("memory",)),
    Goal("layer_norm", "... c", False, 1.6, ("L2", "L3")),
    Goal("layer_norm", "... c", True, 1.3, ("memory",)),
    Goal("layer_norm", "... c", True, 1.6, ("L2", "L3")),
    Goal("group_norm", "n c ...", False, 1.8),
    Goal("group_norm", "n c ...", True, 1.8),
    Goal("rms_norm", "... c", False, 10.0, TIERS, "bfloat16"),
    Goal("rms_norm", "... c", True, 10.0, TIERS, "bfloat16"),
    Goal("local_response_norm", "n c ...", False, 10.0, TIERS, "bfloat16"),
)


METHODS = tuple(dict.fromkeys(goal.method for goal in GOALS))
FRAMEWORKS = ("normlab torch", "torch", "jax", "mlx")
# Two shapes a tier where there is a goal, one elsewhere; compiling with torch takes seconds a case, so it has a run of
# its own, and every method on every face is timed once. The memory tier takes two thirds of the time.
RUNS: dict[str, dict[str, Any]] = {
    "float32-1-thread": {"methods": METHODS, "shapes": 2, "contestants": (*FRAMEWORKS, "onnxruntime")},
    "float32-2-threads": {"methods": METHODS, "shapes": 2, "contestants": (*FRAMEWORKS, "onnxruntime"), "threads": 2},
    "bfloat16-1-thread": {"methods": METHODS, "contestants": FRAMEWORKS, "tiers": TIERS, "dtype": "bfloat16"},
    "float32-compiled": {
        "methods": METHODS, "contestants": ("normlab torch", "torch", "torch compiled"), "tiers": ("L3",),
    },
    "float32-every-method": {
        "contestants": (*FRAMEWORKS, "normlab numpy", "numpy", "normlab jax", "normlab mlx"), "tiers": ("L3",),
    },
}  # fmt: skip
JUDGED = ("float32-1-thread", "float32-2-threads", "bfloat16-1-thread")  # the others show what no goal speaks of
SECONDS = 0.05
_CALL = (
    "beside its kernels a call both ways takes some 75 us in Python (autograd.Function, and what decides for the "
    "kernels) and the first touch of y and dx"
)
_COLUMNS = "sets that lie side by side in memory: x is swept more than once, and a call starts several kernels"
# Why a goal was missed, by method, axes and pass; shown beside the verdict.
REASONS: dict[tuple[str, str, str], str] = {
    ("batch_norm", "n c ...", "forward"): "two sweeps of x; Python takes half of a call at 0.2 MB",
    ("batch_norm", "n c ...", "both"): _CALL,
    ("instance_norm", "n c ...", "forward"): "Python takes a third of a call at 0.2 MB",
    ("instance_norm", "n c ...", "both"): _CALL,
    ("local_response_norm", "n c ...", "forward"): "Python takes two thirds of a call at 0.2 MB",
    ("local_response_norm", "n c ...", "both"): "Python takes two thirds of a call at 0.2 MB",
    ("rms_norm", "... c", "forward"): "Python takes 12 us of a call, half of it at 0.2 MB; bfloat16: rounding as well",
    ("rms_norm", "... c", "both"): _CALL,
    ("layer_norm", "n c ...", "forward"): _COLUMNS,
    ("layer_norm", "n c ...", "both"): f"{_COLUMNS}; {_CALL}",
    ("layer_norm", "... c", "forward"): "Python takes 12 us of a call, the kernel twice as long as a copy",
    ("layer_norm", "... c", "both"): f"{_CALL}; torch's own backward is one C++ call",
    ("group_norm", "n c ...", "forward"): "Python takes 10 us of a call, half of it at 0.2 MB",
    ("group_norm", "n c ...", "both"): f"{_CALL}; torch's own backward is one C++ call",
}


def measure(names: Sequence[str]) -> None:
    """Run the benchmarks of these names and keep their documents and pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, settings in ((name, RUNS[name]) for name in names):
        result = nl.bench(seconds=SECONDS, on_case=_progress, **settings)
        print(f"\n{result}\n", file=sys.stderr)
        (FOLDER / f"{name}.json").write_text(result.to_json(indent=1) + "\n", encoding="utf-8")
        (FOLDER / f"{name}.html").write_text(result.to_html("en"), encoding="utf-8")


def _progress(done: int, total: int, latest: str) -> None:
    print(f"\r{done} of {total} {latest:<24}", end="", file=sys.stderr, flush=True)


def judged(document: Mapping[str, Any], goal: Goal) -> str | None:
    """One line of the table; None where the document has no such case."""
    every = [
        r for r in document["rows"]
        if (r["method"], r["layout"], r["both"]) == (goal.method, goal.layout, goal.both) and r["tier"] in goal.tiers
    ]  # fmt: skip
    names = goal.method, goal.layout, "both" if goal.both else "forward", ", ".join(goal.tiers)
    rows = [r for r in every if "over_normlab" in r["contestants"].get("torch", {})]
    sound = [r for r in rows if not r["contestants"]["torch"]["void"]]
    if every and not sound:
        why = "every case was void" if rows else f"torch: {every[0]['refused'].get('torch', 'not there')}"
        cells = [*names, f"{goal.ratio:g}", *[""] * 6, f"{len(rows)} of {len(rows)}", "not judged", why]
        return "| " + " | ".join(cells) + " |"
    if not every:
        return None
    ratios = [r["contestants"]["torch"]["over_normlab"] for r in sound]
    ceiling = geometric(r["contestants"]["torch"]["us"] / r["clone_us"] for r in sound) or 0.0
    low, middle = geometric(r["low"] for r in ratios) or 0.0, geometric(r["ratio"] for r in ratios) or 0.0
    wanted = min(goal.ratio, CEILING_SHARE * ceiling)
    worst = min(sound, key=lambda r: r["contestants"]["torch"]["over_normlab"]["ratio"])
    shape = "x".join(map(str, worst["shape"]))
    kernels = geometric(r["contestants"]["torch"]["us"] / r["kernel_us"] for r in sound if r["kernel_us"])
    cells = [
        *names, f"{goal.ratio:g}", f"{ceiling:.2f}", f"{wanted:.2f}", f"{middle:.2f}", f"{low:.2f}",
        f"{worst['contestants']['torch']['over_normlab']['ratio']:.2f} ({shape})",
        f"{kernels:.2f}" if kernels else "none", f"{len(rows) - len(sound)} of {len(rows)}",
        "met" if low >= wanted else f"missed by {100 * (1 - low / wanted):.0f} %",
        "" if low >= wanted else REASONS.get((goal.method, goal.layout, names[2]), ""),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def below_one(document: Mapping[str, Any]) -> Iterator[str]:
    """The cases in which a peer is faster than normlab on PyTorch."""
    for r in document["rows"]:
        for name, entry in r["contestants"].items():
            over = entry.get("over_normlab")
            if over is None or entry["void"] or name.startswith("normlab"):
                continue
            small = r["contestants"][r["reference"]]["us"] < 20 if r["reference"] else False
            if over["high"] < (0.5 if small else 1.0):
                shape = "x".join(map(str, r["shape"]))
                way = "both" if r["both"] else "forward"
                yield f"{r['method']} {r['layout']} {shape} {way}: {name} {over['ratio']:.2f}"


HEAD = (
    "| method | axes | pass | tiers | goal | ceiling | wanted | ratio | low | worst | kernels | void | | why |",
    "| --- " * 14 + "|",
)


def page() -> str:
    """The table of goals for every run, with what missed and where a peer is faster."""
    lines = [
        "# Speed on a CPU", "",
        "Written by `make bench`. Ratio: how many times as long as normlab's layer torch (eager) takes, 10th "
        "percentiles, geometric mean over the shapes; low: the mean of the lower ends of the bootstrap intervals "
        "of 95 %, which is what counts; ceiling: torch's time over that of a plain copy of the fewest bytes; wanted: "
        f"the goal, or {CEILING_SHARE:g} of the ceiling where that is lower; worst: the smallest ratio and its shape; "
        "kernels: the ratio if normlab took no time outside its compiled kernels; void: cases in which one of the two "
        "was slowed down by the others, left out. The documents and pages of the runs stand beside this.",
    ]  # fmt: skip
    for path in (p for p in (FOLDER / f"{name}.json" for name in RUNS) if p.exists()):
        document = json.loads(path.read_text(encoding="utf-8"))
        s, machine = document["settings"], document["machine"]
        versions = ", ".join(f"{k} {v}" for k, v in document["versions"].items())
        lines += ["", f"## {path.stem}", "", f"{machine['processor']}, threads: {s['threads']}; {versions}.", ""]
        lines += [f"    {document['command']}", ""]
        goals = GOALS if path.stem in JUDGED else ()
        table = [line for g in goals if g.dtype == s["dtype"] and (line := judged(document, g))]
        lines += [*HEAD, *table, ""] if table else []
        lines += [f"- {v['en']}" for v in document["verdicts"]]
        slower = list(below_one(document))
        lines += [""] * bool(slower)
        lines += [f"Cases in which a peer is faster than normlab on PyTorch: {len(slower)}.", ""] if slower else []
        lines += [f"- {one}" for one in slower]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--write" not in sys.argv[1:]:
        measure([name for name in RUNS if name in sys.argv[1:] or len(sys.argv) == 1])
    FOLDER.joinpath("README.md").write_text(page(), encoding="utf-8")
