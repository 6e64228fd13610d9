"""The numbered cases about what a word means: variance, momentum, eps, the place of the cast."""

from __future__ import annotations

import numpy as np
import pytest

import normlab as nl
from accurate import METHODS, on_layer
from comparing import compare, same_bytes
from faces import Face
from long_references import long_reference
from normlab import numpy as face
from normlab.errors import ShapeError

BATCH = nl.method("batch_norm")


def test_case_17_the_running_variance_is_unbiased_unless_told(every_face: Face) -> None:
    """Biased or not; with one value per channel n/(n-1) is infinite (pytorch#1410): here that is a set of one."""
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    for biased, ddof in ((True, 0), (False, 1)):
        done = on_layer(every_face, BATCH, x, options={"momentum": 1.0, "running_var_biased": biased})
        compare(done.state["running_var"], x.astype(float).var(0, ddof=ddof), "identity")
    with pytest.raises(ShapeError, match="1 element in each set"):
        on_layer(every_face, BATCH, x[:1])


def test_case_18_momentum_is_the_weight_of_the_new_value(every_face: Face) -> None:
    """Elsewhere it weighs the old one: off by 1 - m."""
    done = on_layer(every_face, BATCH, np.array([[9.0], [11.0]], np.float32), options={"momentum": 0.1})
    compare(done.state["running_mean"], np.array([1.0]), "identity")
    compare(done.state["running_var"], np.array([0.9 + 0.1 * 2.0]), "identity")


def test_case_28_instance_norm_with_running_statistics_is_batch_norm_in_evaluation(every_face: Face) -> None:
    """Elsewhere the two disagree (pytorch#58843)."""
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    held = {"running_mean": np.arange(4.0, dtype=np.float32), "running_var": np.arange(1.0, 5.0, dtype=np.float32)}
    same_bytes(*(every_face.call(name, x, **held, training=False) for name in ("instance_norm", "batch_norm")))


def test_case_29_the_default_eps_is_the_same_for_every_dtype(every_face: Face) -> None:
    """Elsewhere eps=None means finfo(dtype).eps: the same model drifts silently from one dtype to the other."""
    for d in METHODS:
        if d.eps is not None:
            assert {face.build(d, 8, dtype=t).eps for t in ("float16", "float32", "float64")} == {d.eps}
    x = np.array([[3e-3, -4e-3]])
    wanted = x / np.sqrt(1.25e-5 + 1e-5)
    for dtype in ("float16", "float32", "float64"):
        y = every_face.call("rms_norm", x.astype(dtype))
        # What 3e-3 is rounded to is off by half a unit, and so is the result.
        compare(y, wanted, "half" if dtype == "float16" else "forward", dtype)


def test_case_30_the_cast_comes_after_the_weight(every_face: Face) -> None:
    """Gemma, Llama and others differ in half precision by casting before or after the weight; ours is rounded once.

    A face that computes in float32 may round the other way where the true value lies within its 3 units of the middle
    between two halves: 3 / 4096 of all elements.
    """
    x = np.random.default_rng(0).standard_normal((50, 64)).astype(np.float16)
    w = (1 + np.random.default_rng(1).standard_normal(64)).astype(np.float16)
    z = long_reference(x, centre=False, spread="rms").z.high
    after = (z * w.astype(np.float64)).astype(np.float16)
    before = z.astype(np.float16) * w
    y = every_face.call("rms_norm", x, w)
    assert np.mean(y != after) <= (0 if every_face.name == "numpy" else 3 / 4096)
    assert np.mean(before != after) > 0.1
