"""The line of code that mends a fault, written for the method's fields, the axes at hand, and NumPy or torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..definition import Definition
from .frames import parts_of

__all__ = ["mend"]

AFFINE = ("missing_weight", "missing_bias", "weight_bias_swapped", "bias_before_scale", "one_plus_weight",
          "bias_subtracted")  # fmt: skip
QUOTIENT = (
    "no_parentheses", "variance_not_root", "eps_outside_root", "eps_missing", "eps_inside_root", "eps_floor",
    "eps_added_to_quotient", "root_twice", "not_divided", "multiplied", "not_normalized", "mean_not_subtracted",
    "mean_subtracted", "mean_added", "constant_not_finite",
)  # fmt: skip
MEASURE = ("wrong_axis", "keepdims_missing",
           "sample_variance", "square_not_centred", "sum_not_mean", "mean_not_sum", "absolute_deviation",
           "another_length", "one_pass_variance", "far_mean_lost", "constant_noise")  # fmt: skip
SLOPE = (
    "gradient_ignores_statistics", "gradient_ignores_variance", "gradient_ignores_mean", "gradient_without_weight",
    "gradient_sums_not_means", "gradient_sign", "gradient_not_divided", "gradient_is_dy",
)  # fmt: skip
PARAMETERS = ("gradient_not_summed", "gradient_averaged", "gradients_swapped", "gradient_of_raw_x")
MOVING = ("momentum_reversed", "running_statistics_not_updated", "running_statistics_replaced", "momentum_ignored",
          "momentum_differs", "running_root")  # fmt: skip
CHOICE = ("batch_statistics_in_evaluation", "running_statistics_in_training")
OTHERS = {
    "momentum_reversed_from_old": "running_mean = momentum * running_mean + (1 - momentum) * mean",
    "input_changed": "x = x - mean    # a new array; x -= mean changes the caller's",
    "returns_list": "return {np}.{array}(y)",
    "returns_none": "return y",
    "no_cache": "return y, cache",
    "alpha_not_divided": "y = x / (k + alpha / size * energy) ** beta",
    "power_missing": "y = x / (k + alpha / size * energy) ** beta",
    "not_squared": "energy[c] = (x[c - size // 2 : c + (size - 1) // 2 + 1] ** 2).sum()",
    "window_off_by_one": "first, last = c - size // 2, c + (size - 1) // 2    # both included",
    "size_of_one_side": "first, last = c - size // 2, c + (size - 1) // 2    # both included",
    "window_side": "first, last = c - size // 2, c + (size - 1) // 2    # both included",
    "groups_interleaved": "z = x.reshape(len(x), groups, -1)    # neighbouring channels",
    "single_precision": "y = {np}.empty_like(x)    # every array in x's dtype",
    "float32_lost": "x = x.astype({np}.float64)    # before squaring; back last",
}
ACTIVATION = (
    "scale_missing", "alpha_missing", "constants_missing", "constants_swapped", "scale_on_one_side",
    "constant_not_subtracted", "sides_swapped", "constants_rounded",
)  # fmt: skip
SPECTRAL = ("frobenius_norm", "sum_of_singular_values", "square_of_singular_value", "largest_sum", "no_iteration",
            "largest_element")  # fmt: skip


@dataclass(frozen=True)
class _Writer:
    """How this method is written on these axes."""

    definition: Definition
    framework: str
    axes: tuple[int, ...]
    split: bool

    @property
    def np(self) -> str:
        return "torch" if self.framework == "torch" else "np"

    def over(self, *, keep: bool = True) -> str:
        """The arguments of a sum or mean over the pooled axes."""
        axes = -1 if self.split else self.axes[0] if len(self.axes) == 1 else tuple(self.axes)
        axis, keepdims = ("dim", "keepdim") if self.framework == "torch" else ("axis", "keepdims")
        return f"{axis}={axes}" + (f", {keepdims}=True" if keep else "")

    @property
    def x(self) -> str:
        return "z" if self.split else "x"

    @property
    def top(self) -> str:
        return f"({self.x} - mean)" if self.definition.centre else self.x

    @property
    def square(self) -> str:
        """The name of what stands under the root."""
        return "var" if self.definition.spread == "std" else "mean_square"

    @property
    def root(self) -> str:
        """What divides."""
        d = self.definition
        eps, sqrt = d.eps is not None, f"{self.np}.sqrt({self.square})"
        plain = sqrt if d.spread in ("std", "rms") else "spread"
        if not eps:
            return plain
        if d.eps_rule == "floor":
            return f"{self.np}.{'clamp' if self.framework == 'torch' else 'maximum'}({plain}, {self._floor()})"
        if d.eps_rule == "outside":
            return f"({plain} + eps)"
        return f"{self.np}.sqrt({self.square if d.spread in ('std', 'rms') else 'spread ** 2'} + eps)"

    def _floor(self) -> str:
        return "min=eps" if self.framework == "torch" else "eps"

    def quotient(self) -> str:
        return f"xhat = {self.top} / {self.root}"

    def measure(self) -> str:
        """The statistics."""
        d, x, over = self.definition, self.x, self.over()
        lines = [f"mean = {x}.mean({over})"] if d.centre else []
        if d.spread == "std":
            biased = ", unbiased=False" if self.framework == "torch" else ""
            lines.append(f"var = {x}.var({over}{biased})")
        elif d.spread == "rms":
            lines.append(f"mean_square = ({self.top} ** 2).mean({over})")
        elif d.spread == "l2":
            lines.append(f"spread = {self.np}.sqrt(({self.top} ** 2).sum({over}))")
        else:
            how = {"mean_abs": "mean", "l1": "sum", "max": "amax" if self.framework == "torch" else "max"}
            lines.append(f"spread = {self.np}.abs({self.top}).{how[d.spread or 'l1']}({over})")
        return "\n".join((["z = x.reshape(len(x), groups, -1)"] if self.split else []) + lines)

    def affine(self) -> str:
        names = {p.name for p in parts_of(self.definition)}
        scale = "g" if "g" in names else "weight"
        z = "x" if self.definition.spread is None or self.definition.forward else "xhat"
        return f"y = {scale} * {z}" + ("" if "bias" not in names else " + bias")

    def slope(self) -> str:
        d, over = self.definition, self.over()
        if d.eps_rule == "outside" or d.spread not in ("std", "rms", "l2"):
            return "dx = " + ("(g - g.mean(...) - ...)" if d.centre else "(g - ...)")
        how = "sum" if d.spread == "l2" else "mean"
        lines = ["g = weight * dy" if d.affine[0] else "g = dy"]
        lines += [f"mean = g.mean({over})"] if d.centre else []
        lines += [f"along = (g * xhat).{how}({over})"]
        return "\n".join([*lines, f"dx = (g{' - mean' if d.centre else ''} - xhat * along) / root"])


def mend(key: str, fields: Mapping[str, Any], definition: Definition, framework: str) -> str | None:
    """The line that mends the fault `key`; None where no line would."""
    axes = tuple(fields.get("axes") or ()) or (0,)
    write = _Writer(definition, framework, axes, bool(fields.get("split")))
    if key in AFFINE:
        return write.affine()
    if key in QUOTIENT and (definition.forward is None or not definition.affine[0]):
        return write.quotient() if definition.forward is None else None
    if key in MEASURE:
        return write.measure()
    if key in SLOPE:
        return write.slope()
    if key in PARAMETERS:
        return "dweight = (dy * xhat).sum(others)    # others: all axes but c\ndbias = dy.sum(others)"
    return _other(key, fields, write)


def _other(key: str, fields: Mapping[str, Any], write: _Writer) -> str | None:
    if key in MOVING:
        return (
            "running_mean = (1 - momentum) * running_mean + momentum * mean"
            if key != "running_root" else "running_var = (1 - momentum) * running_var + momentum * var"
        )  # fmt: skip
    if key in CHOICE:
        return "if not training:\n    mean, var = running_mean, running_var"
    if key == "wrong_dtype":
        given = fields.get("given", "float32")
        return f"y = y.{'to' if write.framework == 'torch' else 'astype'}(x.dtype)    # {given}"
    if key in ACTIVATION:
        constants = "alpha, scale = 1.6732632423543772, 1.0507009873554805"
        return f"{constants}\ny = scale * {write.np}.where(x > 0, x, alpha * {write.np}.expm1(x))"
    if key in SPECTRAL:
        return "sigma = u @ w @ v    # u and v by power iteration, each of length 1"
    line = OTHERS.get(key)
    array = "stack" if write.framework == "torch" else "asarray"
    return None if line is None else line.format(np=write.np, array=array)
