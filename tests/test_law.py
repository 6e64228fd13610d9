"""The law of the gradient's gain: its figures, what it covers, and nets that were measured."""

from __future__ import annotations

import math
import statistics
from typing import Any

import mpmath
import pytest

import normlab as nl
from normlab.experiments import law

ARMS = ["none", "bn", "ln", "rms", "whole_norm"]
# activation, init, the note's predicted gains without, with batch norm, with layer, RMS or whole norm
NINE = [
    ("sigmoid", "xavier", 0.2361, 1.0167, 0.3909),
    ("tanh", "xavier", 0.9997, 1.0853, 1.0853),
    ("relu", "he", 1.0, 1.2112, 1.0),
]


def gains(arms: list[str], **settings: Any) -> dict[str, dict[str, float]]:
    """Each arm's gain, measured and predicted, by label."""
    return {arm["label"]: arm["gain"] for arm in nl.compare(arms, **settings).to_dict()["arms"]}


@pytest.mark.parametrize(("activation", "init", "none", "batch", "layer"), NINE, ids=[row[0] for row in NINE])
def test_the_nine_gains_are_predicted_and_measured(
    activation: str, init: str, none: float, batch: float, layer: float
) -> None:
    expected = {"none": none, "bn": batch, "ln": layer, "rms": layer, "whole": layer}
    runs = [
        gains(ARMS, activation=activation, init=init, layers=20, batch=500, cotangents=4, seed=seed)
        for seed in range(5)
    ]
    for label, gain in expected.items():
        assert runs[0][label]["predicted"] == pytest.approx(gain, abs=6e-5), label
        measured = [run[label]["measured"] for run in runs]
        assert measured[0] == pytest.approx(gain, rel=0.06), label
        assert statistics.median(measured) == pytest.approx(gain, rel=0.04), label


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "gelu", "selu", "identity"])
def test_the_quadrature_agrees_with_mpmath(activation: str) -> None:
    scale, alpha = mpmath.mpf("1.0507009873554805"), mpmath.mpf("1.6732632423543772")
    functions = {
        "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
        "tanh": mpmath.tanh,
        "relu": lambda z: max(z, 0),
        "gelu": lambda z: z * mpmath.ncdf(z),
        "selu": lambda z: scale * z if z > 0 else scale * alpha * mpmath.expm1(z),
        "identity": lambda z: z,
    }
    phi = functions[activation]
    # Derivatives at the kink 0 have weight zero; next to it one-sided differences do.
    for wide in (1.0, 30.0):
        cuts = [-12, -1, -1 / wide, 0, 1 / wide, 1, 12]
        mean = mpmath.quad(lambda z, w=wide: phi(w * z) * mpmath.npdf(z), cuts)
        square = mpmath.quad(lambda z, w=wide: phi(w * z) ** 2 * mpmath.npdf(z), cuts)
        slope = mpmath.quad(lambda z, w=wide: mpmath.diff(phi, w * z, h=mpmath.mpf("1e-8")) ** 2 * mpmath.npdf(z), cuts)
        found = law.moments(activation, wide)
        assert found[:2] == pytest.approx((float(mean), float(square)), rel=1e-12, abs=1e-12)
        assert found[2] == pytest.approx(float(slope), rel=1e-5)


def test_selu_s_fixed_point_is_mean_0_and_variance_1() -> None:
    assert law.moments("selu")[:2] == pytest.approx((0, 1), abs=1e-14)


@pytest.mark.parametrize(
    ("activation", "init"), [("relu", "xavier"), ("gelu", "he"), ("identity", 0.2), ("tanh", 1.0), ("sigmoid", 1.0)]
)
def test_without_normalization_any_scale_is_predicted(activation: str, init: Any) -> None:
    found = [
        gains(["none"], activation=activation, init=init, layers=20, batch=500, cotangents=4, seed=seed)["none"]
        for seed in range(3)
    ]
    measured = statistics.median(gain["measured"] for gain in found)
    assert measured == pytest.approx(found[0]["predicted"], rel=0.06)


def test_weights_that_are_normalized_are_predicted_by_their_scale() -> None:
    found = gains(["wn:start=one", "sn"], layers=20, batch=500)
    for gain in found.values():
        assert gain["measured"] == pytest.approx(gain["predicted"], rel=0.06)


@pytest.mark.parametrize(
    ("arm", "settings", "covered"),
    [
        ("gn:groups=4", {}, True),  # 25 units a set
        ("gn:groups=4", {"preset": "note-5"}, True),  # 16
        ("gn:groups=10", {}, False),  # 10
        ("n (g [c]) [...]:g=4", {}, True),
        ("(k [n]) c [...]:k=10", {"batch": 200}, True),  # ghost batches of 20
        ("(k [n]) c [...]:k=20", {"batch": 200}, False),  # of 10
        ("bn", {"batch": 4}, False),
        ("ln", {"batch": 4}, True),
        ("bn", {"place": "after"}, False),
        ("bn", {"net": "conv"}, False),
        ("bn", {"layers": 1}, False),
        ("bn:eps=0.1", {}, False),  # more than twice the variance that comes in
        ("bn", {"bias": True}, True),
        ("ln", {"bias": True, "init": 1.0}, True),
        ("none", {"bias": True}, False),
        ("lrn", {}, False),
        ("unit_norm", {}, False),
        ("selu", {}, True),
        ("adrop", {}, False),
        ("wn:start=data", {}, False),
    ],
)
def test_it_predicts_where_it_covers_the_arm(arm: str, settings: dict[str, Any], covered: bool) -> None:
    (gain,) = gains([arm], **{"layers": 2, "batch": 64, **settings}).values()
    assert (gain["predicted"] is not None) == covered


def test_a_line_of_notation_and_the_method_it_spells_have_one_law() -> None:
    found = gains(["gn:groups=4", "n (g [c]) [...]:g=4"], layers=2, batch=64)
    assert len({gain["predicted"] for gain in found.values()}) == 1


def test_a_dying_net_and_an_exploding_one_end_the_iteration() -> None:
    assert law.free_gain("sigmoid", 1e-30) == pytest.approx(math.sqrt(1e-30) / 4, rel=1e-6)
    assert law.free_gain("identity", 1e30) == pytest.approx(1.0)
