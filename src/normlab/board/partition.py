"""One partition of a board's numbers: who is in which set, what each set's statistics are, and what comes out.

No method is named: what is pooled, subtracted and divided by follows from a definition's fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..boards import numpy_axes
from ..definition import Definition
from ..errors import UsageError
from ..formula import Statistics, normalize, statistics
from ..language import both
from ..pattern import Plan
from ..sharing import shares

if TYPE_CHECKING:
    import numpy

__all__ = ["EARLIER", "MEAN", "SPREAD", "example", "is_past", "partition", "whole", "windows"]

EARLIER = 4  # times as many samples had the batch that is past: one sample can then be evaluated
MEAN, SPREAD = 1, 2  # of the example numbers: away from 0 and 1, so that what a normalization does is seen


def example(shape: tuple[int, ...], seed: int) -> numpy.ndarray:
    """Numbers for a board: one decimal each, so that the arithmetic can be followed by head."""
    import numpy as np

    return np.random.default_rng(seed).normal(MEAN, SPREAD, shape).round(1)


def is_past(definition: Definition) -> bool:
    """Whether evaluation uses what was kept: a layer's running statistics, or those that a scaler learnt once."""
    return (definition.has_running and definition.running) or definition.role == "input"


def partition(
    definition: Definition | None, plan: Plan, option: str, sizes: Mapping[str, int], training: bool, seed: int
) -> dict[str, Any]:
    """One partition: who is in which set, what each set's statistics are, and the values that come out."""
    import numpy as np

    centre, spread, eps, eps_rule = _rule(definition)
    split = example(plan.shape, seed).reshape(plan.split)
    past = definition is not None and not training and is_past(definition)
    measured, earlier = statistics(np, split, plan.pooled, centre=centre, spread=spread), plan
    if past:
        assert definition is not None
        earlier = plan.pattern.plan((plan.shape[0] * EARLIER, *plan.shape[1:]), sizes)
        measured = _kept(definition, earlier, example(earlier.shape, seed + 1).reshape(earlier.split))
    refused = normalized = None
    if plan.count == 1 and (centre or spread == "std") and not past:
        refused = both("Layers refuse this: a set holds one element, and less its own mean that is 0.")
    elif _is_pooling(definition):
        normalized = normalize(np, split, measured, spread=spread, eps=eps, eps_rule=eps_rule)[0].ravel().tolist()
    return {
        "option": option, "line": str(plan.pattern), "sizes": _own(plan, sizes), "axis": numpy_axes(plan),
        "count": plan.count, "split": list(plan.split), "pooled": list(plan.pooled), "past": past, "centre": centre,
        "spread": spread, "eps": eps, "eps_rule": eps_rule, "sets": _sets(plan, measured), "refused": refused,
        "numbers": shares(plan.pattern, plan.shape, **sizes).ravel().tolist(), "normalized": normalized,
        "needs_two": _needs_two(plan, sizes, centre), "acts_on": "norm" if definition is None else definition.role,
        "evaluation": _evaluation(definition, plan), "earlier": list(earlier.split),
    }  # fmt: skip


def _own(plan: Plan, sizes: Mapping[str, int]) -> dict[str, int]:
    """Of the sizes, those that the line needs: of axes that it splits."""
    split = [f.name for t in plan.pattern.terms if len(t.factors) > 1 for f in t.factors]
    return {name: size for name, size in sizes.items() if name in split}


def _sets(plan: Plan, measured: Statistics) -> list[dict[str, float]]:
    """The statistics of each set, in the order of their numbers; `square` is what the root is taken of."""
    import numpy as np

    shape = tuple(1 if axis in plan.pooled else size for axis, size in enumerate(plan.split))
    kinds = (measured.mean + measured.residue, measured.square)
    mean, square = (np.broadcast_to(a, shape).ravel().tolist() for a in kinds)
    return [{"mean": m, "square": q} for m, q in zip(mean, square, strict=True)]


def windows(definition: Definition, layout: str, x: numpy.ndarray) -> dict[str, Any] | None:
    """Of a method whose sets overlap: the elements that each one's sum is over, the sums of squares, what comes out."""
    size = next((o.default for o in definition.options if o.name == "size"), None)
    if definition.pools is not None or not isinstance(size, int):
        return None
    import numpy as np

    from ..functional import function

    axis = x.ndim - 1 if layout.endswith("... c") else 1
    order = np.arange(x.size).reshape(x.shape)
    before, after = size // 2, (size - 1) // 2
    seen = []
    for place in np.ndindex(x.shape):
        low, high = max(0, place[axis] - before), place[axis] + after + 1
        seen.append(order[(*place[:axis], slice(low, high), *place[axis + 1 :])].tolist())
    squares = (x.ravel() ** 2).tolist()
    sums = [math.fsum(squares[k] for k in window) for window in seen]
    y = function(definition)(x, layout=layout)
    return {"size": size, "seen": seen, "sums": sums, "normalized": y.ravel().tolist()}


def whole(x: numpy.ndarray) -> dict[str, Any]:
    """The board of a weight method without a line: one number for the whole weight, and no mean or variance."""
    return {
        "option": "", "line": "", "sizes": {}, "axis": "", "count": x.size, "split": [], "pooled": [],
        "numbers": [0] * x.size, "past": False, "centre": False, "spread": None, "eps": 0.0, "eps_rule": "inside",
        "refused": None, "normalized": None, "needs_two": False, "acts_on": "weight", "evaluation": "same",
        "sets": [{"mean": None, "square": None}],
    }  # fmt: skip


def _is_pooling(definition: Definition | None) -> bool:
    """Whether the normalized values follow from the sets alone: statistics, and no `forward` beside them."""
    return definition is None or (definition.forward is None and definition.role != "input")


def _rule(definition: Definition | None) -> tuple[bool, str | None, float, str]:
    """What is subtracted, divided by and added; what `nl.normalize` does by itself where there is only a line."""
    if definition is None:
        return True, "std", 1e-5, "inside"
    return definition.centre, definition.spread, definition.eps or 0.0, definition.eps_rule


def _evaluation(definition: Definition | None, plan: Plan) -> str:
    """What evaluation uses: what is kept of the past, the batch again, or the sample alone, as training does."""
    if definition is not None and is_past(definition):
        return "past"
    return "batch" if "n" in plan.pattern.pooled else "same"


def _needs_two(plan: Plan, sizes: Mapping[str, int], centre: bool) -> bool:
    """Whether a single sample would leave a set of one, or could not be split."""
    try:
        return centre and plan.pattern.plan((1, *plan.shape[1:]), sizes).count < 2
    except UsageError:
        return True


def _kept(definition: Definition, plan: Plan, earlier: numpy.ndarray) -> Statistics:
    """What was kept of an earlier batch: mean and unbiased variance, averaged over the axes it leaves out."""
    import numpy as np

    s = statistics(np, earlier, plan.pooled, centre=True, spread="std")
    if not definition.has_running:  # a scaler's are those of the data that it learnt from
        return s
    var = s.square * (plan.count / max(plan.count - 1, 1))
    kept = next(state.axes for state in definition.states if state.name == "running_var").split()
    over = tuple(axis for axis in plan.kept if plan.names[axis] not in kept)
    mean, var = (a.mean(axis=over, keepdims=True) for a in (s.mean + s.residue, var))
    one = np.ones_like(mean)
    return Statistics(mean, 0 * mean, np.sqrt(var), var, one, one)
