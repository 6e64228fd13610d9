"""The family "standardize over these axes" on NumPy: forward by the formula, and the backward derived from it.

With d the centred x, D what divides, z = d / D and g the gradient that reaches z (over one set of m elements):

    dx = g / D - (sum(g * z) / D) * dD/dx          and, where x was centred, less its own mean
    dD/dx = z / m   for std and rms with eps inside the root; other spreads and rules below

Nothing but z is needed on the way back, so x may be changed in place in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import formula
from ..calling import Rule
from ..pattern import Plan
from .arrays import broadcast_back, from_sets, to_sets, widen

__all__ = ["Standardized", "standardize"]


@dataclass
class Standardized:
    """A finished forward pass: the result, the statistics it used, and what `pull` needs."""

    y: np.ndarray
    statistics: formula.Statistics | None  # of shape (sets, 1); None where running statistics or nothing was used
    plan: Plan
    rule: Rule
    z: np.ndarray  # normalized, on the split axes
    scale: Any  # what multiplied the centred x
    weight: np.ndarray | None  # broadcasts over the split axes
    bias: np.ndarray | None
    mask: np.ndarray | None  # (sets, elements)
    around: np.ndarray | None  # z about its mean, (sets, elements), where z itself is not

    def pull(self, dy: np.ndarray, lead: int = 0) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """The gradients of x, weight and bias for `dy`, which may carry `lead` more axes in front."""
        front, plan = dy.shape[:lead], self.plan
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            g = widen(dy).reshape(front + plan.split)
            product = g * self.z if self.mask is None else np.where(g == 0, 0.0, g * self.z)  # see `_pull_sets`
            dweight = None if self.weight is None else broadcast_back(product, self.weight.shape, lead)
            dbias = None if self.bias is None else broadcast_back(g, self.bias.shape, lead)
            if self.weight is not None:
                g = g * self.weight
            if self.statistics is None:
                dx = g * self.scale
            else:
                dx = from_sets(self._pull_sets(to_sets(g, plan, lead)), plan, lead)
            out = np.empty(front + self.y.shape, self.y.dtype) if lead else np.empty_like(self.y)
            out.reshape(front + plan.split)[...] = dx
        return out, dweight, dbias

    def _pull_sets(self, g: np.ndarray) -> np.ndarray:
        """The gradient of x for g, both (..., sets, elements)."""
        s, rule = self.statistics, self.rule
        assert s is not None
        if rule.spread is None:
            # Only centred: the statistics see every element that counts, the mask keeps the others out.
            return self._uncentre(g, s) if rule.centre else g
        z = to_sets(self.z, self.plan)  # as the forward pass made it: no copy
        base = z if self.around is None else self.around
        product = g * z
        if self.mask is not None:
            base = np.where(self.mask, base, 0.0)
            product = np.where(g == 0, 0.0, product)  # NaN in what is masked out must not pass through a gradient of 0
        along = np.sum(product, axis=-1, keepdims=True)
        through = along * self._slope(base, s)
        if self.around is not None:
            through = self._uncentre(through, s)
        if self.mask is not None:
            g = np.where(self.mask | (s.root != 0), g, 0.0)
        dx = g - through
        if rule.centre:
            dx = self._uncentre(dx, s)
        return dx * (self.scale * s.unit)

    def _uncentre(self, g: np.ndarray, s: formula.Statistics) -> np.ndarray:
        """The gradient through x - mean(x); what is masked out was shifted, but did not move the mean."""
        mean = np.sum(g, axis=-1, keepdims=True) / s.count
        return g - (mean if self.mask is None else np.where(self.mask, mean, 0.0))

    def _slope(self, z: np.ndarray, s: formula.Statistics) -> np.ndarray:
        """dD/dd of every element; D is what divides, in the statistics' unit."""
        rule, held = self.rule, np.where(s.root == 0, 1.0, s.root)  # without spread z is 0 and so is the slope
        below = formula.denominator(np, s, rule.eps, rule.eps_rule)
        inside = rule.eps == 0 or rule.eps_rule == "inside"
        above = 1.0 if rule.eps_rule != "floor" else s.root > rule.eps * s.unit  # the floor has no slope
        if rule.spread in ("std", "rms", "l2"):
            pull = z if inside else z * (below / held * above)
            return pull / s.count if rule.spread != "l2" else pull
        by_root = s.root / np.where(below == 0, 1.0, below) if inside else above  # dD/droot
        if rule.spread == "max":
            top = np.abs(z) == np.max(np.abs(z), axis=-1, keepdims=True)
            return np.sign(z) * (top / np.sum(top, axis=-1, keepdims=True) * by_root)
        return np.sign(z) * (by_root / (s.count if rule.spread == "mean_abs" else 1.0))


def standardize(
    x: np.ndarray, plan: Plan, rule: Rule, *, weight: np.ndarray | None = None,
    bias: np.ndarray | None = None, mask: np.ndarray | None = None,
    running: tuple[np.ndarray, np.ndarray] | None = None,
) -> Standardized:  # fmt: skip
    """Normalize x by its own statistics, or by `running` mean and variance (they broadcast over the split axes)."""
    statistics = sets_mask = around = None
    scale: Any = 1.0
    with np.errstate(invalid="ignore", over="ignore", divide="ignore", under="ignore"):
        if running is not None:
            mean = running[0] if rule.centre else np.float64(0.0)
            held = formula.Statistics(mean, 0.0, np.sqrt(running[1]), running[1], np.float64(1.0), plan.count)
            z, scale = formula.normalize(np, widen(x).reshape(plan.split), held, **_using(rule))
        else:
            sets = to_sets(x, plan)
            if mask is not None:
                sets_mask = to_sets(np.broadcast_to(mask, plan.split), plan) != 0
            statistics = formula.statistics(
                np, sets, (-1,), centre=rule.centre, spread=rule.spread, eps=rule.eps, mask=sets_mask
            )
            z, scale = formula.normalize(np, sets, statistics, **_using(rule))
            if sets_mask is not None and rule.spread is not None:
                # Where what counts has no spread, what is masked out has nothing to be measured by.
                z = np.where(sets_mask | (statistics.root != 0), z, 0.0)
            z = from_sets(z, plan)
            if rule.spread == "std" and not rule.centre:
                about = formula.statistics(np, sets, (-1,), centre=True, spread=None, eps=rule.eps, mask=sets_mask)
                around = formula.centred(np, sets, about) * scale
        y = np.empty_like(x)
        result = z if weight is None else z * weight
        result = result if bias is None else result + bias
        y.reshape(plan.split)[...] = result
    return Standardized(y, statistics, plan, rule, z, scale, weight, bias, sets_mask, around)


def _using(rule: Rule) -> dict[str, Any]:
    return {"spread": rule.spread, "eps": rule.eps, "eps_rule": rule.eps_rule}
