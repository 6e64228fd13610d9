"""The known mistakes of a forward pass, each a change of the recipe: what it computes follows from the method's fields.

None of them names a method. Whether one applies is a question to the recipe (is a mean subtracted, is there an eps); a
change that would leave the output as it is finds nothing to explain, so it may be tried everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from .recipe import Given, Recipe, changed

__all__ = ["EVALUATION", "FORWARD", "Mistake"]

Change = Callable[[Recipe, Given], Iterator[Recipe]]


@dataclass(frozen=True)
class Mistake:
    """One mistake: `change` gives the recipes that make it, each in another way of writing it."""

    key: str
    change: Change


def _no_parentheses(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if recipe.centring is not None and recipe.spread is not None:
        yield changed(recipe, parentheses="quotient")
        yield changed(recipe, parentheses="none")


def _wrong_axis(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    """Both statistics over other axes, or one of the two."""
    if recipe.spread is None:
        return
    size = len(given.plan.split)
    sets = [s for k in range(1, size + 1) for s in combinations(range(size), k) if s != recipe.spreading]
    for axes in sets:
        yield changed(recipe, centring=None if recipe.centring is None else axes, spreading=axes)
    for axes in sets if recipe.centring is not None else ():
        yield changed(recipe, centring=axes)
        yield changed(recipe, centring=axes, own_mean=False)
        yield changed(recipe, spreading=axes)
        yield changed(recipe, spreading=axes, own_mean=False)


def _keepdims_missing(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    """Seen only where all sizes are equal: elsewhere it raises."""
    if given.frame.square and recipe.spread in ("std", "rms", "l2"):
        yield changed(recipe, crossed=True)
        yield changed(recipe, crossed=True, own_mean=False)


def _wrong_axis_dropped(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    """The wrong axis, and without keepdims."""
    for wrong in _wrong_axis(recipe, given) if given.frame.square and recipe.spread in ("std", "rms", "l2") else ():
        if len(wrong.spreading) < len(given.plan.split):
            yield changed(wrong, crossed=True)
            yield changed(wrong, crossed=True, own_mean=False)


def _groups_interleaved(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if [len(t.factors) for t in given.plan.pattern.terms].count(2) == 1 and not recipe.interleaved:
        yield changed(recipe, interleaved=True)


def _variance_not_root(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if recipe.spread in ("std", "rms", "l2"):
        yield changed(recipe, power=1.0)


def _root_twice(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if recipe.spread in ("std", "rms", "l2"):
        yield changed(recipe, power=0.25)


def _eps_rule(rule: str) -> Change:
    def change(recipe: Recipe, given: Given) -> Iterator[Recipe]:
        if recipe.eps_rule not in ("none", rule):
            yield changed(recipe, eps_rule=rule)

    return change


def _sample_variance(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if recipe.spread in ("std", "rms"):
        yield changed(recipe, ddof=1)


def _missing(name: str) -> Change:
    def change(recipe: Recipe, given: Given) -> Iterator[Recipe]:
        if getattr(given, name) is not None:
            yield changed(recipe, **{name: None})

    return change


def _swapped(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if given.weight is not None and given.bias is not None:
        yield changed(recipe, weight=recipe.bias, bias=recipe.weight)


def _with_bias(**fields: object) -> Change:
    def change(recipe: Recipe, given: Given) -> Iterator[Recipe]:
        if given.bias is not None and recipe.bias is not None:
            yield changed(recipe, **fields)

    return change


def _one_plus_weight(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if given.weight is not None:
        yield changed(recipe, weight_offset=1.0)


def _mean_not_subtracted(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    """Not above the line; or nowhere, not even in the variance."""
    if recipe.centring is not None:
        yield changed(recipe, centring=None)
        yield changed(recipe, centring=None, centred=False)


def _mean_subtracted(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if recipe.centring is None and recipe.spread is not None:
        yield changed(recipe, centring=recipe.spreading)
        yield changed(recipe, centring=recipe.spreading, centred=False)


def _square_not_centred(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if recipe.centring is not None and recipe.spread is not None:
        yield changed(recipe, centred=False)


def _centred(**fields: object) -> Change:
    def change(recipe: Recipe, given: Given) -> Iterator[Recipe]:
        if recipe.centring is not None:
            yield changed(recipe, **fields)

    return change


def _divided(**fields: object) -> Change:
    def change(recipe: Recipe, given: Given) -> Iterator[Recipe]:
        if recipe.spread is not None:
            yield changed(recipe, **fields)

    return change


def _spread(of: tuple[str, ...], *others: str) -> Change:
    def change(recipe: Recipe, given: Given) -> Iterator[Recipe]:
        if recipe.spread in of:
            for other in others:
                yield changed(recipe, spread=other)

    return change


def _running_in_training(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if given.running is not None and recipe.training == "batch":
        yield changed(recipe, training="running")
        yield changed(recipe, training="mixed")
        yield changed(recipe, training="mixed", ddof=1)


def _batch_in_evaluation(recipe: Recipe, given: Given) -> Iterator[Recipe]:
    if given.running is not None:
        yield changed(recipe, evaluation="batch")


# In the order in which they are tried: where two explain the same numbers, the more common one is named.
FORWARD = (
    Mistake("no_parentheses", _no_parentheses),
    Mistake("variance_not_root", _variance_not_root),
    Mistake("eps_outside_root", _eps_rule("outside")),
    Mistake("sample_variance", _sample_variance),
    Mistake("eps_missing", _eps_rule("none")),
    Mistake("missing_weight", _missing("weight")),
    Mistake("missing_bias", _missing("bias")),
    Mistake("weight_bias_swapped", _swapped),
    Mistake("bias_before_scale", _with_bias(shift_first=True)),
    Mistake("groups_interleaved", _groups_interleaved),
    Mistake("mean_not_subtracted", _mean_not_subtracted),
    Mistake("mean_subtracted", _mean_subtracted),
    Mistake("keepdims_missing", _keepdims_missing),
    Mistake("wrong_axis", _wrong_axis),
    Mistake("wrong_axis", _wrong_axis_dropped),
    Mistake("running_statistics_in_training", _running_in_training),
    Mistake("square_not_centred", _square_not_centred),
    Mistake("sum_not_mean", _spread(("std", "rms"), "l2")),
    Mistake("mean_not_sum", _spread(("l2",), "rms")),
    Mistake("absolute_deviation", _spread(("std", "rms"), "mean_abs")),
    Mistake("another_length", _spread(("l2",), "l1", "max")),
    Mistake("root_twice", _root_twice),
    Mistake("not_divided", _divided(spread=None)),
    Mistake("multiplied", _divided(multiplied=True)),
    Mistake("not_normalized", _divided(training="none")),
    Mistake("mean_added", _centred(sign=-1)),
    Mistake("eps_added_to_quotient", _eps_rule("added")),
    Mistake("eps_inside_root", _eps_rule("inside")),
    Mistake("eps_floor", _eps_rule("floor")),
    Mistake("one_plus_weight", _one_plus_weight),
    Mistake("bias_subtracted", _with_bias(bias_sign=-1)),
)
EVALUATION = (Mistake("batch_statistics_in_evaluation", _batch_in_evaluation), *FORWARD)
