"""The numbered cases about what a word means: variance, momentum, eps, the place of the cast."""

from __future__ import annotations

import numpy as np
import pytest

from accurate import METHODS
from comparing import compare, same_bytes
from long_references import long_reference
from normlab import functional
from normlab import numpy as face
from normlab.errors import ShapeError


def test_case_17_the_running_variance_is_unbiased_unless_told() -> None:
    """Biased or not; with one value per channel n/(n-1) is infinite (pytorch#1410): here that is a set of one."""
    x = np.random.default_rng(0).standard_normal((4, 3))
    for biased, ddof in ((True, 0), (False, 1)):
        layer = face.BatchNorm(3, momentum=1.0, running_var_biased=biased)
        layer(x)
        compare(layer.state["running_var"], x.var(0, ddof=ddof), "identity")
    layer = face.BatchNorm(3)
    with pytest.raises(ShapeError, match="1 element in each set"):
        layer(x[:1])
    assert np.array_equal(layer.state["running_var"], np.ones(3))


def test_case_18_momentum_is_the_weight_of_the_new_value() -> None:
    """Elsewhere it weighs the old one: off by 1 - m."""
    layer = face.BatchNorm(1, momentum=0.1)
    layer(np.array([[9.0], [11.0]]))
    compare(layer.state["running_mean"], np.array([1.0]), "identity")
    compare(layer.state["running_var"], np.array([0.9 + 0.1 * 2.0]), "identity")


def test_case_28_instance_norm_with_running_statistics_is_batch_norm_in_evaluation() -> None:
    """Elsewhere the two disagree (pytorch#58843)."""
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    held = {"running_mean": np.arange(4.0), "running_var": np.arange(1.0, 5.0)}
    same_bytes(functional.instance_norm(x, **held, training=False), functional.batch_norm(x, **held, training=False))


def test_case_29_the_default_eps_is_the_same_for_every_dtype() -> None:
    """Elsewhere eps=None means finfo(dtype).eps: the same model drifts silently from one dtype to the other."""
    for d in METHODS:
        if d.eps is not None:
            assert {face.build(d, 8, dtype=t).eps for t in ("float16", "float32", "float64")} == {d.eps}
    x = np.array([[3e-3, -4e-3]])
    wanted = x / np.sqrt(1.25e-5 + 1e-5)
    for dtype in ("float16", "float32", "float64"):
        y = functional.rms_norm(x.astype(dtype))
        compare(y.astype(np.float64), wanted, "central differences", dtype, scale=1e3 if dtype == "float16" else 1.0)


def test_case_30_the_cast_comes_after_the_weight() -> None:
    """Gemma, Llama and others differ in half precision by casting before or after the weight; ours is rounded once."""
    x = np.random.default_rng(0).standard_normal((50, 64)).astype(np.float16)
    w = (1 + np.random.default_rng(1).standard_normal(64)).astype(np.float16)
    z = long_reference(x, centre=False, spread="rms").z.high
    after = (z * w.astype(np.float64)).astype(np.float16)
    before = z.astype(np.float16) * w
    y = functional.rms_norm(x, w)
    same_bytes(y, after)
    assert not np.array_equal(before, after)
