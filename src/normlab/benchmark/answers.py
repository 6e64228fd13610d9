"""What the figures say: one line for each method and peer, and sentences, favourable or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from .judging import geometric
from .suite import TIERS

__all__ = ["answers", "summary"]

Row = Mapping[str, Any]
CACHED_TIERS = ("L2", "L3", "memory")  # below them the Python call is what takes the time
EVEN = 1.05  # nearer to 1 than this is "as fast"
FRAMEWORKS = {"torch": "PyTorch", "numpy": "NumPy", "jax": "JAX", "mlx": "MLX"}


def summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For each method, order of axes, pass and peer: the geometric mean of the ratios over the tiers from L2 on.

    `low` is the mean of the intervals' lower ends; `worst` the smallest ratio with its shape; `ceiling` the mean of
    what a plain copy of the fewest bytes would give; `tiers` what the means are over: below L2 only where nothing else
    was timed; void comparisons are left out and counted.
    """
    found = []
    keys = dict.fromkeys((r["method"], r["layout"], r["both"]) for r in rows)
    for method, layout, two in keys:
        own = [r for r in rows if (r["method"], r["layout"], r["both"]) == (method, layout, two)]
        own = [r for r in own if r["tier"] in CACHED_TIERS] or own
        for peer in dict.fromkeys(n for r in own for n in r["contestants"] if n != r["reference"]):
            line = _line(own, peer)
            if line is not None:
                found.append({"method": method, "layout": layout, "both": two, "peer": peer, **line})
    return found


def _line(rows: Sequence[Row], peer: str) -> dict[str, Any] | None:
    here = [r for r in rows if peer in r["contestants"] and r["contestants"][peer].get("over_normlab")]
    sound = [r for r in here if not r["contestants"][peer]["void"]]
    if not sound:
        return None
    ratios = [r["contestants"][peer]["over_normlab"] for r in sound]
    worst = min(sound, key=lambda r: r["contestants"][peer]["over_normlab"]["ratio"])
    ceilings = [r["contestants"][peer]["us"] / r["clone_us"] for r in sound if r["clone_us"]]
    return {
        "ratio": geometric(r["ratio"] for r in ratios), "low": geometric(r["low"] for r in ratios),
        "worst": worst["contestants"][peer]["over_normlab"]["ratio"], "worst_shape": worst["shape"],
        "ceiling": geometric(ceilings), "cases": len(sound), "void": len(here) - len(sound),
        "tiers": [t for t in TIERS if any(r["tier"] == t for r in sound)],
    }  # fmt: skip


def answers(rows: Sequence[Row], threads: int) -> list[dict[str, str]]:
    """The sentences of a benchmark, the study note's question first: is MLX faster than NumPy or PyTorch?"""
    found = []
    for other, name in (("numpy", "NumPy"), ("torch", "PyTorch")):
        ratio, count = _between(rows, other, "mlx")
        if ratio is not None:
            found.append(_faster(name, ratio, count, threads))
    for other, name in FRAMEWORKS.items():
        ours = [r for r in _sound(rows, other) if r["reference"] == f"normlab {other}"]
        ratios = [r["contestants"][other]["over_normlab"]["ratio"] for r in ours]
        if ratios:
            found.append(_verdict(name, ratios))
    return [dict(text) for text in found]


def _verdict(name: str, ratios: Sequence[float]) -> Mapping[str, str]:
    """Who is faster, normlab on a framework or the framework itself, by a factor that is never below 1."""
    ratio = geometric(ratios) or 1.0
    words = {"name": name, "n": len(ratios), "slower": sum(r < 1 for r in ratios), "faster": sum(r > 1 for r in ratios)}
    if ratio > EVEN:
        return both(
            "normlab on {name} is {ratio} times as fast as {name} itself over {n} cases; in {slower} of them it is "
            "slower.", ratio=f"{ratio:.2f}", **words,
        )  # fmt: skip
    if ratio < 1 / EVEN:
        return both(
            "{name} itself is {ratio} times as fast as normlab on {name} over {n} cases; in {faster} of them normlab "
            "is faster.", ratio=f"{1 / ratio:.2f}", **words,
        )  # fmt: skip
    return both(
        "normlab on {name} and {name} itself are equally fast over {n} cases; in {slower} of them normlab is slower.",
        **words,
    )


def _sound(rows: Sequence[Row], *names: str) -> list[Row]:
    """The rows in which all of these took part, none disturbed."""
    return [
        r for r in rows
        if all(n in r["contestants"] and not r["contestants"][n]["disturbed"] for n in names)
        and all("over_normlab" in r["contestants"][n] or n == r["reference"] for n in names)
    ]  # fmt: skip


def _between(rows: Sequence[Row], slow: str, fast: str) -> tuple[float | None, int]:
    both_there = _sound(rows, slow, fast)
    times = [r["contestants"][slow]["us"] / r["contestants"][fast]["us"] for r in both_there]
    return geometric(times), len(times)


def _faster(name: str, ratio: float, count: int, threads: int) -> Mapping[str, str]:
    words = {"name": name, "n": count, "threads": threads}
    if ratio > EVEN:
        return both(
            "Is MLX faster? On this machine, yes: {ratio} times as fast as {name} over {n} cases (threads: {threads}).",
            ratio=f"{ratio:.2f}", **words,
        )  # fmt: skip
    if ratio < 1 / EVEN:
        return both(
            "Is MLX faster? On this machine, no: {name} is {ratio} times as fast over {n} cases (threads: {threads}).",
            ratio=f"{1 / ratio:.2f}", **words,
        )  # fmt: skip
    return both(
        "Is MLX faster? On this machine MLX and {name} are equally fast over {n} cases (threads: {threads}).", **words
    )
