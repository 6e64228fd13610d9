"""The table of the note's functions: both columns run, say the same, and are all that the first experiment needs."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from comparing import compare
from normlab.note_functions import NoteFunction, rows, table

ROOT = Path(__file__).resolve().parents[1]
DRAWN = ("random.rand", "random.randn")
EPSILON = 1e-8
# Preset note-1: mean and variance of the activations, without and with batch normalization (NumPy's legacy generator).
WITHOUT, WITH = (0.4504144433963924, 0.1300689206779604), (0.500240082009867, 0.04393100692011483)


def run(call: str) -> Any:
    """A call of the table, with what the note gives it."""
    random = np.random.default_rng(5)
    numbers = {"x": random.standard_normal((3, 4)), "X": random.random((100, 20)), "W": random.standard_normal((20, 64))}
    numbers |= {"Z": random.standard_normal((100, 64)), "sigma2": random.random(64)}
    kind = mx.array if "mx." in call else np.asarray
    arrays = {n: kind(a.astype(np.float32)) for n, a in numbers.items()}
    return eval(call, {"np": np, "mx": mx, "epsilon": EPSILON, **arrays})


@pytest.mark.parametrize("function", rows(), ids=lambda f: f.numpy)
def test_both_calls_of_a_row_give_the_same(function: NoteFunction) -> None:
    ours, theirs = run(function.numpy_call), run(function.mlx_call)
    if ours is None:
        assert theirs is None
    elif function.numpy in DRAWN:
        assert ours.shape == theirs.shape
        # The mean and the spread of 1,280 draws and more: within five of their own standard errors.
        assert abs(float(theirs.mean().item()) - ours.mean()) < 5 * np.sqrt(2 / ours.size) * ours.std()
        assert abs(np.array(theirs).std() / ours.std() - 1) < 5 / np.sqrt(ours.size)
    else:
        compare(np.array(theirs), np.asarray(ours, np.float32), "transcendental", function.numpy)


@pytest.mark.parametrize("function", rows(), ids=lambda f: f.numpy)
def test_a_name_is_called_the_same_where_mlx_has_it_and_only_there(function: NoteFunction) -> None:
    assert callable(attrgetter(function.numpy)(np)) and callable(attrgetter(function.mlx)(mx))
    module, _, name = function.numpy.rpartition(".")
    there = attrgetter(module)(mx) if module else mx
    assert hasattr(there, name) == function.same
    assert f"np.{function.numpy}(" in function.numpy_call and f"mx.{function.mlx}(" in function.mlx_call


def test_seven_of_ten_keep_their_names() -> None:
    assert (len(rows()), sum(f.same for f in rows())) == (10, 7)


class Named:
    """The functions of one library under the note's names, and which of them were asked for."""

    def __init__(self, library: Any, column: str) -> None:
        self.used: set[str] = set()
        self.found = {f.numpy: attrgetter(getattr(f, column))(library) for f in rows()}
        self.random = SimpleNamespace(**{n.partition(".")[2]: self._noted(n) for n in self.found if "." in n})

    def __getattr__(self, name: str) -> Any:
        return self._noted(name)

    def _noted(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.used.add(name)
            return self.found[name](*args, **kwargs)

        return call


def first_experiment(np_: Any, X: Any, W: Any, b: Any) -> list[tuple[float, float]]:
    """The note's one layer, without and with batch normalization: mean and variance of the activations."""

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np_.exp(-z))

    Z = np_.dot(X, W) + b
    normalized = (Z - np_.mean(Z, axis=0)) / np_.sqrt(np_.var(Z, axis=0) + EPSILON)
    activations = [sigmoid(Z), sigmoid(np_.ones(64) * normalized + np_.zeros(64))]
    return [(float(np_.mean(a).item()), float(np_.var(a).item())) for a in activations]


def test_the_first_experiment_needs_these_functions_and_no_others() -> None:
    np_ = Named(np, "numpy")
    np_.random.seed(0)
    X, W, b = np_.random.rand(100, 20), np_.random.randn(20, 64), np_.random.randn(64)
    np.testing.assert_allclose(first_experiment(np_, X, W, b), [WITHOUT, WITH], rtol=1e-12)
    assert np_.used == {f.numpy for f in rows()}
    # MLX draws another stream, so it gets NumPy's numbers; what is left between the two is float32: 100 x 20 x 64
    # products and sums of it, each right to a few units, averaged.
    arrays = [mx.array(a.astype(np.float32)) for a in (X, W, b)]
    np.testing.assert_allclose(first_experiment(Named(mx, "mlx"), *arrays), [WITHOUT, WITH], rtol=1e-5)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_shows_the_table(lang: str) -> None:
    page = {"en": "mlx.md", "ko": "mlx.ko.md"}[lang]
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert table(lang) in text
    assert table(lang).count("\n") == len(rows()) + 1
