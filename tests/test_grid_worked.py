"""On every face: the example that each definition works out by hand, the function beside the layer, and dropout's chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import faces
import normlab as nl
from comparing import compare
from faces import DECLARED, DTYPES, Work
from grid import CHANNELS, acting, layouts, shape_of
from normlab.definition import Definition

ALL = acting()
NAMED = {"ids": lambda v: getattr(v, "name", str(v))}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("d", [d for d in ALL if d.worked is not None], **NAMED)
def test_the_function_gives_the_worked_example(d: Definition, name: str, dtype: str) -> None:
    w, face = d.worked, faces.of(name)
    assert w is not None
    given: dict[str, Any] = {**w.options, **{n: np.array(a, DTYPES[dtype]) for n, a in w.arrays.items()}}
    given |= {"eps": w.eps} if w.eps is not None else {}
    given |= {"key": 0} if d.role == "dropout" else {}
    made = face.call(d.name, np.array(w.x, DTYPES[dtype]), **given)
    y = made[0] if isinstance(made, tuple) else made
    assert y.dtype == DTYPES[dtype]
    compare(y, np.array(w.y), "worked", d.name)


@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("d", [d for d in ALL if d.worked is not None], **NAMED)
def test_the_layer_gives_the_worked_example(d: Definition, name: str) -> None:
    """A layer that makes its arrays from a condition gives x where the condition is 0."""
    w, face = d.worked, faces.of(name)
    assert w is not None
    x = np.array(w.x, np.float32)
    main = 0 if "o" in d.layout.split() else (-1 if d.layout == "... c" else 1)
    channels = x.shape[main] if d.layout != "..." else None
    inputs = {i.name: np.zeros((len(x), 1), np.float32) for i in d.inputs if i.where != "function"}
    arrays = {n: np.array(a, np.float32) for n, a in w.arrays.items() if not inputs}
    params, state = ({p.name: arrays[p.name] for p in specs if p.name in arrays} for specs in (d.params, d.states))
    work = Work(d, x, channels, options=w.options, eps=w.eps, params=params, state=state, inputs=inputs, training=d.role != "dropout")
    compare(face.run(work).y, x if inputs else np.array(w.y), "worked", d.name)


@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("d", [d for d in ALL if d.has_running], **NAMED)
def test_a_function_gives_what_the_layer_gives(d: Definition, name: str) -> None:
    """With running statistics given: y and both new ones in training, y alone in evaluation; nothing given changes."""
    face, layout = faces.of(name), layouts(d)[0]
    x = np.random.default_rng(0).standard_normal(shape_of(layout, 4) or ()).astype(np.float32)
    first = face.run(Work(d, x, CHANNELS, layout, options={"running": True}))
    held = {s.name: first.state[s.name] for s in d.states}
    before = {n: a.copy() for n, a in held.items()}
    for training in (True, False):
        layer = face.run(Work(d, x, CHANNELS, layout, options={"running": True}, state=held, training=training))
        made = face.call(d.name, x, **held, training=training)
        y, *moved = made if isinstance(made, tuple) else (made,)
        compare(y, layer.y, "identity", d.name)
        assert len(moved) == (len(d.states) if training else 0)
        for spec, a in zip(d.states, moved, strict=False):
            compare(a, layer.state[spec.name], "identity", spec.name)
    assert all(np.array_equal(held[n], a) for n, a in before.items())


@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("line", ["[n] c [...]", "n (g [c]) [...]", "n [c ...]", "(k [n]) c [...]"])
def test_a_line_of_ones_own_is_the_same_everywhere(line: str, name: str) -> None:
    face = faces.of(name)
    x = (3 + np.random.default_rng(0).standard_normal((6, 8, 5))).astype(np.float32)
    weight, bias = np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32)
    sizes = {"g": 2} if "g" in line else {"k": 3} if "k" in line else {}
    wanted = faces.of("numpy").normalize(x.astype(float), line, weight=weight.astype(float), bias=bias.astype(float), **sizes)
    largest = np.abs(wanted).max()
    compare(face.normalize(x, line, weight=weight, bias=bias, **sizes), wanted, "forward, affine", line, scale=largest)


@pytest.mark.parametrize("p", [0.3, 0.5])
@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("d", [d for d in ALL if d.role == "dropout"], **NAMED)
def test_dropout_gives_each_element_one_of_two_values(d: Definition, name: str, p: float) -> None:
    """Which elements fall is chance, which differs between frameworks; what they become does not, nor how many fall."""
    face, x = faces.of(name), np.linspace(-2.0, 2.0, 4000, dtype=np.float32).reshape(50, 80)
    dy = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    formula = [face_.run(Work(d, x.astype(float), None, options={"p": p}, key=k, dy=np.ones(x.shape)))
               for face_ in (faces.of("numpy"),) for k in range(100)]  # fmt: skip
    kept, dropped = (
        np.select([(f.dx != 0) == keeps for f in formula], [f.y for f in formula], np.nan) for keeps in (True, False)
    )
    slope = max(float(f.dx.max()) for f in formula if f.dx is not None)
    done = face.run(Work(d, x, None, options={"p": p}, dy=dy, key=5))
    assert done.dx is not None
    fell = done.dx == 0
    compare(done.y, np.where(fell, dropped, kept), "transcendental", d.name)
    compare(done.dx, np.where(fell, 0.0, slope * dy), "transcendental", d.name)
    assert abs(fell.mean() - p) < 4 * np.sqrt(p * (1 - p) / x.size)


@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("d", [d for d in ALL if d.role == "dropout"], **NAMED)
def test_the_same_key_drops_the_same_elements(d: Definition, name: str) -> None:
    face, x = faces.of(name), np.ones((20, 30), np.float32)
    first, again, other = (face.call(d.name, x, p=0.5, key=k) for k in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize("name", DECLARED)
def test_every_method_is_a_layer_and_a_function_there(name: str) -> None:
    module = faces.of(name).module
    assert {d.class_name for d in ALL} <= set(dir(module))
    assert all(getattr(module, d.class_name).definition is d for d in ALL)
    assert {d.name for d in ALL} <= set(dir(nl.functional))
