"""What a call refuses, and in which words: the same sentence on every face, up to the array's own words.

The NumPy face's sentence is the measure; `own_words` takes out what names a framework: its dtypes, and the line that
converts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import faces
from accurate import on_layer
from faces import DECLARED, Face, Work
from grid import CHANNELS, acting, layouts, shape_of
from normlab.definition import Definition
from normlab.errors import DtypeError, NormlabError, ShapeError, UsageError

ALL = acting()
NAMED = {"ids": lambda v: getattr(v, "name", str(v))}
OTHERS = [n for n in DECLARED if n != "numpy"]
Refused = Callable[[Face, Definition], Any]


def own_words(text: str) -> str:
    """The sentence without what belongs to a framework: `torch.int32`, the converting line, where layers are made."""
    text = re.sub(r"\s*Convert with .*$", "", text)
    text = re.sub(r", (axis_name|device|dtype|key|process_group)\b", "", text)  # beside the arguments that all faces take
    return re.sub(r"\b(torch|mlx\.core|jax|numpy)\.", "", text)


def x_of(d: Definition, dtype: str = "float32", rank: int = 3) -> np.ndarray:
    shape = shape_of(layouts(d)[0], rank) or shape_of(layouts(d)[0], 2)
    assert shape is not None
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def inputs_of(d: Definition, x: np.ndarray) -> dict[str, np.ndarray]:
    return {i.name: np.ones((len(x), 1), np.float32) for i in d.inputs if i.where != "function"}


def layer(face: Face, d: Definition, x: np.ndarray, **settings: Any) -> Any:
    return face.run(Work(d, x, CHANNELS, **{"layout": layouts(d)[0], "inputs": inputs_of(d, x), **settings}))


def wrong_rank(face: Face, d: Definition) -> Any:
    return layer(face, d, np.ones(CHANNELS, np.float32), layout="n c ..." if "c" in d.layout.split() else None)


def more_axes_than_the_layout(face: Face, d: Definition) -> Any:
    return layer(face, d, np.ones((4, CHANNELS, 2), np.float32), layout="n c" if "c" in d.layout.split() else "o i")


def no_axis(face: Face, d: Definition) -> Any:
    return layer(face, d, np.array(1.0, np.float32))


def wrong_channels(face: Face, d: Definition) -> Any:
    x = x_of(d)
    return layer(face, d, np.repeat(x, 2, layouts(d)[0].split().index("c" if "c" in layouts(d)[0] else "o")))


def no_channels(face: Face, d: Definition) -> Any:
    shape = [0 if w in ("c", "o") else 3 for w in layouts(d)[0].split()]
    return layer(face, d, np.ones(shape, np.float32))


def unknown_axis(face: Face, d: Definition) -> Any:
    return layer(face, d, x_of(d), layout="n q ...")


def layout_with_brackets(face: Face, d: Definition) -> Any:
    return layer(face, d, x_of(d), layout="n [c] ...")


def an_axis_twice(face: Face, d: Definition) -> Any:
    return layer(face, d, x_of(d), layout="n c c")


def whole_numbers(face: Face, d: Definition) -> Any:
    others = {s.name: np.ones(CHANNELS, np.float32) for s in d.states if not d.has_running}
    return face.call(d.name, x_of(d).astype(np.int32), **others, **({"key": 0} if d.role == "dropout" else {}))


def set_of_one(face: Face, d: Definition) -> Any:
    options = {"groups": CHANNELS} if any(o.name == "groups" for o in d.options) else {}
    shape = {"n": 1, "c": 1 if not options and "c" in d.lines(d.validate({}))[""].pooled else CHANNELS}
    x = np.ones([shape.get(w, 1) for w in layouts(d)[0].split() if w != "..."], np.float32)
    return on_layer(face, d, x, layouts(d)[0], options=options)


def wrong_weight(face: Face, d: Definition) -> Any:
    return face.call(d.name, x_of(d), np.ones(CHANNELS - 1, np.float32), layout=layouts(d)[0])


def wrong_mask(face: Face, d: Definition) -> Any:
    return layer(face, d, x_of(d), mask=np.ones(x_of(d).shape, bool))


def half_of_the_statistics(face: Face, d: Definition) -> Any:
    return face.call(d.name, x_of(d), running_mean=np.ones(CHANNELS, np.float32))


def wrong_statistics(face: Face, d: Definition) -> Any:
    return face.call(d.name, x_of(d), running_mean=np.ones(3, np.float32), running_var=np.ones(3, np.float32))


def cumulative_without_a_layer(face: Face, d: Definition) -> Any:
    held = {s.name: np.ones(CHANNELS if s.axes else (), np.float32) for s in d.states}
    return face.call(d.name, x_of(d), **held, momentum=None)


def negative_eps(face: Face, d: Definition) -> Any:
    return face.call(d.name, x_of(d), eps=-1.0)


def eps_that_is_none(face: Face, d: Definition) -> Any:
    return layer(face, d, x_of(d), eps=1e-3)


def unknown_argument(face: Face, d: Definition) -> Any:
    return face.call(d.name, x_of(d), epsilon=1e-3)


def unknown_option(face: Face, d: Definition) -> Any:
    return layer(face, d, x_of(d), options={"momentun": 0.3})


def no_channels_given(face: Face, d: Definition) -> Any:
    return face.module.build(d, None)


def half_a_channel(face: Face, d: Definition) -> Any:
    return face.module.build(d, 2.5)


def _channelled(d: Definition) -> bool:
    return bool({"c", "o"} & set(d.layout.split()))


def _measures(d: Definition) -> bool:
    return d.forward is None


CASES: list[tuple[Refused, type[NormlabError], Callable[[Definition], Any]]] = [
    (wrong_rank, ShapeError, lambda d: d.layout.startswith("n") and _channelled(d)),
    (more_axes_than_the_layout, ShapeError, _channelled),
    (no_axis, ShapeError, lambda d: not d.inputs),
    (wrong_channels, ShapeError, _channelled),
    (no_channels, ShapeError, _channelled),
    (unknown_axis, UsageError, _channelled),
    (layout_with_brackets, UsageError, _channelled),
    (an_axis_twice, UsageError, _channelled),
    (whole_numbers, DtypeError, lambda d: d.role != "condition"),
    (set_of_one, ShapeError, lambda d: _measures(d) and d.centre),
    (wrong_weight, ShapeError, lambda d: any(p.name == "weight" for p in d.params)),
    (wrong_mask, UsageError, lambda d: _measures(d) and d.role == "norm"),
    (half_of_the_statistics, UsageError, lambda d: d.has_running),
    (wrong_statistics, ShapeError, lambda d: d.has_running),
    (cumulative_without_a_layer, UsageError, lambda d: d.has_running),
    (negative_eps, UsageError, lambda d: d.eps is not None),
    (eps_that_is_none, UsageError, lambda d: d.eps is None),
    (unknown_argument, UsageError, lambda d: not d.inputs and not (d.states and not d.has_running)),
    (unknown_option, UsageError, lambda d: True),
    (no_channels_given, UsageError, lambda d: d.params or d.states),
    (half_a_channel, UsageError, lambda d: d.params or d.states),
]
EACH = [(refused, kind, d) for refused, kind, fits in CASES for d in ALL if fits(d)]


def said(face: Face, refused: Refused, kind: type[NormlabError], d: Definition) -> str:
    with pytest.raises(NormlabError) as caught:
        refused(face, d)
    assert isinstance(caught.value, kind), f"{type(caught.value).__name__}: {caught.value}"
    return str(caught.value)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(("refused", "kind", "d"), EACH, ids=lambda v: getattr(v, "name", getattr(v, "__name__", str(v))))
def test_every_face_refuses_in_the_same_words(refused: Refused, kind: type[NormlabError], d: Definition, name: str) -> None:
    face = faces.of(name)
    text = said(face, refused, kind, d)
    assert own_words(text) == own_words(said(faces.of("numpy"), refused, kind, d))
    # A layout that cannot be read is quoted with the place instead: it is read before anybody asks who wants it.
    assert any(word in text for word in (d.name, d.class_name, repr("n [c] ..."), repr("n c c")))


def test_own_words_leave_the_sentence() -> None:
    text = "batch_norm: x must have floating-point elements up to float64, got torch.int32. Convert with x.to(torch.float32)."
    assert own_words(text) == "batch_norm: x must have floating-point elements up to float64, got int32."


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_array_of_the_framework_is_named(name: str) -> None:
    face = faces.of(name)
    for d in ALL:
        if not d.inputs:
            made, more = face.module.build(d, CHANNELS), {"key": 0} if d.role == "dropout" else {}
            call = (lambda x, m=made, more=more: m(*m.init(0), x, **more)) if name == "jax" else made
            for x in ([[1.0, 2.0]], None):
                with pytest.raises(DtypeError, match=rf"{d.name}: {d.subject} must be an? .*, got {type(x).__name__}\. Convert with"):
                    call(x)


@pytest.mark.parametrize("d", [d for d in ALL if d.params and d.role == "norm"], **NAMED)
def test_arrays_on_two_devices_are_named(d: Definition) -> None:
    """torch's `meta` is a device that every machine has."""
    face = faces.of("torch")
    torch = face.torch  # type: ignore[attr-defined]
    made = face.module.build(d, CHANNELS, device="meta")
    with pytest.raises(UsageError, match=rf"{d.name}: \w+ is on meta, x on cpu\. Move them to one device"):
        made(torch.ones(5, CHANNELS))


@pytest.mark.parametrize("d", [d for d in ALL if not d.inputs], **NAMED)
def test_float64_on_jax_without_its_switch_is_named(d: Definition) -> None:
    """JAX would make float32 of it without a word."""
    face = faces.of("jax")
    says = r"x is float64, which JAX has only with its switch on\. Call jax\.config\.update\(\"jax_enable_x64\", True\)"
    with pytest.raises(DtypeError, match=says.replace("x is", "dtype is")):
        face.module.build(d, CHANNELS, dtype="float64")
    made = face.module.build(d, CHANNELS)
    with pytest.raises(DtypeError, match=rf"{d.name}: " + says.replace("x is", f"{d.subject} is")):
        made(*made.init(0), np.ones((CHANNELS, CHANNELS)), key=0)
