"""The grid can fail: faults planted into what the self-differentiating faces stand on, and the rows that must see each.

What must come of a row is worked out before the fault is there, for the formula is everybody's. Faults of the NumPy
face are planted in `test_can_fail`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import faces
from crossing import DIMENSIONS, why_not
from normlab import calling, definition, fitting, formula, traced
from normlab.pattern import parse
from pairwise import Row
from test_grid import judge, posed

Patch = pytest.MonkeyPatch
PLAIN = {n: v[0] for n, v in DIMENSIONS.items()} | {"face": "torch", "dtype": "float32", "size": "primes"}


def eps_outside_the_root(patch: Patch) -> None:
    patch.setattr(formula, "denominator", lambda xp, s, eps, rule: s.root + eps * s.unit)


def sample_variance(patch: Patch) -> None:
    _measured(patch, lambda xp, s: s._replace(root=s.root * (s.count / (s.count - 1)) ** 0.5,
                                              square=s.square * s.count / (s.count - 1)))  # fmt: skip


def lost_residue(patch: Patch) -> None:
    _measured(patch, lambda xp, s: s._replace(residue=0 * s.residue))


def gradient_without_the_variance(patch: Patch) -> None:
    _measured(patch, lambda xp, s: s._replace(root=xp.stop(s.root), square=xp.stop(s.square)))


def gradient_without_the_mean(patch: Patch) -> None:
    _measured(patch, lambda xp, s: s._replace(mean=xp.stop(s.mean)))


def _measured(patch: Patch, change: Callable[[Any, Any], Any]) -> None:
    true = formula.statistics
    patch.setattr(formula, "statistics", lambda xp, *args, **kwargs: change(xp, true(xp, *args, **kwargs)))


def swapped_groups(patch: Patch) -> None:
    patch.setattr(definition, "parse", lambda text: parse(text.replace("(g [c])", "([g] c)")))


def momentum_of_the_old_value(patch: Patch) -> None:
    true = calling.moved

    def wrong(xp: Any, ready: Any, mean: Any, var: Any, count: Any, momentum: Any, **kwargs: Any) -> Any:
        return true(xp, ready, mean, var, count, 1 - momentum, **kwargs)

    patch.setattr(traced, "moved", wrong)


def running_variance_biased(patch: Patch) -> None:
    true = calling.moved

    def wrong(xp: Any, ready: Any, *args: Any, **kwargs: Any) -> Any:
        return true(xp, replace(ready, options={**ready.options, "running_var_biased": True}), *args, **kwargs)

    patch.setattr(traced, "moved", wrong)


def mask_forgotten(patch: Patch) -> None:
    """Everything counts."""
    true = traced.standardize
    patch.setattr(traced, "standardize", lambda *args, mask=None, **kwargs: true(*args, mask=mask | True, **kwargs))


def batch_statistics_in_evaluation(patch: Patch) -> None:
    true = traced.standardize
    patch.setattr(traced, "standardize", lambda *args, **kwargs: true(*args, **{**kwargs, "running": None}))


def missing_widening(patch: Patch) -> None:
    from normlab.torch import arrays

    patch.setattr(arrays.Face, "widen", staticmethod(lambda a: a))
    patch.setattr(arrays, "_RANGES", {**arrays._RANGES, arrays.torch.float16: arrays._RANGES[arrays.torch.float32]})


def missing_narrowing(patch: Patch) -> None:
    from normlab.torch import arrays

    patch.setattr(arrays.Face, "narrow", staticmethod(lambda a, like: a))


def copied(patch: Patch) -> None:
    """The output is made contiguous behind the user's back."""
    module = sys.modules["normlab.torch.call"]  # the package's own `call` is the function
    patch.setattr(module, "laid_out", lambda y, x: y.contiguous())


def copied_back(patch: Patch) -> None:
    """So is the gradient of x."""
    module = sys.modules["normlab.torch.call"]
    patch.setattr(module, "with_gradient_like", lambda x: x * 1.0 if x.is_contiguous() else x.contiguous())


def row(**changes: Any) -> Row:
    made = {**PLAIN, **changes}
    made["path"] = "formula" if faces.takes_kernels(made["face"]) else "as it comes"  # where the faults are planted
    assert why_not(made) is None, why_not(made)
    return made


CAUGHT: list[tuple[Callable[[Patch], None], list[Row]]] = [
    (eps_outside_the_root, [row(method="batch_norm"), row(method="rms_norm", eps="large"), row(method="group_norm")]),
    (sample_variance, [row(method="layer_norm")]),
    (lost_residue, [row(method="batch_norm", values="far")]),
    (gradient_without_the_variance, [row(method="batch_norm"), row(method="unit_norm"), row(method="weight_norm")]),
    (gradient_without_the_mean, [row(method="batch_norm")]),
    (swapped_groups, [row(method="group_norm", size="32", option=2)]),
    (momentum_of_the_old_value, [row(method="batch_norm"), row(method="batch_norm", face="mlx")]),
    (running_variance_biased, [row(method="batch_norm"), row(method="whole_norm")]),
    (mask_forgotten, [row(method="batch_norm", mask=True), row(method="whole_norm", mask=True)]),
    (batch_statistics_in_evaluation, [row(method="batch_norm", mode="evaluation")]),
    (missing_widening, [row(method="layer_norm", dtype="float16", values="far")]),
    (missing_narrowing, [row(method="layer_norm", dtype="float16"), row(method="batch_norm", dtype="bfloat16")]),
    (copied, [row(method="batch_norm", memory="channels last"), row(method="rms_norm", memory="transposed")]),
    (copied_back, [row(method="batch_norm", memory="channels last"), row(method="selu", memory="transposed")]),
]


@pytest.mark.parametrize(
    ("fault", "row"), [(f, r) for f, rows in CAUGHT for r in rows],
    ids=[f"{f.__name__}-{r['method']}-{r['face']}" for f, rows in CAUGHT for r in rows],
)  # fmt: skip
def test_a_planted_fault_is_caught(fault: Callable[[Patch], None], row: Row, monkeypatch: Patch) -> None:
    faces.of(row["face"])
    work, truth = posed(row)
    judge(row, work, truth)  # without the fault
    fitting._fit.cache_clear()  # plans were made with the true lines
    try:
        with monkeypatch.context() as patch:
            fault(patch)
            with pytest.raises((AssertionError, RuntimeError)):
                judge(row, work, truth)
    finally:
        fitting._fit.cache_clear()
