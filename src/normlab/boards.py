"""The sharing board and the worked case as plain text: what `{{board}}` and `{{worked}}` of a card become.

The numbers on a board come from `nl.shares`; the inventory under it (how many statistics, of how many elements, along
which NumPy axes, who takes part) from the same plan that the layers use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .cards import words
from .definition import Choice, Definition
from .errors import UsageError
from .pattern import Pattern, Plan, parse
from .sharing import shares

__all__ = ["board", "demonstration", "lines", "numpy_axes", "worked"]

# Small enough to print, and every axis has a size of its own to be told by, or two where two are needed for a set.
SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "images": ("n c h w", (2, 4, 2, 2)), "tokens": ("n t c", (2, 3, 4)), "dense": ("n c", (4, 4)),
}  # fmt: skip
WEIGHTS = ("o i", (4, 3))
LAYOUTS = {"n c h w": "n c ...", "n t c": "n ... c", "n c": "n c", "o i": "o i"}
GROUPS = 2


def demonstration(definition: Definition) -> dict[str, Any]:
    """The options to draw a method with: the defaults, but two groups where a factor of the channels is asked for."""
    return definition.validate({o.name: GROUPS for o in definition.options if o.factor is not None})


def lines(definition: Definition) -> dict[str, Pattern]:
    """Every line that a method has, by name: one for each value of the option that chooses, each once."""
    if isinstance(definition.pools, Choice):
        name, texts = definition.pools.option, definition.pools.lines
        return {f"{name}={value!r}": parse(text) for value, text in texts.items()}
    return definition.lines(demonstration(definition))


def numpy_axes(plan: Plan) -> str:
    """The keyword for NumPy that pools what the plan pools, after the reshape that it needs: `axis=(0, 2, 3)`."""
    axes = f"axis={plan.pooled[0] if len(plan.pooled) == 1 else plan.pooled}"
    return axes if plan.split == plan.shape else f"x.reshape{plan.split}, {axes}"


def board(definition: Definition, lang: str) -> str:
    """Which elements share a statistic, as text in a fence, and sentences; where nothing is pooled, only a sentence."""
    say = words(lang)
    drawn = [part for name, pattern in lines(definition).items() for part in _draw(definition, name, pattern, lang)]
    if drawn:
        return "\n\n".join(drawn)
    return say["not_pooled"]


def worked(definition: Definition, lang: str) -> str:
    """The small case that a definition carries: input, output, and the arithmetic in between, as text in a fence."""
    case = definition.worked
    if case is None:
        return ""
    say = words(lang)
    given = {**case.options, **case.arrays} | ({} if case.eps is None else {say["eps"]: case.eps})
    blocks = [(say["input"], _rows(case.x))]
    if given:
        blocks.append((say["given"], [f"{name} = {_short(value)}" for name, value in given.items()]))
    blocks += [(say["derivation"], list(case.derivation)), (say["output"], _rows(case.y))]
    text = "\n\n".join(f"{label}\n" + "\n".join(f"  {line}" for line in block) for label, block in blocks)
    return f"```text\n{text}\n```"


def _draw(definition: Definition, name: str, pattern: Pattern, lang: str) -> Iterator[str]:
    say = words(lang)
    sizes = definition.factor_sizes(demonstration(definition), SHAPES["images"][1][1])
    label = f"{name}: `{pattern}`" if name else f"`{pattern}`"
    if "o" in pattern.names:
        weights = pattern.arrange(LAYOUTS[WEIGHTS[0]]).plan(WEIGHTS[1], sizes)
        inventory = _inventory(definition, say["weight_matrix"], weights, lang)
        yield f"{label}\n\n```text\n{_grid(weights, WEIGHTS[0], lang)}\n\n{inventory}\n```"
        yield say["others_weights"]
        return
    plans: dict[str, Plan] = {}
    for kind, (axes, shape) in SHAPES.items():
        plan = _fit(pattern, axes, shape, sizes)
        if plan is not None and not (definition.centre and plan.count < 2):  # a set of one is refused
            plans[kind] = plan
    first = next(iter(plans), None)
    if first is None:
        return
    inventory = "\n".join(_inventory(definition, say[kind], plan, lang) for kind, plan in plans.items())
    yield f"{label}\n\n```text\n{_grid(plans[first], SHAPES[first][0], lang)}\n\n{inventory}\n```"
    yield f"{_others(definition, pattern, lang)} {_needs(definition, pattern, sizes, lang)}".strip()


def _fit(pattern: Pattern, axes: str, shape: tuple[int, ...], sizes: dict[str, int]) -> Plan | None:
    """The pattern on an array of those axes, or None where it has no such form."""
    if "..." not in pattern.names and len(pattern.terms) != len(shape):
        return None
    try:
        return pattern.arrange(LAYOUTS[axes]).plan(shape, sizes)
    except UsageError:  # it needs other axes, or a factor that does not divide this shape
        return None


def _grid(plan: Plan, axes: str, lang: str) -> str:
    """The numbers of the statistics: samples side by side and channels below each other, each a small grid."""
    numbers = shares(plan.pattern, plan.shape, **_given(plan))
    names = axes.split()
    head = f"x ({', '.join(names)}) = {plan.shape}: {words(lang)['shape']}"
    wide = len(str(int(numbers.max())))
    if len(names) == 2:
        rows = [f"{names[0]} = {i}  " + " ".join(f"{v:>{wide}}" for v in row) for i, row in enumerate(numbers.tolist())]
        return "\n".join([head, "", *rows])
    if len(names) == 3:
        numbers = numbers[:, None]
    lines_of = [
        head,
        "",
        f"{'':7}" + "   ".join(f"{f'{names[0]} = {n}':<{_width(numbers, wide)}}" for n in range(len(numbers))),
    ]
    for c in range(numbers.shape[1]):
        for h in range(numbers.shape[2]):
            label = f"{names[1]} = {h if len(names) == 3 else c}" if h == 0 or len(names) == 3 else ""
            cells = [" ".join(f"{v:>{wide}}" for v in sample[c][h]) for sample in numbers.tolist()]
            lines_of.append(f"{label:<7}" + "   ".join(f"{cell:<{_width(numbers, wide)}}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines_of)


def _width(numbers: Any, wide: int) -> int:
    return max(5, int(numbers.shape[-1]) * (wide + 1) - 1)


def _given(plan: Plan) -> dict[str, int]:
    """The sizes of the factors of axes that are split."""
    split = [f.name for t in plan.pattern.terms if len(t.factors) > 1 for f in t.factors]
    return {name: plan.size(name) for name in split}


def _inventory(definition: Definition, what: str, plan: Plan, lang: str) -> str:
    say = words(lang)
    kind = "one_other"
    if definition.centre and definition.spread == "std":
        kind = "pair_std"
    elif definition.centre and definition.spread is None:
        kind = "pair_centre"
    elif definition.spread in ("rms", "l2") and not definition.centre:
        kind = f"one_{definition.spread}"
    return say["inventory"].format(
        what=what, sets=plan.sets, statistics=say[kind], count=plan.count, axes=numpy_axes(plan)
    )


def _others(definition: Definition, pattern: Pattern, lang: str) -> str:
    if definition.role == "input":
        return words(lang)["others_data"]
    if "n" not in pattern.pooled:
        return words(lang)["others_no"]
    return words(lang)["others_yes" if definition.has_running else "others_plain"]


def _needs(definition: Definition, pattern: Pattern, sizes: dict[str, int], lang: str) -> str:
    """Whether dense data can be normalized at all, and with how many samples: a set of one has no spread."""
    axes, (_, channels) = SHAPES["dense"]
    counts = [plan.count for n in (1, 2) if (plan := _fit(pattern, axes, (n, channels), sizes)) is not None]
    if len(counts) < 2 or not definition.centre or definition.role == "input":
        return ""
    return words(lang)["needs_refused" if counts[1] < 2 else "needs_yes" if counts[0] < 2 else "needs_no"]


def _rows(value: Any) -> list[str]:
    """Nested lists as rows of numbers, outer axes separated by an empty line."""
    if not isinstance(value, (list, tuple)):
        return [_short(value)]
    if not any(isinstance(v, (list, tuple)) for v in value):
        return [" ".join(f"{_short(v):>8}" for v in value)]
    blocks = [_rows(v) for v in value]
    flat = all(len(b) == 1 for b in blocks)
    return [line for k, b in enumerate(blocks) for line in ([] if flat or k == 0 else [""]) + b]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_short(v) for v in value) + "]"
    return str(value)
