"""What a definition may say, what its options accept, and that every refusal names the method, the option and the value."""

from __future__ import annotations

import copy
import inspect
import math
import re
from typing import Any

import numpy as np
import pytest

from grid import CHANNELS, Case, acting, layouts, option_sets, shape_of
from normlab import functional, registry
from normlab import numpy as face
from normlab.constraints import Divides, Interval, OneOf, auto_groups
from normlab.definition import FAMILIES, ROLES, Choice, Definition, Option, Param, State, from_line
from normlab.errors import PatternError, ShapeError, UnknownNameError, UsageError
from normlab.notation import RESERVED

MINIMAL = {
    "name": "mine", "short": "m", "class_name": "Mine", "title": "t", "title_ko": "t", "family": "activation",
    "role": "norm", "source": "a paper, equation 1", "year": 2000, "covers": ("row",), "pools": "n [c]",
}  # fmt: skip
ALL = list(registry.methods())


@pytest.mark.parametrize("d", ALL, ids=lambda d: d.name)
def test_a_definition_says_all_that_the_rest_reads(d: Definition) -> None:
    assert d.family in FAMILIES and d.role in ROLES
    assert 1900 < d.year < 2100 and all(d.covers) and (d.covers or d.role == "input")
    assert re.search("[가-힣]", d.title_ko) and not re.search("[가-힣]", d.title)
    assert d.source.strip().lower() != "common knowledge"
    assert d.worked is None or (len(d.worked.derivation) > 0 and len(d.worked.x) > 0)
    assert d.worked is not None or d.role == "input"
    for option in d.all_options:
        assert option.constraint.accepts(option.default), f"{option.name}'s default is not accepted"
        assert option.doc and option.name not in RESERVED
    for known in d.known_as:
        assert set(known.options.values()) <= {o.name for o in d.all_options} | {"eps", "affine", "bias", "process_group"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "Mine", "snake_case"),
        ("name", "1st", "snake_case"),
        ("class_name", "My Norm", "identifier"),
        ("family", "other", "family must be one of"),
        ("role", "other", "role must be one of"),
        ("spread", "variance", "spread must be one of"),
        ("eps_rule", "beside", "eps_rule must be one of"),
        ("source", "Common knowledge", "source must name"),
        ("source", " ", "source must name"),
        ("invariances", ("rotate",), "invariances must be of"),
        ("pools", None, "give pools or a forward"),
        ("pools", {"a": "n [c]", "b": "[n] c"}, "several named lines need a forward"),
        ("pools", Choice("over", {"a": "n [c]"}), "no option 'over'"),
        ("pools", "n (g [c]", "never closed"),
        ("pools", "n c", "square brackets"),
        ("layout", "n [c]", "no square brackets"),
        ("params", (Param("weight", "c", "uniform"),), "a start must be"),
        ("params", (Param("a", "c", 1.0), Param("a", "c", 0.0)), "different names"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        Definition(**{**MINIMAL, field: value})


def test_a_definition_never_changes_and_is_never_copied() -> None:
    d = Definition(**MINIMAL)
    with pytest.raises(AttributeError):
        d.name = "other"  # type: ignore[misc]
    assert copy.deepcopy(d) is d


@pytest.mark.parametrize(
    ("fields", "states"),
    [
        ({"pools": "[n] c [...]"}, {"running_mean": "c", "running_var": "c"}),
        ({"pools": "[n c ...]"}, {"running_mean": "", "running_var": ""}),
        ({"pools": "[n] (g [c])"}, {"running_mean": "g", "running_var": "g"}),
        ({"pools": "n [c]"}, {}),
        ({"pools": "[n] c", "state": ()}, {}),
        ({"pools": "n [c]", "state": (State("u", "c", 0.0),)}, {"u": "c"}),
    ],
)
def test_a_line_that_pools_the_batch_has_running_statistics(fields: dict[str, Any], states: dict[str, str]) -> None:
    d = Definition(**{**MINIMAL, **fields})
    assert {s.name: s.axes for s in d.states} == states
    assert d.has_running == ("running_var" in states)
    assert d.has_running == any(o.name == "momentum" for o in d.all_options)


REFUSED = [(d, o, v) for d in acting() for o in d.all_options for v in o.constraint.refused()]


@pytest.mark.parametrize(("d", "option", "value"), REFUSED, ids=lambda v: getattr(v, "name", repr(v)))
def test_every_value_outside_the_constraint_is_refused_by_name(d: Definition, option: Option, value: Any) -> None:
    assert not option.constraint.accepts(value)
    words = (d.name, option.name, repr(value), str(option.constraint))
    with pytest.raises(UsageError) as caught:
        getattr(face, d.class_name)(CHANNELS, **{option.name: value})
    assert all(word in str(caught.value) for word in words)
    function = getattr(functional, d.name)
    if option.name in inspect.signature(function).parameters:
        required = [p for p in inspect.signature(function).parameters.values() if p.default is inspect.Parameter.empty]
        with pytest.raises(UsageError) as caught:
            function(*[np.ones((CHANNELS, CHANNELS))] * len(required), **{option.name: value})
        assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_every_value_inside_the_constraint_works(d: Definition) -> None:
    layout = layouts(d)[0]
    shape = shape_of(layout, 4)
    assert shape is not None
    for options in option_sets(d):
        case = Case(d, layout if options != {"over": "sample"} else "n c ...", shape, options)
        y = case.layer()(case.x(), **case.inputs())
        assert y.shape == shape and np.all(np.isfinite(y))


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_an_unknown_option_gets_the_nearest_names(d: Definition) -> None:
    for call in (getattr(face, d.class_name), lambda *a, **k: getattr(functional, d.name)(*a, **k)):
        with pytest.raises(UnknownNameError, match=r"lay_out.*(Did you mean layout|Known)"):
            call(CHANNELS, lay_out="n c")


@pytest.mark.parametrize(
    ("constraint", "accepted", "refused", "text"),
    [
        (Interval(0), (0, 1.5, np.float32(2), np.int8(3), 10**300), (-1e-9, math.nan, math.inf, "1", None, True, 1j, 10**400),
         "a number at least 0"),
        (Interval(0, 1, none=True), (0, 1, 0.5, None), (1.1, -0.1, False), "a number at least 0 and at most 1 or None"),
        (Interval(0, open_low=True), (1e-300,), (0, -1), "a number above 0"),
        (Interval(0, 1, open_high=True), (0, 0.99), (1,), "a number at least 0 and below 1"),
        (Interval(1, whole=True), (1, np.int64(7)), (0, 1.0, 2.5, np.float64(2), np.True_), "a whole number at least 1"),
        (Interval(), (-1e300, 0), (math.inf, [1], np.ones(2), {}), "a number"),
        (OneOf(True, False), (True, False), (1, 0, None, "True"), "one of True, False"),
        (OneOf("a", "b"), ("a", "b"), ("c", None, ["a"], 1), "one of 'a', 'b'"),
        (Divides(), ("auto", 1, np.int32(4)), (0, -2, 2.0, True, None, "all", np.ones(2), [1]),
         'a whole number that divides the channels, or "auto"'),
    ],
    ids=str,
)  # fmt: skip
def test_a_constraint_accepts_what_it_says(constraint: Any, accepted: Any, refused: Any, text: str) -> None:
    assert str(constraint) == text
    assert all(constraint.accepts(v) for v in accepted)
    assert not any(constraint.accepts(v) for v in (*refused, *constraint.refused()))


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(1, 1), (7, 1), (8, 1), (15, 1), (16, 2), (24, 3), (64, 8), (97, 1), (248, 31), (256, 32), (272, 17), (512, 32)],
)
def test_auto_groups_leave_eight_channels_a_group(channels: int, groups: int) -> None:
    assert auto_groups(channels) == groups
    assert groups == max((g for g in range(1, 33) if channels % g == 0 and channels // g >= 8), default=1)


def test_groups_must_divide_the_channels() -> None:
    with pytest.raises(ShapeError, match=r"group_norm: groups must divide the 8 channels, got 3\. The nearest that does is 2"):
        face.GroupNorm(8, groups=3)
    with pytest.raises(ShapeError, match="groups must divide the 6 channels, got 4"):
        functional.group_norm(np.ones((2, 6)), groups=4)


@pytest.mark.parametrize("line", ["n (g [c]) [...]", "[n] c [...]", "n [c]", "n (g [c k]) [...]"])
def test_a_line_of_notation_acts_like_a_method(line: str) -> None:
    sizes = {n: 2 for n in "gk" if n in line.replace("[", " ").replace("]", " ").replace("(", " ").replace(")", " ").split()}
    d = from_line(line, sizes)
    shape = (5, 8) if "..." not in line else (5, 8, 3)
    x = np.random.default_rng(0).standard_normal(shape)
    layer = face.build(d, 8)
    from normlab import normalize

    assert d.role == "norm" and d.name == line
    assert np.array_equal(layer(x), normalize(x, line, **sizes))
    assert layer.params["weight"].shape == (8,)


def test_a_line_in_a_network_must_name_the_channels() -> None:
    with pytest.raises(PatternError, match="must name the channels c"):
        from_line("n [d]")
    with pytest.raises(UnknownNameError, match="unknown axis"):
        from_line("n (g [c])", {"h": 2})


@pytest.mark.parametrize("role", ["norm", "weight", "activation", "dropout", "condition"])
def test_roles_are_found_among_the_methods(role: str) -> None:
    assert any(d.role == role for d in acting())
