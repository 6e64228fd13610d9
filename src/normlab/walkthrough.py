"""`normlab guide bn --steps`: one small batch through every step of a technique, code beside formula, and back again.

The code that is shown is the code that is run: each step is one line of Python, executed in a namespace of its own,
and the values printed below it are what that line made. The lines follow from the definition's fields (what is
pooled, whether the mean goes, which spread divides, where eps enters), so every method made of statistics has steps.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from .boards import demonstration
from .cards import card, words
from .definition import Definition
from .errors import UsageError
from .pattern import Pattern, Plan

__all__ = ["Step", "Walk", "steps", "walk"]

# Columns with the means 2, 6, -4 and the spreads 1, 2, 5: what batch normalization makes of them is seen at a glance.
NUMBERS = ((1.0, 4, -11), (3, 8, -5), (1, 8, -3), (3, 4, 3))
GRADIENT = ((1.0, 0, 2), (0, 1, -1), (2, -1, 0), (-1, 1, 1))
# Tried in this order: the 4 x 3 batch; where that leaves sets of one, two samples of two channels; where channels are
# split into groups, one sample of four channels.
SHAPES = ((4, 3), (2, 2, 3), (1, 4, 3))
AXES = ("n", "c", "position")
Line = tuple[str, str, str]  # code, formula, the key of the words that explain it
WIDTH = 76  # the terminal indents what stands in a fence
SCALE, SHIFT = (1, 2, 0.5, 1), (0, 1, -1, 0.5)
FORMULAS = {
    "std": ("q = (1/m) Σ d²", "meansquare"), "rms": ("q = (1/m) Σ d²", "meansquare"), "l2": ("q = Σ d²", "sumsquare"),
    "mean_abs": ("s = (1/m) Σ |d|", "meanabs"), "l1": ("s = Σ |d|", "sumabs"), "max": ("s = max |d|", "max"),
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One line of code, the formula that it is, a key of the guide's words that explains it, and what it made."""

    code: str
    formula: str
    word: str
    value: Any


@dataclass(frozen=True)
class Walk:
    """All steps of a method on one batch; `names` is the namespace that the lines left (x, mean, xhat, y, dx ...)."""

    definition: Definition
    plan: Plan
    steps: tuple[Step, ...]
    names: dict[str, Any]


def steps(name: str, lang: str = "en") -> str:
    """The steps of a technique as Markdown that also reads well in a terminal.

    Args: `name`, of a method or card, long or short; `lang`, "en" or "ko".
    Returns: for a technique without statistics, a paragraph that says so and what to read instead.
    Raises: UnknownNameError with the nearest names.
    """
    one = card(name, lang)
    say = words(lang)
    definition = _definition(name, one.definitions)
    title = definition.title if lang == "en" else definition.title_ko
    walked = walk(definition)
    if walked is None:
        from .cards import heading

        text = say["steps_none"].format(
            title=title, short=definition.short, worked=heading("worked", lang), code=heading("code", lang)
        )
        return text + "\n"
    plan = walked.plan
    about = say["steps_about"].format(
        shape=plan.shape, axes=", ".join(AXES[: len(plan.shape)]), line=plan.pattern, sets=plan.sets, count=plan.count
    )
    lines = [f"# {say['steps_title'].format(title=title)}", "", about, ""]
    for k, step in enumerate(walked.steps, 1):
        lines += [f"## {k}. {say[f'step_{step.word}']}", "", "```text", *_shown(step), "```", ""]
    slopes = {key: f"{walked.names[name].mean():.4f}" for key, name in (("without", "slope_x"), ("with", "slope"))}
    lines += [say["steps_end"].format(**slopes), "", say["steps_next"].format(short=definition.short)]
    return "\n".join(lines) + "\n"


def walk(definition: Definition) -> Walk | None:
    """Run every step of a method; None for one that is not made of a single line of statistics.

    What acts on the input (role `input`) learns from data which steps it takes: there is no one chain of them.
    """
    if definition.forward is not None or definition.role == "input" or len(_patterns(definition)) != 1:
        return None
    plan = _plan(definition)
    if plan is None:
        return None
    import numpy as np

    names: dict[str, Any] = {"np": np}
    done = []
    for code, formula, word in _lines(definition, plan):
        exec(code, names)  # our own lines, made below; no text of a user's reaches them
        done.append(Step(code, formula, word, names[code.split(" ", 1)[0]]))
    names.pop("__builtins__", None)
    return Walk(definition, plan, tuple(done), names)


def _definition(name: str, covered: tuple[Definition, ...]) -> Definition:
    """The method meant by `name` among those of its card; the card's first that has steps where the card is named."""
    wanted = name.strip().lower().replace("-", "_")
    for definition in covered:
        if wanted in (definition.name, definition.short, definition.class_name.lower()):
            return definition
    return next((d for d in covered if d.forward is None and d.pools is not None), covered[0])


def _patterns(definition: Definition) -> dict[str, Pattern]:
    return definition.lines(demonstration(definition))


def _plan(definition: Definition) -> Plan | None:
    """The first of the small batches on which every set has three elements and a split axis is really split."""
    options = demonstration(definition)
    for pattern in _patterns(definition).values():
        for shape in SHAPES:
            channels = shape[1]
            try:
                arranged = pattern.arrange("n c ..." if len(shape) > 2 or "..." in pattern.names else "n c")
                plan = arranged.plan(shape, definition.factor_sizes(options, channels))
            except UsageError:  # the groups do not divide, or an axis is missing: the next shape
                continue
            factors = [plan.size(f.name) for t in plan.pattern.terms if len(t.factors) > 1 for f in t.factors]
            if plan.count >= 3 and all(size > 1 for size in factors):
                return plan
    return None


def _lines(definition: Definition, plan: Plan) -> Iterator[Line]:
    """The lines of code with their formulas: forward, what sigmoid makes of it, backward."""
    across = f"axis={plan.pooled[0] if len(plan.pooled) == 1 else plan.pooled}, keepdims=True"
    rows = _reshaped(NUMBERS, plan.shape)
    yield f"x = np.array({rows})", f"m = {plan.count}", "import"
    x = "x"
    if plan.split != plan.shape:
        x = "xs"
        yield f"xs = x.reshape{plan.split}", "c = g · (c/g)", "split"
    centred = definition.centre
    if centred:
        yield f"mean = {x}.mean({across})", "μ = (1/m) Σ x", "mean"
        yield f"d = {x} - mean", "d = x − μ", "centre"
    else:
        yield f"d = {x}", "d = x", "nocentre"
    root = yield from _spread(definition, across)
    yield f"xhat = d / {root}" if root else "xhat = d", "x̂ = d / s" if root else "x̂ = d", "divide"
    params = {p.name: plan.align(plan.pattern.whole(p.axes)) for p in definition.params if p.name in ("weight", "bias")}
    yield from _affine(plan, params)
    if definition.has_running:
        yield "running_mean = 0.9 * 0 + 0.1 * mean", "μ_run ← 0.9 μ_run + 0.1 μ", "running"
        yield (
            f"running_var = 0.9 * 1 + 0.1 * q * {plan.count} / {plan.count - 1}",
            "σ²_run ← 0.9 σ²_run + 0.1 σ² m/(m−1)",
            "running",
        )
    yield "a = 1 / (1 + np.exp(-y))", "a = 1 / (1 + e^(−y))", "sigmoid"
    yield "slope = a * (1 - a)", "a' = a (1 − a)", "slope"
    yield "slope_x = np.exp(-x) / (1 + np.exp(-x)) ** 2", "e^(−x) / (1 + e^(−x))²", "slope_without"
    yield from _backward(definition, plan, across, root, params)


def _affine(plan: Plan, params: dict[str, Any]) -> Iterator[Line]:
    """Scale, shift and, where axes were split, the way back to the shape of x; the last line makes `y`."""
    split = plan.split != plan.shape
    done = "xhat"
    for name, sign, values, target, formula, word in (
        ("weight", "*", SCALE, "scaled", "γ · x̂", "scale"), ("bias", "+", SHIFT, "shifted", "γ · x̂ + β", "shift"),
    ):  # fmt: skip
        if name in params:
            last = not split and name == list(params)[-1]
            aligned = params[name][1]
            yield (
                f"{name} = np.array({_some(values, aligned)}).reshape{aligned}",
                "γ" if name == "weight" else "β",
                name,
            )
            yield f"{'y' if last else target} = {done} {sign} {name}", formula, word
            done = target
    if split:
        yield f"y = {done}.reshape{plan.shape}", "y", "join"
    elif not params:
        yield "y = xhat", "y = x̂", "bare"


def _spread(definition: Definition, across: str) -> Generator[Line, None, str | None]:
    """The lines from the deviations to the divisor; returns the divisor's name, None where nothing divides."""
    spread, eps = definition.spread, definition.eps or 0.0
    if spread is None:
        return None
    formula, word = FORMULAS[spread]
    if spread in ("std", "rms", "l2"):
        deviation = "d"
        if spread == "std" and not definition.centre:  # the spread about the mean, though the mean stays
            deviation = f"(d - d.mean({across}))"
        yield f"square = {deviation} ** 2", "d²", "square"
        yield f"q = square.{'sum' if spread == 'l2' else 'mean'}({across})", formula, word
        if definition.eps_rule == "inside":
            yield f"q_eps = q + {eps!r}", "q + ε", "eps_inside"
            yield "s = np.sqrt(q_eps)", "s = √(q + ε)", "root"
            return "s"
        yield "r = np.sqrt(q)", "r = √q", "root_plain"
    else:
        yield "size = np.abs(d)", "|d|", "abs"
        how = {"mean_abs": "mean", "l1": "sum", "max": "max"}[spread]
        yield f"r = size.{how}({across})", formula, word
        if definition.eps_rule == "inside":
            yield f"s = np.sqrt(r ** 2 + {eps!r})", "s = √(r² + ε)", "eps_inside"
            return "s"
    if definition.eps_rule == "outside":
        yield f"s = r + {eps!r}", "s = r + ε", "eps_outside"
    else:
        yield f"s = np.maximum(r, {eps!r})", "s = max(r, ε)", "eps_floor"
    return "s"


def _backward(
    definition: Definition, plan: Plan, across: str, root: str | None, params: dict[str, Any]
) -> Iterator[Line]:
    """From the gradient of y to those of the parameters and of x, where the spread has a closed form."""
    smooth = definition.spread in ("std", "rms", "l2", None) and (definition.centre or definition.spread != "std")
    if not smooth:
        return
    back = f".reshape{plan.split}" if plan.split != plan.shape else ""
    yield f"dy = np.array({_reshaped(GRADIENT, plan.shape)}){back}", "dy", "dy"
    for name, code, formula in (("bias", "dy", "dβ = Σ dy"), ("weight", "(dy * xhat)", "dγ = Σ dy · x̂")):
        if name in params:
            axes = tuple(a for a, size in enumerate(params[name][1]) if size == 1)
            yield f"d{name} = {code}.sum(axis={axes[0] if len(axes) == 1 else axes})", formula, f"d{name}"
    yield ("g = dy * weight", "g = γ · dy", "g") if "weight" in params else ("g = dy", "g = dy", "g")
    inner, formula = "g", "g"
    if definition.centre:
        yield f"g_mean = g.mean({across})", "mean(g)", "g_mean"
        inner, formula = "g - g_mean", "g − mean(g)"
    if root:
        how = "sum" if definition.spread == "l2" else "mean"
        stretch = "d / r" if definition.eps_rule == "outside" else "xhat"
        yield f"g_along = (g * xhat).{how}({across})", f"{how}(g · x̂)", "g_along"
        inner, formula = f"({inner} - {stretch} * g_along) / s", f"({formula} − x̂ · {how}(g · x̂)) / s"
    yield f"dx = {inner}", f"dx = {formula}", "dx"
    if definition.centre:
        yield f"total = dx.sum({across})", "Σ dx = 0", "null"


def _reshaped(rows: tuple[tuple[float, ...], ...], shape: tuple[int, ...]) -> Any:
    """The twelve numbers as nested lists of a shape: whole rows stay whole."""
    flat: list[Any] = [v for row in rows for v in row]
    for size in reversed(shape[1:]):
        flat = [flat[k : k + size] for k in range(0, len(flat), size)]
    return flat


def _some(values: tuple[float, ...], aligned: tuple[int, ...]) -> list[float]:
    """As many of `values` as a parameter has elements, over again where it has more."""
    count = 1
    for size in aligned:
        count *= size
    return [values[k % len(values)] for k in range(count)]


def _shown(step: Step) -> list[str]:
    """Code and formula on one line (two where they are long), then the values."""
    line = f"{step.code:<44} | {step.formula}"
    head = [line] if len(line) <= WIDTH else [step.code, f"    | {step.formula}"]
    return [*head, "", *_values(step.value)]


def _values(value: Any) -> list[str]:
    """An array as rows of numbers, one for each index of the axes before the last."""
    import numpy as np

    array = np.asarray(value, dtype=float)
    array = np.where(np.abs(array) < 1e-12, 0.0, array)  # what rounding left of a zero
    rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    whole = bool((rows == rows.round()).all())
    return ["".join(f"{v:>10.0f}" if whole else f"{v:>10.4f}" for v in row).rstrip() for row in rows.tolist()]
