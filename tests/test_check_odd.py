"""Whatever comes back from somebody's code, it ends in a fault with its name, never in an exception of the grader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normlab as nl
from grading import graded
from normlab.grading.document import written
from normlab.grading.process import Ended

ODD: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    "the transpose": (lambda x: x.T, "wrong_shape"), "one row": (lambda x: x[0], "wrong_shape"),
    "nothing in it": (lambda x: x[:0], "wrong_shape"), "nested tuples": (lambda x: ((x,),), "wrong_shape"),
    "a scalar of NumPy": (lambda x: np.float64(1), "returns_scalar"), "a dictionary": (lambda x: {"y": x}, "returns_other"),
    "an object": (lambda x: object(), "returns_other"), "a class": (lambda x: int, "returns_other"),
    "complex numbers": (lambda x: x + 1j, "returns_other"), "objects in an array": (lambda x: x.astype(object), "returns_other"),
    "booleans": (lambda x: x > 0, "returns_other"), "unequal lists": (lambda x: [[1], [2, 3]], "returns_other"),
    "a generator": (lambda x: (row for row in x), "returns_generator"), "None first": (lambda x: (None, x), "returns_none"),
    "infinities": (lambda x: x * np.inf, "not_finite"), "whole numbers": (lambda x: x.astype(int), "wrong_dtype"),
    "half precision": (lambda x: x.astype(np.float16), "wrong_dtype"), "ones": (lambda x: np.ones_like(x), "unknown"),
    "zeros": (lambda x: 0 * x, "unknown"), "x itself": (lambda x: x, "not_normalized"),
    "a view from behind": (lambda x: x[::-1], "unknown"), "masked": (lambda x: np.ma.masked_array(x), "not_normalized"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_output_has_its_name(name: str) -> None:
    function, key = ODD[name]
    assert key in graded(function, "bn").faults


@pytest.mark.parametrize("as_", ["ln", "gn", "lrn", "selu", "wn", "film", "sn", "n [c]", "[n c ...]"])
def test_an_odd_output_is_wrong_as_any_method(as_: str) -> None:
    for function, _ in ODD.values():
        assert graded(function, as_).faults


def forward(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float = 1e-5) -> tuple[np.ndarray, int]:
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta, 1


BACKWARDS: dict[str, tuple[Callable[..., Any], str]] = {
    "nothing": (lambda dy, cache: None, "no_dx"), "an empty tuple": (lambda dy, cache: (), "no_dx"),
    "text": (lambda dy, cache: "x", "no_dx"), "a number": (lambda dy, cache: 3.0, "no_dx"),
    "an empty dictionary": (lambda dy, cache: {}, "no_dx"), "the transpose": (lambda dy, cache: dy.T, "no_dx"),
    "a list": (lambda dy, cache: [dy.tolist()], "gradient_is_dy"), "NaN": (lambda dy, cache: dy * np.nan, "gradient_unknown"),
    "an exception": (lambda dy, cache: dy.nothing, "raises"), "no parameters": (lambda: 1, "no_parameters"),
}  # fmt: skip


@pytest.mark.parametrize("name", BACKWARDS)
def test_an_odd_backward_has_its_name(name: str) -> None:
    backward, key = BACKWARDS[name]
    assert key in graded(forward, "bn", backward).faults


def test_a_backward_that_wants_a_cache_says_so_where_there_is_none() -> None:
    def alone(x: np.ndarray) -> np.ndarray:
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)

    assert "no_cache" in graded(alone, "bn", lambda dy, cache: dy).faults


class NoCall:
    def __init__(self, channels: int) -> None:
        pass


class Divides(NoCall):
    def __init__(self, channels: int) -> None:
        raise ZeroDivisionError

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return x


class Wants(NoCall):
    def __init__(self, channels: int, foo: int, bar: int) -> None:
        pass

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x


class TakesNothing(NoCall):
    def forward(self) -> int:
        return 1


class OddAttributes(NoCall):
    def __init__(self, channels: int) -> None:
        self.weight, self.bias, self.running_mean, self.training = None, 3, "x", "yes"

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x


class Slotted:
    __slots__ = ("kept",)

    def __init__(self, channels: int) -> None:
        self.kept = 1

    def forward(self, x: np.ndarray) -> np.ndarray:
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


@pytest.mark.parametrize(
    ("made", "keys"),
    [(NoCall, ["class_not_callable"]), (Divides, ["raises"]), (Wants, ["unknown_parameter"]),
     (TakesNothing, ["no_parameters"]), (OddAttributes, ["not_normalized"]), (Slotted, []),
     (nl.numpy.FiLM, ["further_input"])],
    ids=lambda v: v.__name__ if isinstance(v, type) else "",
)  # fmt: skip
def test_an_odd_class_has_its_name(made: type, keys: list[str]) -> None:
    assert graded(made, "film" if keys == ["further_input"] else "bn").faults == keys


def test_a_failure_of_the_grader_itself_is_not_blamed_on_who_is_graded() -> None:
    ended = Ended([{"kind": "defect", "what": "Traceback: ours"}])
    with pytest.raises(RuntimeError, match="the grader failed"):
        written(ended, nl.method("bn"), {}, {"function": "f", "as": "bn", "backward": None, "timeout": 1.0}, None)
