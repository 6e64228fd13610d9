"""The checks can fail: faults that were made before, planted into the formula, and the checks that must see each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import faces
import normlab as nl
import test_accuracy as accuracy
import test_against_torch as torchs
import test_bytes as bytes_alone
import test_numpy_backward as backward
import test_numpy_corners as corners
import test_numpy_forward as forward
import test_numpy_layers as layers
from grid import Case
from normlab import calling, definition, fitting, formula
from normlab.numpy import arrays, derived, standardize
from normlab.pattern import parse

call = sys.modules["normlab.numpy.call"]  # the package's own `call` is the function

Patch = pytest.MonkeyPatch
LN, BN, GN, RMS = (nl.method(n) for n in ("layer_norm", "batch_norm", "group_norm", "rms_norm"))


def eps_outside_the_root(patch: Patch) -> None:
    patch.setattr(formula, "denominator", lambda xp, s, eps, rule: s.root + eps * s.unit)


def eps_forgotten(patch: Patch) -> None:
    patch.setattr(formula, "denominator", lambda xp, s, eps, rule: s.root)


def sample_variance(patch: Patch) -> None:
    """Divide by n - 1 where the set is normalized."""
    true = formula.statistics

    def wrong(*args: Any, **kwargs: Any) -> formula.Statistics:
        s = true(*args, **kwargs)
        factor = s.count / (s.count - 1)
        return s._replace(root=s.root * np.sqrt(factor), square=s.square * factor)

    patch.setattr(formula, "statistics", wrong)


def _moved_otherwise(patch: Patch, **changes: Callable[[Any], Any]) -> None:
    """Running statistics moved with other options, or another momentum, than those that were asked for."""
    true = calling.moved

    def wrong(xp: Any, ready: Any, mean: Any, var: Any, count: Any, momentum: Any, **kwargs: Any) -> Any:
        told = {**ready.options, "momentum": momentum}
        told |= {name: change(told[name]) for name, change in changes.items()}
        return true(xp, replace(ready, options=told), mean, var, count, told["momentum"], **kwargs)

    patch.setattr(call, "moved", wrong)


def running_variance_biased(patch: Patch) -> None:
    _moved_otherwise(patch, running_var_biased=lambda asked: True)


def momentum_of_the_old_value(patch: Patch) -> None:
    _moved_otherwise(patch, momentum=lambda asked: 1 - asked)


def swapped_groups(patch: Patch) -> None:
    """Every g-th channel instead of neighbours."""
    patch.setattr(definition, "parse", lambda text: parse(text.replace("(g [c])", "([g] c)")))


def missing_widening(patch: Patch) -> None:
    """Compute in the precision of the input."""
    for module in (arrays, standardize, call, derived):
        patch.setattr(module, "widen", np.asarray)


def lost_residue(patch: Patch) -> None:
    """Centre once: what the rounding of the mean left stays in."""
    true = formula.statistics

    def wrong(xp: Any, x: Any, axes: Any, **kwargs: Any) -> formula.Statistics:
        s = true(xp, x, axes, **kwargs)
        if not kwargs["centre"]:
            return s
        d = x * s.unit - s.mean
        square = xp.mean(d * d, axis=axes, keepdims=True)
        return s._replace(residue=0 * s.residue, square=square, root=xp.sqrt(square))

    patch.setattr(formula, "statistics", wrong)


def one_pass(patch: Patch) -> None:
    """E[x^2] - E[x]^2."""
    true = formula.statistics

    def wrong(xp: Any, x: Any, axes: Any, **kwargs: Any) -> formula.Statistics:
        s = true(xp, x, axes, **kwargs)
        mean = xp.mean(x, axis=axes, keepdims=True) if kwargs["centre"] else 0.0
        square = xp.maximum(xp.mean(x * x, axis=axes, keepdims=True) - mean**2, 0.0)
        return s._replace(square=square, root=xp.sqrt(square))

    patch.setattr(formula, "statistics", wrong)


def gradient_without_the_variance(patch: Patch) -> None:
    """The statistics taken for constants on the way back."""
    patch.setattr(standardize.Standardized, "_slope", lambda self, z, s: 0.0 * z)


def gradient_without_the_mean(patch: Patch) -> None:
    patch.setattr(standardize.Standardized, "_uncentre", lambda self, g, s: g)


def batch_statistics_in_evaluation(patch: Patch) -> None:
    true = standardize.standardize
    patch.setattr(call, "standardize", lambda *a, **k: true(*a, **{**k, "running": None}))


def neighbours_shift_a_row(patch: Patch) -> None:
    """A row's statistics lean on the rows beside it, by less than any tolerance would see."""
    true = formula.statistics

    def wrong(*args: Any, **kwargs: Any) -> formula.Statistics:
        s = true(*args, **kwargs)
        return s._replace(mean=s.mean + 1e-16 * np.nan_to_num(s.mean).mean())

    patch.setattr(formula, "statistics", wrong)


# Checks: one call of a test that the suite also runs without a fault.


def exact_formula(d: Any = LN, layout: str = "n c ...", shape: tuple[int, ...] = (2, 8, 3, 2)) -> Callable[[], None]:
    options = {"groups": 2} if d is GN else {}
    return lambda: forward.test_the_layer_agrees_with_the_exact_formula(Case(d, layout, shape, options), "affine")


def exact_gradient() -> None:
    backward.test_backward_agrees_with_the_exact_formula(Case(BN, "n c ...", (3, 8, 5)), "float64")


def differences() -> None:
    backward.test_backward_agrees_with_central_differences(Case(BN, "n c ...", (3, 8, 5)))


def goals(dtype: str, ratio: float) -> Callable[[], None]:
    return lambda: [accuracy.goal(faces.of("numpy"), LN, "... c", dtype, ratio, length) for length in accuracy.LENGTHS] and None


def twin(d: Any = BN, dtype: str = "float64") -> Callable[[], None]:
    known = next(k for k in d.known_as if k.name in ("torch.nn.BatchNorm2d", "torch.nn.GroupNorm", "torch.nn.LayerNorm"))
    return lambda: torchs.check(d, known, dtype)


def worked(d: Any = GN) -> Callable[[], None]:
    return lambda: forward.test_the_function_gives_the_worked_example(d, "float64")


def momentum() -> None:
    layers.test_momentum_weighs_the_new_value(BN, False)


def evaluation() -> None:
    forward.test_in_evaluation_the_layer_uses_what_it_has_kept(Case(BN, "n c ...", (3, 8, 5)))


def half() -> None:
    accuracy.half(faces.of("numpy"), LN, 1e2)


def float32_rounded_once() -> None:
    forward.test_by_the_formula_float32_is_the_float64_result_rounded_once(Case(LN, "... c", (5, 8), dtype="float32"))


def constant() -> None:
    corners.test_a_constant_row_of_any_length_has_no_spread(97)


def alone() -> None:
    bytes_alone.test_a_rows_bytes_do_not_depend_on_the_rows_beside_it(LN, "n c ...", "float64", "formula")


CAUGHT: list[tuple[Callable[[Patch], None], list[Callable[[], None]]]] = [
    (eps_outside_the_root, [exact_formula(), exact_formula(BN), exact_formula(RMS), twin()]),
    (eps_forgotten, [exact_formula(), twin(), twin(GN)]),
    (sample_variance, [exact_formula(), exact_formula(BN), twin(), worked(LN), goals("float32", 0)]),
    (running_variance_biased, [momentum, twin()]),
    (momentum_of_the_old_value, [momentum, twin()]),
    (swapped_groups, [exact_formula(GN), twin(GN), worked()]),
    (missing_widening, [half, float32_rounded_once]),
    (lost_residue, [goals("float64", 1e4), goals("float64", 1e12), constant]),
    (one_pass, [goals("float64", 1e4), goals("float64", 1e12)]),
    (gradient_without_the_variance, [exact_gradient, differences, twin(), goals("float32", 0)]),
    (gradient_without_the_mean, [exact_gradient, differences, twin(), goals("float32", 0)]),
    (batch_statistics_in_evaluation, [evaluation, twin()]),
    (neighbours_shift_a_row, [alone]),
]


@pytest.mark.parametrize(
    ("fault", "check"), [(f, c) for f, checks in CAUGHT for c in checks],
    ids=[f"{f.__name__}-{k}" for f, checks in CAUGHT for k in range(len(checks))],
)  # fmt: skip
def test_a_planted_fault_is_caught(fault: Callable[[Patch], None], check: Callable[[], None], monkeypatch: Patch) -> None:
    with faces.without_kernels():  # the faults are planted into the formula; kernels are compared with it
        fitting._fit.cache_clear()
        check()  # without the fault
        fitting._fit.cache_clear()  # plans were made with the true lines
        try:
            with monkeypatch.context() as patch:
                fault(patch)
                with pytest.raises(AssertionError):
                    check()
        finally:
            fitting._fit.cache_clear()


@pytest.mark.parametrize("row", ["forward", "gradient", "half", "worked", "identity"])
def test_the_comparison_raises_just_above_its_tolerance(row: str) -> None:
    from comparing import TOLERANCE, compare

    wanted = np.array([1.0, 0.5])
    units = TOLERANCE[row].units
    compare(wanted + np.array([0.0, units * 2.0**-52]), wanted, row)
    for bad in ([0.0, (units + 0.5) * 2.0**-52], [np.nan, 0.0], [np.inf, 0.0]):
        with pytest.raises(AssertionError, match=row):
            compare(wanted + np.array(bad), wanted, row)
    with pytest.raises(AssertionError, match="shape"):
        compare(wanted, wanted[:1], row)
    with pytest.raises(AssertionError):
        compare(np.array([1e-300]), np.array([0.0]), row)


def test_the_comparison_gives_nothing_that_could_be_forgotten() -> None:
    from comparing import compare, same_bytes

    assert compare(np.ones(2), np.ones(2), "forward") is None  # type: ignore[func-returns-value]
    assert same_bytes(np.ones(2), np.ones(2)) is None  # type: ignore[func-returns-value]
    for other in (np.ones(3), np.ones(2, np.float32), np.array([1.0, 1.0 + 2.0**-52]), np.array([1.0, -1.0])):
        with pytest.raises(AssertionError):
            same_bytes(np.ones(2), other)
    with pytest.raises(AssertionError):
        same_bytes(np.zeros(1), -np.zeros(1))
