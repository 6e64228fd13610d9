"""What was found, in words: a sentence for every fault, convention, note and refusal, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..language import N_, both

__all__ = ["ASKING", "CHECKS", "CONVENTIONS", "FAULTS", "NOTES", "REFUSALS", "say"]

Text = dict[str, str]

FAULTS = {
    "no_parentheses": N_("Parentheses are missing: x - mean / std divides only the mean, not the difference."),
    "variance_not_root": N_("It divides by the variance itself; its square root is what divides."),
    "eps_outside_root": N_(
        "eps is added outside the root, to the standard deviation; it belongs under the root, to the "
        "variance."
    ),
    "sample_variance": N_(
        "It is the sample variance, divided by n - 1 (ddof=1, torch's default); a normalization divides by n."
    ),
    "eps_missing": N_("eps is nowhere: without it a set whose values are all equal is divided by zero."),
    "missing_weight": N_("The weight (gamma) is taken and never used: nothing is scaled."),
    "missing_bias": N_("The bias (beta) is taken and never used: nothing is shifted."),
    "weight_bias_swapped": N_(
        "Weight and bias are swapped: the bias (beta) multiplies and the weight (gamma) is added."
    ),
    "bias_before_scale": N_("The bias is added before the scaling, so that the weight multiplies it as well."),
    "groups_interleaved": N_(
        "The groups take every g-th channel (number c mod g); a group is made of neighbouring channels."
    ),
    "mean_not_subtracted": N_("The mean is not subtracted above the line: x / std in the place of (x - mean) / std."),
    "mean_subtracted": N_("The mean is subtracted, which this method does not do."),
    "wrong_axis": N_("The wrong axis ({which}): what shares one statistic is {got}; right is {right}."),
    "keepdims_missing": N_(
        "keepdims is missing: the statistics have lost the pooled axis and meet the wrong one. Where the sizes differ "
        "it fails, where they are equal it is silently wrong."
    ),
    "running_statistics_in_training": N_(
        "In training it normalizes with the running statistics; the batch's own are right there."
    ),
    "square_not_centred": N_(
        "The variance is taken without its mean: mean(x ** 2) in the place of mean((x - mean) ** 2)."
    ),
    "sum_not_mean": N_("The squares are added up and never divided by how many they are."),
    "mean_not_sum": N_("The squares are averaged; the length is the root of their sum."),
    "absolute_deviation": N_("It divides by the mean absolute deviation; the root of the mean square is right."),
    "another_length": N_(
        "It divides by another length than the root of the sum of squares (the sum, or the largest, of |x|)."
    ),
    "root_twice": N_("The root is taken twice: of what is a standard deviation already."),
    "not_divided": N_("Nothing is divided: the spread is missing."),
    "multiplied": N_("It multiplies by what should divide."),
    "not_normalized": N_("Nothing is normalized: what comes out is what went in, at most scaled and shifted."),
    "mean_added": N_("The mean is added; it must be subtracted."),
    "eps_added_to_quotient": N_("eps is added to the quotient; it belongs under the root, to the variance."),
    "eps_inside_root": N_("eps is added under the root; this method has it elsewhere."),
    "eps_floor": N_("eps is a floor, max(root, eps); this method adds it."),
    "one_plus_weight": N_("It scales by 1 + weight, which is Gemma's convention; here the weight itself multiplies."),
    "bias_subtracted": N_("The bias is subtracted; it must be added."),
    "batch_statistics_in_evaluation": N_(
        "In evaluation it uses the batch's statistics; the running ones are right there."
    ),
    "running_statistics_not_updated": N_(
        "In training these never move: {names}. They are neither changed in place nor returned."
    ),
    "running_statistics_replaced": N_("The batch's statistics replace the running ones: momentum is not applied."),
    "running_statistics_moved_in_evaluation": N_("Evaluation moves the running statistics; only training may."),
    "running_unknown": N_("In training these move, but by no rule that I know: {names}."),
    "running_root": N_("The running variance is fed with the standard deviation."),
    "momentum_reversed": N_(
        "The momentum is the wrong way round: the new value gets the weight 1 - momentum. In PyTorch and here"
        " momentum is the weight of the new value; Keras and TensorFlow have it the other way."
    ),
    "momentum_reversed_from_old": N_(
        "The momentum is the wrong way round: a momentum of {default} is meant as the weight of the old "
        "value, and here it weighs the new one."
    ),
    "momentum_ignored": N_("The momentum is ignored: asked with {asked}, the new value gets the weight {share}."),
    "momentum_differs": N_("Running mean and running variance move by different shares: {mean} and {var}."),
    "input_changed": N_("It changes what it was given, in place: {names}."),
    "returns_list": N_("It returns a list; an array is required."),
    "returns_none": N_("{who} returns nothing (None). Is the return missing?"),
    "returns_generator": N_("{who} is a generator: it yields where it should return an array."),
    "returns_coroutine": N_("{who} is an async function: its result is a coroutine, not an array."),
    "returns_other": N_("{who} returns no array of numbers but {came}."),
    "returns_scalar": N_("{who} returns a single number; an array of shape {shape} is required."),
    "wrong_shape": N_("{who} returns the shape {came}; that of x is required, {shape}."),
    "wrong_dtype": N_("The dtype changes: {given} goes in and {came} comes out."),
    "single_precision": N_(
        "float64 goes in, and what comes out is right to {worst} only, about what float32 can tell."
    ),
    "float32_lost": N_("In float32 it loses more digits than rounding does."),
    "not_repeatable": N_("The same input gives another output the second time."),
    "not_finite": N_("It gives NaN or infinity for ordinary numbers, first at {index} of x with shape {shape}."),
    "constant_not_finite": N_("A set whose values are all equal gives NaN or infinity; the bias is right."),
    "constant_noise": N_("A set whose values are all equal does not give the bias."),
    "one_pass_variance": N_(
        "The variance is E[x^2] - E[x]^2, which cancels: with a mean of {ratio} spreads the {dtype} output is"
        " off by {off}."
    ),
    "far_mean_lost": N_(
        "With a mean of {ratio} spreads the {dtype} output is off by {off}: digits are lost before the mean "
        "is subtracted."
    ),
    "raises": N_("It raises {what}"),
    "exits": N_("It ends the program: sys.exit({code_})."),
    "timeout": N_("It did not end within {limit} s; the process was stopped."),
    "crashed": N_("It ended the whole process ({how})."),
    "unknown": N_(
        "Wrong, but no mistake I know. It differs most at {index} of x with axes {layout} and shape {shape} "
        "(shared set {set}): {got} where {wanted} is right; {differ} elements differ."
    ),
    "unknown_in_evaluation": N_("Evaluation is wrong, but by no mistake I know; off by {off} of the largest value."),
    "no_cache": N_("{name} returns one array, and the backward asks for a cache: it should be the second of a tuple."),
    "no_dx": N_("The backward returns no array of the shape of x, {shape}; what came has {came}."),
    "no_gradient": N_("No gradient reaches x: the output is cut off from it (detach, no_grad, or by way of NumPy)."),
    "gradient_ignores_statistics": N_(
        "The gradient takes mean and variance for constants (detached): both depend on x."
    ),
    "gradient_ignores_variance": N_("The gradient takes the variance for a constant: it depends on x as well."),
    "gradient_ignores_mean": N_("The gradient takes the mean for a constant: it depends on x as well."),
    "gradient_without_weight": N_("The weight is missing in dx: dy is multiplied by it first."),
    "gradient_sums_not_means": N_(
        "In dx sums stand where means belong: they are never divided by how many elements share the "
        "statistic."
    ),
    "gradient_averaged": N_(
        "The gradient {of} is off by the number of elements: a mean in the place of a sum, or the reverse."
    ),
    "gradient_sign": N_("A sign is wrong in {of}."),
    "gradient_not_divided": N_("dx is not divided by the root."),
    "gradient_is_dy": N_("dx is dy, handed on as it came."),
    "gradient_not_summed": N_(
        "The gradient {of} is not summed over all axes: {name} has the shape {shape}, what came has {came}."
    ),
    "gradients_swapped": N_("The gradients of weight and bias are swapped."),
    "gradient_of_raw_x": N_("The gradient {of} multiplies dy by x; the normalized x is right."),
    "gradient_unknown": N_(
        "The gradient {of} is wrong, but by no mistake I know; off by {off} of its largest element."
    ),
    "option_ignored": N_("The option {name} is ignored: it always computes with {value}."),
    "alpha_not_divided": N_(
        "alpha is not divided by size. That is the convention of the paper and of TensorFlow; PyTorch, Caffe "
        "and ONNX divide."
    ),
    "window_off_by_one": N_("The window has one channel, or two, too many or too few."),
    "size_of_one_side": N_("size is taken for the reach to each side; it is the whole window."),
    "window_side": N_(
        "The longer side of an even window lies on the other side of the channel (ONNX has it after, PyTorch "
        "before)."
    ),
    "power_missing": N_("The power beta is missing."),
    "not_squared": N_("The window adds up x; it is the squares that are added."),
    "scale_missing": N_("The factor scale (1.0507) is missing."),
    "alpha_missing": N_("The constant alpha (1.6733) is missing."),
    "constants_missing": N_("Both constants are missing: that is ELU."),
    "constants_swapped": N_("The two constants are swapped."),
    "scale_on_one_side": N_("The factor scale is applied on one side of 0 only."),
    "constant_not_subtracted": N_("Below 0 it is exp(x) - 1; the 1 is not subtracted."),
    "sides_swapped": N_("The two sides of 0 are swapped."),
    "constants_rounded": N_(
        "The constants are cut to {digits} decimals; the fixed point at mean 0 and variance 1 needs all of "
        "them."
    ),
    "frobenius_norm": N_("It divides by the Frobenius norm; the largest singular value is right."),
    "sum_of_singular_values": N_("It divides by the sum of the singular values; the largest one is right."),
    "square_of_singular_value": N_("It divides by the square of the largest singular value."),
    "largest_sum": N_("It divides by the largest row sum of |w|; the largest singular value is right."),
    "largest_element": N_("It divides by the largest |w|; the largest singular value is right."),
    "no_iteration": N_("No power iteration is done: u is used as it came."),
}  # fmt: skip

CONVENTIONS = {
    "another_eps": N_(
        "eps is fixed at {eps}; the default here is {ours}. Libraries differ: 1e-5 in PyTorch, 1e-6 in Flax, "
        "1e-3 in Keras."
    ),
    "groups_fixed": N_("The number of groups is fixed at {groups}."),
    "momentum_weighs_old": N_(
        "The momentum is the weight of the old value, as in Keras and TensorFlow; in PyTorch and here it is "
        "that of the new one (0.9 there is 0.1 here)."
    ),
    "running_variance_biased": N_(
        "The running variance takes the variance divided by n, as Keras and Flax do; PyTorch and this library"
        " take n - 1."
    ),
    "vector_not_renewed": N_(
        "sigma is u W v with the v that the new u was made of, as in the paper and in Flax; PyTorch and this library "
        "make v anew from that u first."
    ),
}  # fmt: skip

NOTES = {
    "only_here": N_("Judged on {kind} input ({layout}). On {other} ({other_layout}) it does something else."),
    "not_taken": N_("It does not take {kind} input ({layout}), so it is not judged on it: {why}"),
    "other_order": N_("Judged with the axes in the order {layout}."),
    "judged_without": N_("It has no parameter for this, so it is judged without: {names}."),
    "no_running_statistics": N_("It takes no running statistics, so evaluation is not judged."),
    "no_evaluation": N_("It cannot be told to evaluate (no parameter such as training), so evaluation is not judged."),
    "no_backward": N_("No backward was given, so none is judged (--backward FUNCTION, or a method backward)."),
    "gradient_only_here": N_(
        "On {kind} input ({layout}) {of} is not summed over all axes, so the backward is judged on the "
        "smaller input only."
    ),
    "constant_state": N_(
        "On the way back its state counts as a constant ({names}), so the backward is not judged by "
        "differences."
    ),
    "no_parameter_gradient": N_("The backward gives no gradient for {name}."),
    "same_as": N_("That is how {title} shares its statistics. If it is what you mean: --as {spec}"),
}  # fmt: skip

REFUSALS = {
    "no_signature": N_("{name}: Python cannot read its parameters. Wrap it in a function of your own."),
    "no_parameters": N_("{name}: it takes no parameters; the first one must be x."),
    "unknown_parameter": N_(
        "{who}: the required parameter {name} is none that I know. Known: {known}. What has a default may "
        "have any name."
    ),
    "no_such_function": N_("{file}: there is no {name} in it."),
    "not_callable": N_("{name}: a function or a class is required, got {came}."),
    "input_missing": N_("{name}: a parameter for what this method is given besides x is required: {input}."),
    "further_input": N_(
        "{name}: a layer of this method takes a further input ({input}), which is not asked here. "
        "Give a function of x, weight and bias."
    ),
    "class_not_callable": N_("{name}: a class needs __call__ or forward."),
}  # fmt: skip

CHECKS = {
    "runs": N_("runs"),
    "forward": N_("gives an array"),
    "output": N_("output, {kind} ({layout})"),
    "inputs": N_("inputs stay as they are"),
    "repeatable": N_("same input, same output"),
    "dtype": N_("keeps the dtype"),
    "float32": N_("output in float32"),
    "constant": N_("a set of equal values"),
    "far": N_("mean far above the spread"),
    "running": N_("running statistics in training"),
    "evaluation": N_("evaluation"),
    "backward": N_("backward, {of} ({layout})"),
}
ASKING = {
    "loading": N_("while the file was loaded"),
    "forward": N_("while it was asked for its output"),
    "repeatable": N_("while it was asked the same a second time"),
    "dtype": N_("while it was given float32"),
    "constant": N_("while it was given equal values"),
    "far": N_("while it was given a mean far above the spread"),
    "evaluation": N_("while it was asked to evaluate"),
    "backward": N_("while its backward was asked"),
}

WORDS = {
    "dense": N_("dense"), "images": N_("images"), "images, channels last": N_("images, channels last"),
    "mean": N_("mean"), "variance": N_("variance"), "mean and variance": N_("mean and variance"),
    "mean square": N_("mean square"), "tokens": N_("tokens"), "kernels": N_("kernels"), "vector": N_("vector"),
}  # fmt: skip


def say(table: Mapping[str, str], key: str, fields: Mapping[str, Any]) -> Text:
    """The sentence for `key` with its fields; shapes are written as Python has them."""
    shown = {name: _shown(value) for name, value in fields.items()}
    message = table[key]
    return both(message, **_complete(message, shown))


def _shown(value: Any) -> Any:
    if isinstance(value, str) and value in WORDS:
        return both(WORDS[value])
    if isinstance(value, list):
        return f"({', '.join(map(str, value))}{',' if len(value) == 1 else ''})"
    return value


def _complete(message: str, fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` with a dash for what the message asks for and nobody knows."""
    import string

    asked = {name for _, name, _, _ in string.Formatter().parse(message) if name}
    return {**dict.fromkeys(asked, "-"), **fields}
