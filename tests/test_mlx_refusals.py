"""What the MLX face refuses, in the sentences of all faces, and what it takes besides MLX's arrays."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import normlab as nl
from grid import acting
from normlab import functional
from normlab.errors import DtypeError, ShapeError, UsageError
from normlab.mlx import build

F, M = nl.functional, nl.mlx
X = mx.ones((4, 8, 6))

REFUSED = {
    "no array": (lambda: M.LayerNorm(8)([[1.0, 2.0]]), DtypeError, "layer_norm: x must be an MLX array, got list. Convert with mlx.core.array."),
    "NumPy's array": (lambda: M.LayerNorm(8)(np.ones((2, 8))), DtypeError, "layer_norm: x must be an MLX array, got ndarray. Convert with mlx.core.array."),
    "whole numbers": (lambda: F.layer_norm(mx.ones((2, 8), dtype=mx.int32)), DtypeError, "layer_norm: x must have floating-point elements up to float64, got int32. Convert with x.astype(mlx.core.float32)."),
    "complex numbers": (lambda: F.layer_norm(mx.ones((2, 8), dtype=mx.complex64)), DtypeError, "layer_norm: x must have floating-point elements up to float64, got complex64."),
    "no axis": (lambda: F.selu(mx.array(1.0)), ShapeError, "selu: x must have at least one axis, got a 0-d array."),
    "complex weight": (lambda: F.layer_norm(X, mx.ones(6, dtype=mx.complex64)), DtypeError, "layer_norm: weight must hold real numbers, got elements of complex64."),
    "boolean weight": (lambda: F.layer_norm(X, [True] * 6), DtypeError, "layer_norm: weight must hold real numbers, got elements of bool."),
    "ragged weight": (lambda: F.layer_norm(X, [[1.0], [1.0, 2.0]]), ShapeError, "layer_norm: weight must be an array, got nested lists of unequal lengths."),
    "weight's shape": (lambda: F.batch_norm(X, mx.ones(4)), ShapeError, "batch_norm: weight must have shape (c,) = (8,), got (4,). Pass weight=None to leave it out."),
    "channels": (lambda: M.BatchNorm(4)(X), ShapeError, "batch_norm: the layer was made for 4 channels (c), got x of shape (4, 8, 6) with layout 'n c ...'."),
    "rank": (lambda: F.batch_norm(mx.ones(4)), ShapeError, "batch_norm: x with layout 'n c ...' needs at least 2 axes, got 1: shape (4,)."),
    "a set of one": (lambda: F.instance_norm(mx.ones((4, 8))), ShapeError, "instance_norm: x of shape (4, 8) has 1 element in each set"),
    "layout": (lambda: F.batch_norm(X, layout="n d ..."), UsageError, "layout 'n d ...'"),
    "groups": (lambda: F.group_norm(X, groups=3), UsageError, "group_norm: groups"),
    "mask's shape": (lambda: F.batch_norm(X, mask=mx.ones((4, 8, 6)) > 0), ShapeError, "batch_norm: mask must be boolean and have x's shape without channels, (4, 6), got mlx.core.bool (4, 8, 6)."),
    "mask's dtype": (lambda: F.batch_norm(X, mask=mx.ones((4, 6))), ShapeError, "batch_norm: mask must be boolean"),
    "key": (lambda: F.alpha_dropout(X, p=0.5, key=-1), UsageError, "key must be a whole number of at least 0 or a key of mlx.core.random, got -1."),
    "no key": (lambda: F.alpha_dropout(X, p=0.5), UsageError, "alpha_dropout: give key="),
    "dtype": (lambda: M.BatchNorm(8, dtype=mx.int32), DtypeError, "BatchNorm: dtype must be a floating-point type up to float64, got mlx.core.int32."),
    "dtype's name": (lambda: M.BatchNorm(8, dtype="float32"), DtypeError, "BatchNorm: dtype must be a floating-point type up to float64, got 'float32'."),
    "an argument": (lambda: M.BatchNorm(8, momentun=0.1), UsageError, "unknown argument of BatchNorm 'momentun'. Did you mean momentum"),
    "one input too few": (lambda: M.FiLM(8)(X), UsageError, "FiLM: z is required"),
    "a weight's start": (lambda: M.WeightNorm(8, start="data")(mx.ones((8, 3))), UsageError, "weight_norm: start='data' needs"),
    "normalize": (lambda: nl.normalize(mx.ones((2, 8), dtype=mx.int8), "n [c]"), DtypeError, "normalize: x must have floating-point elements up to float64, got int8."),
    "normalize's line": (lambda: nl.normalize(X, "n [c]"), UsageError, "'n [c]' needs 2 axes, got 3"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    call, kind, words = REFUSED[what]
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)


NUMPY = {"got list": "got list", "an MLX array": "a NumPy array", "mlx.core.array": "numpy.asarray", "mlx.core.float32": "numpy.float64", "mlx.core.bool": "bool"}


@pytest.mark.parametrize("what", ["whole numbers", "no axis", "weight's shape", "channels", "rank", "a set of one", "groups", "mask's shape"])
def test_numpy_s_face_says_the_same(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for face in ("mlx", "numpy"):
        if face == "numpy":  # the same call on NumPy's arrays
            arrays = type("np", (), {"ones": staticmethod(lambda shape, dtype="float64": np.ones(shape, dtype)), "array": np.array, "int32": "int32"})
            monkeypatch.setitem(globals(), "mx", arrays)
            monkeypatch.setitem(globals(), "X", np.ones((4, 8, 6)))
            monkeypatch.setitem(globals(), "M", nl.numpy)
        with pytest.raises(nl.NormlabError) as caught:
            REFUSED[what][0]()
        said.append(str(caught.value))
    for ours, theirs in NUMPY.items():
        said[0] = said[0].replace(ours, theirs)
    assert said[0] == said[1]


@pytest.mark.parametrize("kind", [list, np.asarray, lambda a: np.asarray(a, np.float64), lambda a: np.asarray(a, np.int64)], ids=["list", "array", "float64", "whole"])
def test_parameters_may_be_lists_and_numpy_s_arrays(kind: Any) -> None:
    weight = [1, 2, 3, 4, 5, 6]
    y = F.layer_norm(X + mx.arange(6), kind(weight))
    assert y.dtype == mx.float32
    assert mx.array_equal(y, F.layer_norm(X + mx.arange(6), mx.array(weight, dtype=mx.float32)))


def test_what_is_given_in_float64_stays_in_float64() -> None:
    weight = np.full(3, 1 / 3)
    with mx.stream(mx.cpu):
        x = mx.array(np.array([[1.0, 2.0, 4.0]]), dtype=mx.float64)
        y = F.rms_norm(x, weight, eps=0.0)
    wanted = nl.numpy.RMSNorm(3, eps=0.0)(np.array(x)) / 3
    assert y.dtype == mx.float64 and np.abs(np.array(y) - wanted).max() <= 2**-52


def test_a_mask_may_be_numpy_s() -> None:
    x, mask = mx.random.normal((4, 8, 6)), np.random.default_rng(0).random((4, 6)) > 0.4
    assert mx.array_equal(F.batch_norm(x, mask=mask), F.batch_norm(x, mask=mx.array(mask)))


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_nothing_that_was_given_changes(d: Any) -> None:
    layer = build(d, 8)
    held = {n: mx.array(a) for n, a in layer.items()}
    words = d.layout.split()
    x = mx.random.normal((8, 3) if "o" in words else (4, 3, 8) if words[-1] == "c" else (4, 8, 3))
    given = mx.array(x)
    arrays = {s.name: held[s.name] for s in (*d.params, *d.states) if s.name in held and s.where != "layer"}
    if d.inputs:
        arrays |= {"weight": mx.ones((4, 8))}
    random = {"key": 0} if d.role == "dropout" else {}
    functional.function(d)(x, **arrays, **random)
    assert mx.array_equal(x, given)
    assert all(mx.array_equal(layer[n], a) for n, a in held.items())
