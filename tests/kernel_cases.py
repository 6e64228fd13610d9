"""What the kernels' tests share: lines of notation with shapes and memory orders, and what must come out.

No method is known here: a case is a line, a shape, an order of axes in memory, and the axes of the weight.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import normlab as nl
from long_references import Long, long_reference
from normlab import kernels
from normlab.kernels.results import Done
from normlab.pattern import Plan, parse

__all__ = ["CASES", "Case", "Run", "run"]


@dataclass(frozen=True)
class Case:
    """One call: `memory` lists the axes from the outermost in memory to the innermost; empty: C order."""

    line: str
    shape: tuple[int, ...]
    affine: str | None = None
    memory: tuple[int, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    why: str = ""

    def __str__(self) -> str:
        order = "-memory" + "".join(map(str, self.memory)) if self.memory else ""
        return f"{self.line} {'x'.join(map(str, self.shape))} affine {self.affine}{order}"

    @property
    def plan(self) -> Plan:
        return parse(self.line).plan(self.shape, self.sizes)

    def lay(self, a: np.ndarray) -> np.ndarray:
        """`a` in this case's order in memory."""
        if not self.memory:
            return np.ascontiguousarray(a)
        return np.ascontiguousarray(a.transpose(self.memory)).transpose(np.argsort(self.memory))

    @property
    def spread(self) -> tuple[int, ...] | None:
        """The weight's shape that broadcasts over the split axes."""
        return None if self.affine is None else self.plan.align(self.affine)[1]

    @property
    def sets(self) -> np.ndarray:
        """(sets, elements): where the elements of each set lie in the raveled array."""
        numbers = nl.shares(self.line, self.shape, **self.sizes).ravel()
        return np.argsort(numbers, kind="stable").reshape(int(numbers.max()) + 1, -1)


LAST = (0, 2, 3, 1)  # channels last
CASES = [
    # Rows: 31, 32, 33 about half a vector's 64 elements, a prime, one above a block of 1,024, one above a piece of
    # 16,384, one above what is taken in one go (131,072).
    *(Case("... [c]", (5, n), "c") for n in (31, 32, 33, 769, 1025, 16_385)),
    Case("... [c]", (2, 131_073), "c", why="cut into nine pieces, the last of one element"),
    Case("... [c]", (2, 131_073), None),
    Case("... [c]", (257, 48), "c", why="more sets than one block of them, and one more than sixteen at a time"),
    Case("n [c ...]", (3, 4, 5, 7), "c", why="a weight held for 35 elements"),
    Case("n [c ...]", (3, 5, 2, 2), "c", why="held for 4 elements only: written out"),
    Case("n [c ...]", (3, 6, 5, 7), "c", LAST, why="the weight starts over every 6 elements"),
    Case("n [c ...]", (2, 64, 50, 50), "c", LAST, why="it starts over in a long run: 2,500 runs"),
    Case("n [c ...]", (2, 64, 50, 50), "c", why="long, a weight held for 2,500 elements"),
    Case("[n] c [...]", (4, 3, 7, 7), "c", why="a set in four runs"),
    Case("[n] c [...]", (3, 2, 150, 151), "c", why="a long set in three runs"),
    Case("[n] c [...]", (40, 33, 3, 3), "c", LAST, why="columns"),
    Case("[n c ...]", (4, 5, 6, 7), "c", why="one set; the weight starts over with every sample"),
    Case("[n c ...]", (8, 20, 32, 32), "c", why="one long set"),
    Case("[n c ...]", (8, 20, 32, 32), "c", LAST),
    Case("n c [...]", (3, 5, 9, 9), "c", why="rows that share their weight with rows of other samples"),
    Case("n c [...]", (2, 2, 300, 301), "c", why="the same, long"),
    Case("n c [...]", (3, 40, 9, 9), "c", LAST, why="columns again"),
    Case("n (g [c]) [...]", (3, 12, 6, 6), "(g c)", sizes={"g": 4}),
    Case("n (g [c]) [...]", (2, 8, 128, 130), "(g c)", sizes={"g": 2}, why="long, parts of 16,640"),
    Case("n (g [c])", (7, 96), "(g c)", sizes={"g": 2}, why="each group has its own row of weights"),
    Case("n (g [c]) [...]", (3, 48, 5, 5), "(g c)", LAST, {"g": 16}, why="three channels a group: no power of two"),
    Case("(k [n]) c [...]", (6, 5, 8, 8), "c", sizes={"k": 2}, why="kept, pooled, kept, pooled"),
    Case("n [c] ...", (3, 37, 8, 9), "c", why="the weight runs along pooled axes outside kept ones"),
    Case("o [i ...]", (7, 5, 3, 3), None),
    Case("a [b] c [d]", (3, 4, 5, 40), "c d", why="weights on a kept and a pooled axis"),
]  # fmt: skip


@dataclass
class Run:
    """A call and its way back, with the sets as rows and the truth beside them."""

    done: Done
    y: np.ndarray  # (sets, elements), as are the next
    dx: np.ndarray
    truth: Long  # without weight and bias; dx for the gradient that reaches z
    dweight: np.ndarray | None
    dbias: np.ndarray | None
    wanted_dweight: np.ndarray | None
    wanted_dbias: np.ndarray | None

    @property
    def rows(self) -> np.ndarray:
        """The number of the set, for each element of y."""
        return np.broadcast_to(np.arange(len(self.y))[:, None], self.y.shape)


def run(case: Case, x: np.ndarray, dy: np.ndarray, weight: np.ndarray | None = None, **how: Any) -> Run:
    """Run the kernels forward and backward. `weight` is used twice: as the weight, and for the gradient that reaches z."""
    plan, sets = case.plan, case.sets
    x, dy = case.lay(x), case.lay(dy)
    bias = None if weight is None else np.zeros_like(weight)
    assert kernels.covers(x, plan, weight=weight, bias=bias, **how) is None
    done = kernels.standardize(x, plan, weight=weight, bias=bias, **how)
    assert done is not None and done.y.strides == x.strides and done.y.dtype == x.dtype
    back = kernels.standardize_backward(dy, x, plan, done.kept, weight=weight, bias=bias, **how)
    assert back is not None and back[0].strides == x.strides
    given = np.ascontiguousarray(dy).astype(np.float64).reshape(plan.split)
    reaching = given if weight is None else given * weight.astype(np.float64)
    rule = {"centre": True, "spread": "std", "eps": 1e-5, **how}
    wide = np.ascontiguousarray(x).ravel()[sets]
    truth = long_reference(wide, reaching.ravel()[sets], **rule)
    wanted: list[np.ndarray | None] = [None, None]
    if weight is not None:
        product = long_reference(wide, given.ravel()[sets], **rule).product
        assert product is not None
        flat = np.zeros(x.size, np.longdouble)
        flat[sets.ravel()] = (product.high.astype(np.longdouble) + product.low).ravel()
        over = tuple(k for k, n in enumerate(weight.shape) if n == 1)
        wanted = [
            a.reshape(plan.split).sum(over, keepdims=True).astype(np.float64)
            for a in (flat, given.astype(np.longdouble))
        ]
    rows = [np.ascontiguousarray(a).ravel()[sets] for a in (done.y, back[0])]
    return Run(done, *rows, truth, back[1], back[2], *wanted)
