"""What the JAX face refuses, in the words of the other faces, before anything is computed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import normlab as nl
from grid import acting
from normlab import functional
from normlab.definition import Definition
from normlab.jax import build

X = jnp.ones((4, 8, 3))
SWITCH = 'Call jax.config.update("jax_enable_x64", True)'


def call(layer: Any, x: Any = X, **given: Any) -> Any:
    params, state = layer.init()
    return layer(params, state, x, **given)


def weight(size: int) -> dict[str, Any]:
    return {"weight": jnp.ones(size), "bias": jnp.ones(8)}


CASES: list[tuple[str, Callable[[], Any], str]] = [
    ("no array", lambda: call(nl.jax.BatchNorm(8), [1.0]), "batch_norm: x must be a JAX array, got list. Convert with jax.numpy.asarray."),
    ("a masked array", lambda: call(nl.jax.BatchNorm(8), np.ma.ones((4, 8))), "batch_norm: x must be a JAX array, got MaskedArray."),
    ("whole numbers", lambda: functional.layer_norm(jnp.ones((2, 8), int)), "layer_norm: x must have floating-point elements up to float64, got int32. Convert with x.astype(jax.numpy.float32)."),
    ("complex numbers", lambda: functional.layer_norm(jnp.ones((2, 8), complex)), "layer_norm: x must have floating-point elements up to float64, got complex64."),
    ("a quarter of a float", lambda: functional.layer_norm(jnp.ones((2, 8), jnp.float8_e5m2)), "must have floating-point elements up to float64, got float8_e5m2"),
    ("no axis", lambda: functional.layer_norm(jnp.float32(1)), "layer_norm: x must have at least one axis, got a 0-d array."),
    ("float64 without the switch", lambda: call(nl.jax.BatchNorm(8), np.ones((4, 8))), f"batch_norm: x is float64, which JAX has only with its switch on. {SWITCH}"),
    ("a float64 layer without the switch", lambda: nl.jax.BatchNorm(8, dtype="float64"), f"BatchNorm: dtype is float64, which JAX has only with its switch on. {SWITCH}"),
    ("an integer dtype", lambda: nl.jax.BatchNorm(8, dtype=int), "BatchNorm: dtype must be a floating-point type up to float64, got int"),
    ("no dtype", lambda: nl.jax.BatchNorm(8, dtype="float31"), "BatchNorm: dtype must be a floating-point type, got 'float31'."),
    ("other channels", lambda: call(nl.jax.BatchNorm(8), X[:, :5]), "batch_norm: the layer was made for 8 channels (c), got x of shape (4, 5, 3) with layout 'n c ...'."),
    ("another weight", lambda: functional.batch_norm(X, jnp.ones(5)), "batch_norm: weight must have shape (c,) = (8,), got (5,). Pass weight=None to leave it out."),
    ("a weight of another layer", lambda: nl.jax.BatchNorm(8)(weight(5), nl.jax.BatchNorm(8).init()[1], X), "batch_norm: weight must have shape (c,) = (8,), got (5,)."),
    ("a bool weight", lambda: functional.batch_norm(X, jnp.ones(8, bool)), "batch_norm: weight must hold real numbers, got elements of bool."),
    ("a ragged weight", lambda: functional.batch_norm(X, [[1.0], [1.0, 2.0]]), "batch_norm: weight must be an array, got nested lists of unequal lengths."),
    ("an unknown layout", lambda: functional.batch_norm(X, layout="n k ..."), "batch_norm: layout 'n k ...' must name c."),
    ("no layout", lambda: functional.batch_norm(X, layout=["n"]), "a line of notation must be text, got list."),
    ("sets of one", lambda: functional.batch_norm(X[:1, :, :1]), "batch_norm: x of shape (1, 8, 1) has 1 element in each set"),
    ("a mask of numbers", lambda: functional.batch_norm(X, mask=jnp.ones((4, 3))), "batch_norm: mask must be boolean and have x's shape without channels, (4, 3), got float32 (4, 3)."),
    ("a mask that changes nothing", lambda: functional.layer_norm(X, mask=jnp.ones((4, 8), bool)), "layer_norm: mask= is for methods that pool over n or ..."),
    ("eps below 0", lambda: functional.batch_norm(X, eps=-1.0), "batch_norm: eps must be a finite number of at least 0, got -1.0."),
    ("an array for eps", lambda: functional.batch_norm(X, eps=jnp.ones(8)), "batch_norm: eps must be a finite number"),
    ("a traced eps", lambda: jax.jit(lambda e: functional.batch_norm(X, eps=e))(1e-5), "batch_norm: eps must be a finite number"),
    ("an unknown argument", lambda: nl.jax.BatchNorm(8, epsilon=1), "unknown argument of BatchNorm 'epsilon'. Did you mean eps"),
    ("a dropout without a key", lambda: nl.jax.AlphaDropout()({}, {}, X), "AlphaDropout: give key= (a whole number or a key of jax.random), or training=False."),
    ("a key that is none", lambda: nl.jax.AlphaDropout()({}, {}, X, key=-1), "key must be a whole number of at least 0 or a key of jax.random, got -1."),
    ("an array for a key", lambda: nl.jax.AlphaDropout()({}, {}, X, key=X), "key must be a whole number of at least 0 or a key of jax.random"),
    ("params and state exchanged", lambda: nl.jax.BatchNorm(8)(*nl.jax.BatchNorm(8).init()[::-1], X), "BatchNorm: params must be a dictionary of ['weight', 'bias'], got ['num_batches_tracked', 'running_mean', 'running_var']. Call layer(params, state, x)"),
    ("no state", lambda: nl.jax.BatchNorm(8)(nl.jax.BatchNorm(8).init()[0], None, X), "BatchNorm: state must be a dictionary of ['running_mean', 'running_var', 'num_batches_tracked'], got NoneType."),
    ("an input too many", lambda: nl.jax.LayerNorm(3)(nl.jax.LayerNorm(3).init()[0], {}, X, X), "LayerNorm: takes 0 inputs besides x, got 1."),
    ("a missing input", lambda: call(nl.jax.FiLM(8)), "FiLM: z is required"),
    ("a line for another shape", lambda: nl.normalize(X, "n [c]"), "n [c]"),
    ("a size that is no number", lambda: nl.normalize(X, "n (g [c]) [...]", g=[2]), "g"),
    ("an unknown layer", lambda: nl.jax.BatchNorms, "module 'normlab.jax' has no layer 'BatchNorms'; it has AlphaDropout"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_it_is_refused_in_these_words(run: Callable[[], Any], words: str) -> None:
    with pytest.raises((nl.NormlabError, AttributeError), match=re.escape(words)):
        run()


@pytest.mark.parametrize("d", [d for d in acting() if d.centre and d.forward is None], ids=lambda d: d.name)
def test_what_numpy_refuses_is_refused_alike_under_jit(d: Definition) -> None:
    """Shapes are known while a function is traced, so the error is raised then, with its own type and text."""
    layer, ours = build(d, 8), nl.numpy.build(d, 8)
    params, state = layer.init()
    refused: list[tuple[int, ...]] = []
    for shape in ((), (2, 7, 3, 3), (1, 8) if layer.layout == "n c ..." else (8, 1)):
        try:
            ours(np.ones(shape, np.float32))
        except nl.NormlabError as theirs:
            with pytest.raises(type(theirs)) as found:
                jax.jit(lambda x: layer(params, state, x))(jnp.ones(shape))
            assert str(found.value) == str(theirs)
            refused.append(shape)
    assert () in refused and (2, 7, 3, 3) in refused


def test_lists_and_numpys_arrays_may_be_parameters() -> None:
    plain = functional.batch_norm(X + jnp.arange(3.0), jnp.full(8, 2.0))
    assert np.array_equal(functional.batch_norm(X + jnp.arange(3.0), [2] * 8), plain)
    assert np.array_equal(functional.batch_norm(X + jnp.arange(3.0), np.full(8, 2.0)), plain)
    layer = nl.jax.LayerNorm(8)
    assert layer(layer.init()[0], {}, np.ones((2, 8), np.float32))[0].dtype == jnp.float32
