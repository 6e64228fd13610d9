"""The dimensions of the one grid, what each value is for, and the call that a row of them stands for.

A row is one value of each dimension; `why_not` says what makes a row impossible; `work_of` builds the call.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from face_base import channel_axis
from faces import COUNT, DECLARED, DTYPES, Work, takes_kernels
from grid import acting, layouts, option_sets
from normlab import numpy as face
from normlab import registry
from normlab.definition import Definition
from normlab.pattern import Plan
from pairwise import Row

__all__ = ["DIMENSIONS", "SIZES", "definition_of", "plan_of", "spoken_row", "why_not", "work_of"]

# Samples, channels, positions, and the mechanism that each is for.
SIZES = {
    "two axes": (5, 8),
    "one sample": (1, 8, 33),
    "31": (3, 31),  # one below a vector's multiple
    "32": (3, 32, 2, 2),
    "33": (3, 33),  # one above
    "primes": (2, 7, 13),
    "five axes": (2, 4, 3, 2, 5),
    "long": (2, 8, 1025),  # one above a kernel's block of 1,024, and above what NumPy adds in one go
    "tall": (1025, 8),  # more rows than a tile
    "one position": (4, 8, 1),
    "empty": (0, 8, 3),
}
VALUES = ("ordinary", "far", "constant", "nan")
# "expanded" has stride 0 along the first axis; "reversed" a negative one where the framework has such.
MEMORY = ("contiguous", "strided", "transposed", "channels last", "reversed", "expanded")
EPS = {"default": None, "zero": 0.0, "large": 1e-2}

DIMENSIONS: dict[str, Any] = {
    "method": [d.name for d in acting()],
    "face": DECLARED,
    "dtype": list(DTYPES),
    "layout": range(max(len(layouts(d)) for d in acting())),
    "size": list(SIZES),
    "values": VALUES,
    "memory": MEMORY,
    "option": range(max(len(list(option_sets(d))) for d in acting())),
    "affine": ["affine", "no bias", "plain"],
    "mode": ["training", "evaluation"],
    "eps": list(EPS),
    "mask": [False, True],
    "path": ["as it comes", "formula"],  # with kernels, where there are any for it, and without
}


def _turn(values: Sequence[Any], number: int) -> Any:
    """A method with fewer layouts or options than another has them more than once, so that every number means one."""
    return values[number % len(values)]


def definition_of(row: Row) -> Definition:
    return registry.method(row["method"])


def _layout(row: Row) -> str:
    return _turn(layouts(definition_of(row)), row["layout"])


@cache
def _option_sets(method: str) -> list[dict[str, Any]]:
    return list(option_sets(registry.method(method)))


def _options(row: Row) -> dict[str, Any]:
    return _turn(_option_sets(row["method"]), row["option"])


def _shape(row: Row) -> tuple[int, ...]:
    samples, channels, *positions = SIZES[row["size"]]
    words = _layout(row).split()
    lengths = {"n": [samples], "i": [samples], "c": [channels], "o": [channels]}
    if not {"c", "o"} & set(words):
        return tuple(SIZES[row["size"]])
    rest = positions if {"n", "i"} & set(words) else [samples, *positions]
    return tuple(s for w in words for s in (rest if w == "..." else lengths[w]))


@lru_cache(maxsize=4096)
def _plan(method: str, layout: int, size: str, option: int) -> Plan | str | None:
    """Which elements share a statistic; None for a method given by its forward; a text: why the method cannot act."""
    row = {"method": method, "layout": layout, "size": size, "option": option}
    d, given, words = definition_of(row), _options(row), _layout(row).split()
    options, channels = d.validate(given), SIZES[size][1]
    if isinstance(given.get("groups"), int) and channels % given["groups"]:
        return f"{channels} channels do not make {given['groups']} groups"
    line = d.lines(options).get("")
    if line is None or d.forward is not None:
        return None
    if "n" in line.kept and _layout(row) == d.layout and "n" not in words:
        return "the layout does not name the samples that it keeps apart"
    plan = line.arrange(_layout(row)).plan(_shape(row), d.factor_sizes(options, channels))
    keeps = d.has_running and options["running"]
    alone = plan.count == 1 and (d.centre or d.spread == "std") and not keeps
    return "a set of one" if alone else plan


def plan_of(row: Row) -> Plan | None:
    """Which elements share a statistic; None for a method given by its forward."""
    found = _plan(row["method"], row["layout"], row["size"], row["option"])
    assert not isinstance(found, str), found
    return found


# What makes a row impossible: of which entries it is a matter, and whether they are.
def _no_eps(method: str, eps: str) -> bool:
    return registry.method(method).eps is None and eps != "default"


def _no_such_parameter(method: str, affine: str) -> bool:
    weight, bias = registry.method(method).affine
    return (weight is None and affine != "affine") or (bias is None and affine == "no bias")


def _chance_differs_between_frameworks(method: str, mode: str) -> bool:
    return registry.method(method).role == "dropout" and mode == "training"  # see test_grid_worked


def _a_weight_is_never_empty(method: str, size: str) -> bool:
    return registry.method(method).role == "weight" and size == "empty"


def _no_row_to_repeat(size: str, memory: str) -> bool:
    return memory == "expanded" and size == "empty"


def _the_truth_itself(method: str, face: str, dtype: str) -> bool:
    """There the formula is compared with central differences: test_numpy_backward."""
    return face == "numpy" and dtype == "float64" and registry.method(method).forward is not None


def _no_kernels(face: str, path: str) -> bool:
    return path == "formula" and not takes_kernels(face)


def _cannot_act(method: str, layout: int, size: str, option: int) -> bool:
    return isinstance(_plan(method, layout, size, option), str)


def _a_set_of_one_in_training(method: str, layout: int, size: str, option: int, mode: str) -> bool:
    plan, d = _plan(method, layout, size, option), registry.method(method)
    return isinstance(plan, Plan) and plan.count == 1 and mode == "training" and (d.centre or d.spread == "std")


def _nothing_to_mask(method: str, layout: int, size: str, option: int, mask: bool) -> bool:
    if not mask:
        return False
    plan, d = _plan(method, layout, size, option), registry.method(method)
    if not isinstance(plan, Plan) or d.role == "weight" or size == "empty":
        return True
    return not {w for w in _turn(layouts(d), layout).split() if w != "c"} & {plan.names[a] for a in plan.pooled}


RULES = [
    (rule, tuple(inspect.signature(rule).parameters)) for rule in (
        _no_eps, _no_such_parameter, _chance_differs_between_frameworks, _a_weight_is_never_empty, _no_row_to_repeat,
        _the_truth_itself, _no_kernels, _cannot_act, _a_set_of_one_in_training, _nothing_to_mask,
    )
]  # fmt: skip


def why_not(row: Row) -> str | None:
    """What makes a row impossible, or None; of a row that lacks entries, what they make impossible already."""
    for rule, names in RULES:
        if all(n in row for n in names) and rule(*(row[n] for n in names)):
            return rule.__name__.strip("_").replace("_", " ")
    return None


def _values(row: Row, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    x = 2.0 * random.standard_normal(shape) + 1.0
    if row["values"] == "far":
        x = random.standard_normal(shape) + 1e4
    if row["values"] == "constant":
        x = np.full(shape, 1000.1)
    if row["memory"] == "expanded":
        x = np.broadcast_to(x[:1], shape).copy()
    if row["values"] == "nan" and x.size:
        where = tuple(s - 1 for s in shape)
        x[(slice(None), *where[1:]) if row["memory"] == "expanded" else where] = np.nan
    return x.astype(DTYPES[row["dtype"]])


def _mask(row: Row, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray | None:
    """All but a third, and every set keeps elements: the first sample and position count always."""
    if not row["mask"]:
        return None
    channel = channel_axis(_layout(row), len(shape))
    mask = random.random([s for k, s in enumerate(shape) if k != channel]) > 0.3
    mask[tuple(0 for _ in mask.shape)] = True
    return mask


def work_of(row: Row, seed: int = 0) -> Work:
    """The call that the row stands for, with random parameters and state."""
    d, dtype, layout, shape = definition_of(row), DTYPES[row["dtype"]], _layout(row), _shape(row)
    random = np.random.default_rng([seed, *shape, *map(ord, row["method"])])
    channels = SIZES[row["size"]][1]
    settings = {"layout": layout, "eps": EPS[row["eps"]], "affine": row["affine"] != "plain", "bias": row["affine"] == "affine"}
    made = face.build(d, channels, options=_options(row), **settings)
    state = {n: _state(n, a, random).astype(dtype) for n, a in made.state.items() if n != COUNT}
    if COUNT in made.state:
        state[COUNT] = np.array(3)
    x, mask = _values(row, shape, random), _mask(row, shape, random)
    dy = random.standard_normal(shape).astype(dtype)
    if mask is not None:
        # A loss does not look at what it masked out, where that is no number; where it did, its gradient would be none.
        dy[np.isnan(x) & ~np.expand_dims(mask, channel_axis(_layout(row), len(shape)))] = 0
    return Work(
        d, x, channels, options=_options(row), **settings,
        params={n: random.standard_normal(a.shape).astype(dtype) for n, a in made.params.items()}, state=state,
        inputs=_inputs(d, made.options, layout, shape, channels, random, dtype), mask=mask,
        training=row["mode"] == "training", dy=dy, memory=row["memory"],
    )  # fmt: skip


def _state(name: str, a: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A variance is positive; a vector that is iterated has length 1."""
    drawn = random.standard_normal(a.shape)
    return 0.5 + drawn**2 if "var" in name else drawn if "mean" in name else drawn / np.linalg.norm(drawn)


def _inputs(
    d: Definition, options: Any, layout: str, shape: tuple[int, ...], channels: int, random: np.random.Generator, dtype: Any
) -> dict[str, np.ndarray]:
    words = layout.split()
    n = shape[words.index("n")] if words[0] == "n" else 1
    sizes = {"n": n, "c": channels, **d.factor_sizes(d.validate(options), channels)}
    return {
        i.name: random.standard_normal([sizes[a] for a in i.axes.split() if a != "..."]).astype(dtype)
        for i in d.inputs if i.where != "function"
    }  # fmt: skip


SHORT = {"float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16"}


def spoken_row(row: Row) -> str:
    """`layer_norm-torch-bf16-3x33`, and whatever is not the usual."""
    parts = [row["method"], row["face"], SHORT[row["dtype"]], "x".join(map(str, _shape(row)))]
    parts += [_layout(row)] if _layout(row) != definition_of(row).layout else []
    parts += [f"{n}={v}" for n, v in _options(row).items()]
    parts += [row[n] for n, usual in (("values", "ordinary"), ("memory", "contiguous"), ("affine", "affine"),
                                      ("mode", "training"), ("path", "as it comes")) if row[n] != usual]  # fmt: skip
    parts += [f"{row['eps']} eps"] if row["eps"] != "default" else []
    return "-".join([*parts, *(["mask"] if row["mask"] else [])]).replace(" ", "_")
