"""What a layer refuses: in what it is made with, and in what it is called with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normlab as nl
from comparing import compare
from grid import CHANNELS, Case, acting, cases, layouts, shape_of
from normlab import functional
from normlab import numpy as face
from normlab.definition import Definition
from normlab.errors import DtypeError, NormlabError, ShapeError, UnknownNameError, UsageError
from normlab.signatures import MOST_CHANNELS

CASES = [c for c in cases(everything=False) if len(c.shape) == 4 and c.layout == layouts(c.definition)[0]]
RUNNING = [d for d in acting() if d.has_running]


def made(d: Definition, **settings: Any) -> face.Layer:
    layer: face.Layer = getattr(face, d.class_name)(CHANNELS, **settings)
    return layer


# What a layer is made with


@pytest.mark.parametrize(
    "channels", [0, -1, 2.0, "8", True, [8], (), (4, 0), (2.5,), 10**20, MOST_CHANNELS + 1, np.float64(3)]
)
def test_channels_must_be_a_whole_number(channels: Any) -> None:
    with pytest.raises(UsageError, match=r"channels must be a whole number from 1 to 2147483647"):
        face.LayerNorm(channels)


@pytest.mark.parametrize("channels", [np.int64(8), np.uint8(8), (np.int32(2), 4)])
def test_channels_may_be_numpys_whole_numbers(channels: Any) -> None:
    assert face.LayerNorm(channels).params["weight"].size == 8
    assert "int" not in repr(face.LayerNorm(channels))


def test_a_tuple_of_channels_is_for_trailing_sizes() -> None:
    with pytest.raises(UsageError, match=r"BatchNorm: channels must be one whole number, got \(2, 4\)"):
        face.BatchNorm((2, 4))


@pytest.mark.parametrize("d", [d for d in acting() if d.params or d.states], ids=lambda d: d.name)
def test_a_layer_that_learns_needs_its_channels(d: Definition) -> None:
    with pytest.raises(UsageError, match=f"{d.class_name}: give the number of channels"):
        getattr(face, d.class_name)(None)


@pytest.mark.parametrize("dtype", ["int32", "complex128", "bool", "foo", object, np.longdouble, "U3"])
def test_a_layer_has_a_floating_point_dtype(dtype: Any) -> None:
    with pytest.raises(DtypeError, match="BatchNorm: dtype must be a floating-point type"):
        face.BatchNorm(8, dtype=dtype)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 1e-3}, "unknown argument of BatchNorm 'epsilon'. Did you mean eps"),
        ({"momentun": 1e-3}, "Did you mean momentum"),
        ({"groups": 2}, "unknown argument of BatchNorm 'groups'"),
        ({"eps": -1}, "eps must be a finite number of at least 0"),
        ({"layout": "n ..."}, "must name c"),
        ({"layout": ["n", "c"]}, "must be text"),
        ({"layout": "n [c]"}, "no square brackets"),
        ({"layout": "n c c"}, "stands twice"),
        ({"layout": "n q ..."}, "must"),
    ],
)
def test_a_layer_refuses_what_it_does_not_know(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        face.BatchNorm(8, **settings)(np.ones((4, 8, 2)))


@pytest.mark.parametrize("d", [d for d in acting() if d.eps is None], ids=lambda d: d.name)
def test_a_method_without_eps_takes_none(d: Definition) -> None:
    with pytest.raises(UsageError, match="has no eps"):
        made(d, eps=1e-3)


def test_large_options_are_refused_with_their_limit() -> None:
    with pytest.raises(UsageError, match=r"spectral_norm: steps must be .* at most 10000, got 1000000"):
        face.SpectralNorm(8, steps=10**6)
    with pytest.raises(UsageError, match=r"film: condition must be .* at most 1e\+06"):
        face.FiLM(8, condition=10**9)
    x = np.random.default_rng(0).standard_normal((2, 3, 4))  # a window wider than the channels is the channels
    compare(functional.local_response_norm(x, size=10**300), x, "identity")
    wide = functional.local_response_norm(x, size=10**9, alpha=1e9)
    compare(wide, x / (1 + (x * x).sum(1, keepdims=True)) ** 0.75, "identity")
    with pytest.raises(UsageError, match="size must be"):
        functional.local_response_norm(np.ones((2, 3)), size=10**400)


def test_over_sample_needs_a_layout_that_names_samples() -> None:
    """In the default layout `... c` the batch is one of `...`: all of it would share one statistic, silently."""
    x = np.random.default_rng(0).standard_normal((3, 4, 8))
    for call in (lambda: face.LayerNorm(8, over="sample")(x), lambda: functional.layer_norm(x, over="sample")):
        with pytest.raises(UsageError, match="does not name them"):
            call()
    assert np.allclose(functional.layer_norm(x, over="sample", layout="n ... c").mean((1, 2)), 0, atol=1e-15)


# What a layer is called with


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1.0, 2.0]], "must be a NumPy array, got list"),
        (1.5, "must be a NumPy array, got float"),
        (None, "must be a NumPy array, got NoneType"),
        (np.ones((2, 8), int), "floating-point elements up to float64, got int64"),
        (np.ones((2, 8), bool), "got bool"),
        (np.ones((2, 8), complex), "got complex128"),
        (np.full((2, 8), None), "got object"),
        (np.full((2, 8), "a"), "got <U1"),
        (np.ones((2, 8), np.longdouble), "up to float64"),
        (np.ma.array(np.ones((2, 8)), mask=False), "a masked one would lose its mask"),
        (np.array(1.0), "must have at least one axis, got a 0-d array"),
        (np.float64(1.0), "must be a NumPy array, got float64"),
    ],
    ids=["list", "float", "none", "int", "bool", "complex", "object", "text", "longdouble", "masked", "0d", "scalar"],
)
def test_what_is_no_array_of_floats_is_refused(d: Definition, x: Any, message: str) -> None:
    inputs = [np.ones((2, 1))] * len([i for i in d.inputs if i.where != "function"])
    name = f"{d.name}: {d.subject} must"
    with pytest.raises(NormlabError, match=name) as caught:
        made(d)(x, *inputs)
    assert message in str(caught.value)
    others = {"weight": np.ones((2, 8))} if d.name == "film" else {}
    others |= {"u": np.ones(8)} if d.name == "spectral_norm" else {}
    others |= {"key": 0} if d.role == "dropout" else {}
    with pytest.raises(NormlabError, match="must") as caught:
        getattr(functional, d.name)(x, **others)
    assert message in str(caught.value) or "must be a NumPy array" in str(caught.value)


def test_an_array_of_another_framework_is_named() -> None:
    import pandas

    for call in (lambda t: nl.normalize(t, "n [c]"), functional.selu):
        with pytest.raises(DtypeError, match=r"must be a NumPy array, got pandas\.DataFrame\. Convert with numpy\.asarray"):
            call(pandas.DataFrame({"a": [1.0, 2.0]}))


@pytest.mark.parametrize("d", [d for d in acting() if d.params and d.role == "norm"], ids=lambda d: d.name)
@pytest.mark.parametrize(
    "value", [np.ones(CHANNELS) * 1j, np.full(CHANNELS, None), np.full(CHANNELS, "a"), [[1], [2, 3]]]
)
def test_a_parameter_must_hold_real_numbers(d: Definition, value: Any) -> None:
    layout = {"layout": "n c ..."} if d.layout != "n c ..." else {}
    with pytest.raises(NormlabError, match=f"{d.name}: weight must"):
        getattr(functional, d.name)(np.ones((3, CHANNELS, 2)), value, **layout)


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_the_wrong_number_of_channels_names_both(d: Definition) -> None:
    for layout in layouts(d):
        if layout == "...":
            continue
        case = Case(d, layout, shape_of(layout, 3) or ())
        names = layout.split()
        axis = names.index("c" if "c" in names else "o") - (len(names) if names[-1] in "c" else 0)
        x = np.repeat(case.x(), 2, axis)
        with pytest.raises(ShapeError, match=f"{d.name}: the layer was made for {CHANNELS} channels"):
            made(d, layout=layout)(x, **case.inputs())
        without = face.build(d, CHANNELS, layout=layout, affine=False)
        if d.start is None:
            with pytest.raises(ShapeError, match="was made for"):
                without(x, **case.inputs())


@pytest.mark.parametrize(
    ("shape", "layout", "message"),
    [
        ((8,), "n c ...", "needs at least 2 axes, got 1"),
        ((4, 0), "n c ...", "at least one channel"),
        ((4, 0, 3), "n c ...", "at least one channel"),
        ((0, 0), "n c ...", "at least one channel"),
        ((4, 8, 2), "n c", "needs 2 axes, got 3"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(shape: tuple[int, ...], layout: str, message: str) -> None:
    for call in (
        lambda: functional.batch_norm(np.ones(shape), layout=layout),
        lambda: face.InstanceNorm(None, affine=False, layout=layout)(np.ones(shape)),
    ):
        with pytest.raises(ShapeError, match=message):
            call()


@pytest.mark.parametrize("name", ["running_mean", "running_var"])
def test_running_statistics_come_in_pairs_and_fit(name: str) -> None:
    x = np.ones((4, 8))
    with pytest.raises(UsageError, match="give both running_mean and running_var"):
        functional.batch_norm(x, **{name: np.ones(8)})
    pair = {"running_mean": np.zeros(8), "running_var": np.ones(8), name: np.ones(7)}
    with pytest.raises(ShapeError, match=rf"batch_norm: {name} must have shape \(c,\) = \(8,\), got \(7,\)"):
        functional.batch_norm(x, **pair)
    with pytest.raises(UsageError, match=r"momentum=None .* needs a layer"):
        functional.batch_norm(x, running_mean=np.zeros(8), running_var=np.ones(8), momentum=None)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ((3, 7), r"weight must have the axes \(n=3, c=8\), or x's whole shape \(3, 8, 2\), got shape \(3, 7\)"),
        ((8,), "got shape"),
        ((3, 8, 1), "got shape"),
    ],
)
def test_a_condition_must_fit_the_input(weight: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        functional.film(np.ones((3, 8, 2)), np.ones(weight))


def test_the_inputs_of_a_call_are_checked() -> None:
    layer, x = face.FiLM(8, condition=5), np.ones((3, 8, 2))
    for z in (np.ones((3, 4)), np.ones((2, 5)), np.ones(5)):
        with pytest.raises(ShapeError, match=r"film: z must have the axes \(n=3, d=5\)"):
            layer(x, z)
    with pytest.raises(UsageError, match="z is required"):
        layer(x)
    with pytest.raises(UsageError, match="takes 1 inputs besides x, got 2"):
        layer(x, np.ones((3, 5)), np.ones((3, 5)))
    with pytest.raises(UnknownNameError, match="unknown input of FiLM 'y'"):
        layer(x, y=np.ones((3, 5)))
    with pytest.raises(UnknownNameError, match="unknown input of BatchNorm 'z'"):
        face.BatchNorm(8)(x, z=x)


def test_film_takes_a_factor_for_each_position_in_any_layout() -> None:
    random = np.random.default_rng(0)
    x, w, b = random.standard_normal((3, 2, 8, 4))
    wanted = w * x + b
    compare(functional.film(x, w, b), wanted, "identity")
    moved = [np.moveaxis(a, 1, -1) for a in (x, w, b)]
    compare(functional.film(*moved, layout="n ... c"), np.moveaxis(wanted, 1, -1), "identity")
    per_channel = functional.film(np.moveaxis(x, 1, -1), w[:, :, 0], layout="n ... c")
    compare(per_channel, np.moveaxis(x * w[:, :, :1], 1, -1), "identity")
