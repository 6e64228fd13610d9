"""`nl.functional`: signatures made from the definitions, the documents of the functions, the names of the errors."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import normlab as nl
from comparing import same_bytes
from grid import CHANNELS, Case, acting, shape_of
from normlab import functional
from normlab.definition import Definition
from normlab.errors import UnknownNameError, UsageError

ALL = acting()


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        (
            "batch_norm",
            "(x, weight=None, bias=None, *, running_mean=None, running_var=None, training=True, layout='n c ...', "
            "eps=1e-05, mask=None, momentum=0.1, running_var_biased=False)",
        ),
        ("layer_norm", "(x, weight=None, bias=None, *, layout='... c', eps=1e-05, mask=None, over='features')"),
        ("group_norm", "(x, weight=None, bias=None, *, layout='n c ...', eps=1e-05, mask=None, groups='auto')"),
        ("rms_norm", "(x, weight=None, *, layout='... c', eps=1e-05, mask=None)"),
        ("unit_norm", "(x, *, layout='n c ...', eps=1e-12, mask=None)"),
        ("film", "(x, weight, bias=None, *, layout='n c ...')"),
        ("spectral_norm", "(w, u, *, training=True, layout='o i ...', steps=1)"),
        ("selu", "(x)"),
        ("alpha_dropout", "(x, *, training=True, key=None, p=0.05)"),
        ("weight_norm", "(v, g=None, *, layout='o i ...')"),
        (
            "local_response_norm",
            "(x, *, layout='n c ...', size=5, alpha=0.0001, beta=0.75, k=1.0, window='torch')",
        ),
    ],
)
def test_the_signatures_are_those_of_the_design(name: str, signature: str) -> None:
    assert str(inspect.signature(getattr(functional, name))) == signature


@pytest.mark.parametrize("d", ALL, ids=lambda d: d.name)
def test_a_function_says_what_it_takes_and_gives(d: Definition) -> None:
    function = getattr(functional, d.name)
    doc = function.__doc__ or ""
    taken = inspect.signature(function).parameters
    for name in (*(o.name for o in d.all_options), *(p.name for p in d.params), d.subject):
        assert (f"    {name}: " in doc) == (name in taken), name
    assert "Returns:" in doc and d.source in doc
    assert function.__module__ == "normlab.functional"


@pytest.mark.parametrize("d", ALL, ids=lambda d: d.name)
def test_too_many_arguments_and_unknown_ones_are_named(d: Definition) -> None:
    function = getattr(functional, d.name)
    with pytest.raises(UsageError, match=f"{d.name}: too many positional arguments"):
        function(*range(9))
    with pytest.raises(UnknownNameError, match=f"unknown argument of {d.name} 'epss'"):
        function(np.ones((4, CHANNELS)), epss=1)
    with pytest.raises(UsageError, match="missing a required argument"):
        function()


def test_a_function_is_made_once() -> None:
    assert functional.batch_norm is functional.batch_norm
    assert nl.functional is functional


@pytest.mark.parametrize("d", [d for d in ALL if not d.inputs], ids=lambda d: d.name)
def test_nothing_that_a_function_is_given_changes(d: Definition) -> None:
    case = Case(d, d.layout, shape_of(d.layout, 3) or ())
    layer, x = case.layer(), case.x()
    given: dict[str, Any] = {**layer.params, **{n: a for n, a in layer.state.items() if n != "num_batches_tracked"}}
    given |= {"key": 3} if d.role == "dropout" else {}
    before = {n: np.array(a) for n, a in given.items()}
    for array in given.values():
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    x.setflags(write=False)
    kept = x.copy()
    first = getattr(functional, d.name)(x, **given)
    second = getattr(functional, d.name)(x, **given)
    for one, other in zip(_each(first), _each(second), strict=True):
        same_bytes(one, other, d.name)
    same_bytes(x, kept)
    for name, array in given.items():
        same_bytes(np.array(array), before[name], name)


def _each(made: Any) -> tuple[np.ndarray, ...]:
    return made if isinstance(made, tuple) else (made,)


def test_lists_and_whole_numbers_may_be_parameters() -> None:
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    wanted = functional.batch_norm(x, np.array([2.0, 3.0]), np.array([1.0, 0.0]))
    same_bytes(functional.batch_norm(x, [2, 3], (1, 0)), wanted)
    same_bytes(functional.batch_norm(x, np.array([2, 3], np.int8), np.array([1, 0], np.uint16)), wanted)


def test_what_pools_the_batch_returns_statistics_only_where_they_are_given() -> None:
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    held = {"running_mean": np.zeros(2), "running_var": np.ones(2)}
    assert isinstance(functional.batch_norm(x), np.ndarray)
    assert isinstance(functional.batch_norm(x, training=False), np.ndarray)
    assert isinstance(functional.batch_norm(x, **held, training=False), np.ndarray)
    y, mean, var = functional.batch_norm(x, **held)
    assert y.shape == x.shape and mean.shape == var.shape == (2,)
    w, u = functional.spectral_norm(x[:, :, 0], np.ones(3))
    assert w.shape == (3, 2) and u.shape == (3,)
