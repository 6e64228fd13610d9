"""A method as a short program for each framework, made from its definition: the tabs beside a card's code from scratch.

Nothing is imported here: a program is text, the same in every language, and what there is to say about it stands in
sentences below. The tests run every program, and evaluate every expression that the sentences name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .cards import words
from .definition import Definition, KnownAs
from .errors import unknown

__all__ = ["CHANNELS", "COLUMNS", "FRAMEWORKS", "SCRATCH", "Framework", "options", "program", "remarks", "text", "twin"]

SCRATCH = "numpy"
"""The tab that every card has by itself: its code from scratch."""
CHANNELS, FEATURES, CONDITION = 64, 20, 16
AXES = {"n": 8, "c": CHANNELS, "d": CONDITION}
COLUMNS = 76  # the terminal has 80, and indents
RANK = 2  # positions of an image: where a framework has a class for each rank, this is the one
NORMS = ("norm", "norm_and_activation")


@dataclass(frozen=True)
class Framework:
    """How a framework's programs begin and draw numbers; `pure` where a layer's arrays go in and out of a call.

    `same` are the packages whose classes compute the same function when they are given the same options, `near` one
    whose conventions differ.
    """

    title: str
    imports: str
    draw: str
    seed: str = ""
    array: str = ""
    linear: tuple[str, str] = ("", "")
    same: tuple[str, ...] = ()
    near: str = ""
    pure: bool = False


FRAMEWORKS: Mapping[str, Framework] = MappingProxyType({
    "torch": Framework(
        "PyTorch", "import torch", "torch.randn({shape})", "torch.manual_seed(0)",
        "torch.tensor({a}, dtype=torch.float32)", ("import torch", "torch.nn.Linear"),
        ("torch.nn", "torch.nn.utils.parametrizations"),
    ),
    "jax": Framework(
        "JAX", "import jax", "jax.random.normal(jax.random.key({k}), {shape})", array="jax.numpy.asarray({a}, float)",
        near="flax.nnx", pure=True,
    ),
    "mlx": Framework(
        "MLX", "import mlx.core as mx", "mx.random.normal({shape})", "mx.random.seed(0)", "mx.array({a}, mx.float32)",
        ("import mlx.core as mx\nimport mlx.nn as nn", "nn.Linear"), near="mlx.nn",
    ),
})  # fmt: skip


def text(definition: Definition, face: str, lang: str) -> str:
    """The program and the sentences below it, as Markdown."""
    return f"```python\n{program(definition, face)}```\n\n{remarks(definition, face, lang)}"


def program(definition: Definition, face: str) -> str:
    """A method in use on a face: a layer made, called in training and, where that differs, in evaluation.

    It leaves `y`, and `evaluated` where evaluation is another function. Raises UnknownNameError.
    """
    framework = _framework(face)
    weight, pure = definition.role == "weight", framework.pure
    steps = _pure_weight if weight and pure else _joined if weight else _pure if pure else _module
    head = framework.linear[0] if weight and not pure else framework.imports
    if definition.role == "input":
        steps, seed = _input, ""
    else:
        seed = framework.seed
    body = [seed] * bool(seed) + list(steps(definition, face))
    return "\n".join([head, "", "import normlab as nl", "", *map(_folded, body)]) + "\n"


def remarks(definition: Definition, face: str, lang: str) -> str:
    """What the program does not say by itself, as one paragraph of Markdown."""
    return " ".join(_remarks(definition, face, words(lang)))


def twin(definition: Definition, face: str) -> tuple[str, str] | None:
    """The framework's own class of the same function: its package, and an expression that makes the same layer."""
    for known in definition.known_as:
        package = known.name.rpartition(".")[0]
        if package in FRAMEWORKS[face].same and _fits(known):
            return package, f"{known.name}({', '.join(_twin_arguments(definition, known, face))})"
    return None


def _folded(line: str) -> str:
    """A call that is too long for a terminal, with its arguments on a line of their own."""
    if len(line) <= COLUMNS:
        return line
    head, _, arguments = line.removesuffix(")").partition("(")
    return f"{head}(\n    {arguments}\n)"


def _framework(face: str) -> Framework:
    if face not in FRAMEWORKS:
        raise unknown("framework", face, [SCRATCH, *FRAMEWORKS])
    return FRAMEWORKS[face]


def _fits(known: KnownAs) -> bool:
    """Whether a class is for images, among its like for other ranks."""
    ranked = re.search(r"(\d)d$", known.name)
    return ranked is None or int(ranked[1]) == RANK


def _twin_arguments(d: Definition, known: KnownAs, face: str) -> Iterator[str]:
    if d.role == "weight":
        yield f"{FRAMEWORKS[face].linear[1]}({FEATURES}, {CHANNELS})"
    if known.channels:
        yield f"{known.channels}={CHANNELS}"
    values = {"affine": True, "bias": True, "eps": d.eps, **d.validate({}), **options(d)}
    yield from (f"{theirs}={_shown(values[ours])}" for theirs, ours in known.options.items() if ours in values)


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def options(d: Definition) -> dict[str, Any]:
    """The method's own options as a program gives them: their defaults, "auto" resolved, a size for other inputs."""
    filled = d.validate({})
    resolved = d.resolve({o.name: filled[o.name] for o in d.options}, CHANNELS)
    inputs = {axis for i in d.inputs if i.where != "function" for axis in i.axes.split()}
    return resolved | {o.name: AXES[o.factor] for o in d.options if o.factor in inputs and o.factor in AXES}


def _keywords(d: Definition) -> list[str]:
    return [f"{n}={_shown(v)}" for n, v in options(d).items()]


def _made(d: Definition, where: str) -> str:
    channels = [str(CHANNELS)] * bool(d.params or d.states)
    return f"nl.{where}.{d.class_name}({', '.join([*channels, *_keywords(d)])})"


def _joining(d: Definition, where: str, linear: str) -> str:
    return f"nl.{where}.{d.name}({', '.join([linear, *_keywords(d)])})"


def _differs(d: Definition) -> bool:
    """Whether evaluation is another function than training, or training moves something."""
    keeps = bool(d.states) and (not d.has_running or d.running)
    return keeps or d.role == "dropout"


def _shape(axes: str) -> tuple[int, ...]:
    """An array of images, of tokens where the channels come last, of rows where only their number is open."""
    names = axes.split()
    if names == ["..."]:
        return AXES["n"], CHANNELS
    rest = {True: (14, 14), False: (AXES["n"], FEATURES)}["n" in names]
    return tuple(s for n in names for s in (rest if n == "..." else (AXES[n],)))


def _drawn(d: Definition, face: str) -> tuple[list[str], str]:
    """The lines that make a call's arrays, and the call's arguments."""
    arrays = {"x": d.layout} | {i.name: i.axes for i in d.inputs if i.where != "function"}
    draw = FRAMEWORKS[face].draw
    lines = [f"{n} = {draw.format(shape=_shape(axes), k=k)}" for k, (n, axes) in enumerate(arrays.items())]
    return lines, ", ".join(arrays)


def _module(d: Definition, face: str) -> Iterator[str]:
    lines, given = _drawn(d, face)
    yield from (*lines, f"layer = {_made(d, face)}", f"y = layer({given})")
    if _differs(d):
        yield from ("layer.eval()", f"evaluated = layer({given})")


def _pure(d: Definition, face: str) -> Iterator[str]:
    lines, given = _drawn(d, face)
    yield from (*lines, f"layer = {_made(d, face)}", "params, state = layer.init(jax.random.key(2))")
    if not _differs(d):
        yield f"y, _ = layer(params, state, {given})"
        return
    key = ", key=jax.random.key(3)" if d.role == "dropout" else ""
    yield f"y, state = layer(params, state, {given}, training=True{key})"
    yield f"evaluated, _ = layer(params, state, {given}, training=False)"


def _joined(d: Definition, face: str) -> Iterator[str]:
    framework = FRAMEWORKS[face]
    yield f"x = {framework.draw.format(shape=(AXES['n'], FEATURES))}"
    yield f"linear = {_joining(d, face, f'{framework.linear[1]}({FEATURES}, {CHANNELS})')}"
    yield "y = linear(x)"
    if _differs(d):
        yield from ("linear.eval()", "evaluated = linear(x)")


def _pure_weight(d: Definition, face: str) -> Iterator[str]:
    draw, raw = FRAMEWORKS[face].draw, d.subject
    yield f"x = {draw.format(shape=(AXES['n'], FEATURES), k=0)}"
    yield f"{raw} = {draw.format(shape=(CHANNELS, FEATURES), k=1)}"
    yield from (f"layer = {_made(d, face)}", "params, state = layer.init(jax.random.key(2))")
    if d.start is not None:
        yield f"params, _ = layer.start(params, {raw})"
    kept = "state" if _differs(d) else "_"
    yield from (f"normalized, {kept} = layer(params, state, {raw})", "y = x @ normalized.T")
    if _differs(d):
        yield from (f"fixed, _ = layer(params, state, {raw}, training=False)", "evaluated = x @ fixed.T")


def _input(d: Definition, face: str) -> Iterator[str]:
    yield from (
        "images, classes = nl.data.load_digits()", "table = images.reshape(-1, 64)[:200, 18:24]",
        f"scaler = nl.data.{d.class_name}().fit(table, classes[:200])",
        f"y = {FRAMEWORKS[face].array.format(a='scaler.transform(table)')}",
    )  # fmt: skip


def _remarks(d: Definition, face: str, say: Mapping[str, str]) -> Iterator[str]:
    framework = FRAMEWORKS[face]
    yield from (say[f"code_{kind}"] for kind in _kinds(d, framework.pure))
    same = twin(d, face)
    if same is not None:
        yield say["code_twin"].format(library=same[0], expression=same[1])
        yield from [say["code_adopt"]] * (d.role in NORMS)
    near = [k.name for k in d.known_as if k.name.rpartition(".")[0] == framework.near]
    if near:
        yield say["code_near"].format(library=framework.near, names=", ".join(f"`{n}`" for n in near))
    if framework.pure and d.role != "input":
        yield say["code_flax"].format(expression=_flax(d))
    if framework.near and d.layout == "n c ...":
        yield say["code_layout"]


def _flax(d: Definition) -> str:
    """The module for Flax; what starts at random needs Flax's random numbers."""
    random = any(isinstance(p.start, str) and "normal" in p.start for p in (*d.params, *d.states))
    rngs = ", rngs=nnx.Rngs(0)"
    linear = f"nnx.Linear({FEATURES}, {CHANNELS}{rngs})"
    made = _joining(d, "jax.nnx", linear) if d.role == "weight" else _made(d, "jax.nnx")
    return made.removesuffix(")") + rngs * random + ")"


def _kinds(d: Definition, pure: bool) -> Iterator[str]:
    """Which of the sentences fit, by what the definition says of itself."""
    if d.role == "input":
        yield "input"
        return
    if d.role == "weight":
        yield "pure_weight" if pure else "weight"
    if d.role == "condition":
        yield "condition"
    if d.role == "dropout":
        yield "dropout"
    elif not _differs(d):
        yield "same"
    else:
        yield "running" if d.has_running else "iterated"
        yield from ["kept"] * pure
