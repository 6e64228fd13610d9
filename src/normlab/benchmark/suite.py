"""What is timed: for each method, layout and pass a few shapes, from those that fit the smallest cache to memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import registry
from ..definition import Definition
from ..errors import UsageError, unknown
from ..fitting import fit
from ..pattern import Plan

__all__ = ["DTYPES", "PASSES", "TIERS", "Case", "caches", "cases", "floor_units", "tier_of"]

TIERS = ("L1", "L2", "L3", "memory")
PASSES = ("forward", "both")
DTYPES = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}
# What a system that does not tell is taken to have.
USUAL_CACHES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}

# (samples, channels, height, width), (tokens, features) and (outputs, inputs), as networks have them.
IMAGES = ((2, 16, 8, 8), (4, 64, 14, 14), (8, 64, 28, 28), (16, 256, 14, 14), (32, 64, 28, 28), (32, 64, 56, 56))
TOKENS = ((16, 128), (128, 512), (197, 768), (1024, 768), (2048, 1024), (16384, 1024))
WEIGHTS = ((32, 64), (256, 256), (512, 512), (1024, 1024), (2048, 1024), (4096, 4096))


@dataclass(frozen=True)
class Case:
    """One thing to time; `both` passes are the forward pass and then the gradients of x and of all parameters."""

    method: str
    layout: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    both: bool = False
    threads: int = 1

    @property
    def definition(self) -> Definition:
        return registry.method(self.method)

    @property
    def channels(self) -> int:
        """The size of the axis that holds the channels, or a weight's outputs."""
        names = self.layout.split()
        name = next((n for n in ("o", "c") if n in names), None)
        if name is None:  # element by element: any axis will do
            return self.shape[-1]
        place = names.index(name)
        return self.shape[place if "..." not in names[:place] else place - len(names)]

    @property
    def bytes(self) -> int:
        """The size of x."""
        return math.prod(self.shape) * DTYPES[self.dtype]

    @property
    def plan(self) -> Plan | None:
        """What is pooled; None for a method given by its forward."""
        options = self.definition.validate({})
        return fit(self.definition, self.shape, self.layout, options, {}).plan

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers and words; `Case(**found)` makes it again, `shape` as a tuple."""
        return asdict(self)


def cases(
    methods: Sequence[str] | None = None, *, dtype: str = "float32", passes: Sequence[str] = PASSES,
    tiers: Sequence[str] = TIERS, threads: int = 1, shapes: int | None = None,
) -> list[Case]:  # fmt: skip
    """Every case that is asked for; `shapes` at most for each tier. Raises UsageError for what is not known."""
    for what, given, known in (("pass", passes, PASSES), ("tier", tiers, TIERS), ("dtype", (dtype,), DTYPES)):
        for one in given:
            if one not in known:
                raise unknown(what, str(one), known)
    if threads < 1:
        raise UsageError(f"bench: threads must be at least 1, got {threads}.")
    found = []
    for definition in _chosen(methods):
        for layout in layouts(definition):
            for tier in tiers:
                fitting = [s for s in shapes_for(definition, layout) if tier_of(s, dtype) == tier]
                for shape in fitting[:shapes]:
                    for one in passes:
                        found.append(Case(definition.name, layout, shape, dtype, one == "both", threads))
    return found


def _chosen(methods: Sequence[str] | None) -> list[Definition]:
    acting = [d for d in registry.methods() if d.role not in ("input", "condition")]
    if not methods:
        return acting
    chosen = [registry.method(name) for name in methods]
    for definition in chosen:
        if definition not in acting:
            raise UsageError(f"bench: {definition.name} cannot be timed alone: its role is {definition.role}.")
    return chosen


def layouts(definition: Definition) -> tuple[str, ...]:
    """The orders of axes that are timed: the method's own, and images with their channels elsewhere."""
    if definition.role == "weight" or definition.layout == "...":
        return (definition.layout,)
    return (definition.layout, "n ... c" if definition.layout == "n c ..." else "n c ...")


def shapes_for(definition: Definition, layout: str) -> tuple[tuple[int, ...], ...]:
    """The shapes, smallest first, with their axes in the order of `layout`."""
    if definition.role == "weight":
        return WEIGHTS
    if layout in ("...", "... c"):
        return TOKENS
    return tuple(s if layout == "n c ..." else (s[0], *s[2:], s[1]) for s in IMAGES)


def tier_of(shape: Sequence[int], dtype: str) -> str:
    """The smallest cache that holds x and the result together."""
    needed = 2 * math.prod(shape) * DTYPES[dtype]
    return next((name for name, size in caches().items() if needed <= size), "memory")


@lru_cache(maxsize=1)
def caches() -> dict[str, int]:
    """The sizes of one core's caches in bytes, as the system tells them; see USUAL_CACHES where it does not."""
    found = dict(USUAL_CACHES)
    for entry in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((entry / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction" and f"L{level}" in found and size[-1:] in "KM":
            found[f"L{level}"] = int(size[:-1]) << (10 if size[-1] == "K" else 20)
    return found


def floor_units(case: Case) -> int:
    """How often x's bytes must be moved at least: the byte floor of the pass.

    Forward x and y; backward x, dy and dx. Where a statistic's set does not stay in the second cache the arrays that
    are read must be read twice.
    """
    plan = case.plan
    far = plan is not None and plan.count * DTYPES[case.dtype] > caches()["L2"]
    forward, backward = 2 + far, 3 + 2 * far
    return forward + (backward if case.both else 0)
