"""The network under every arm: gradients against central differences, convolutions against a plain loop, stacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import normlab as nl
from normlab.experiments.arms import read_arms
from normlab.experiments.draws import draw, load
from normlab.experiments.measure import measure
from normlab.experiments.network import Conv, forward, gradient_norms, gradients
from normlab.experiments.settings import Settings

STEP = 1e-5  # the cube root of float64's eps: rounding and curvature err by about 1e-10


def prepare(method: str, **given: Any) -> tuple[Any, Settings, Any, Any]:
    """One arm, its settings, draws and inputs."""
    settings = Settings.read(None, {"layers": 3, "width": 8, "batch": 12, **given})
    (arm,) = read_arms([method], settings.rules)
    draws = draw(settings, load(settings.data), 3)
    x = np.moveaxis(draws.x, 1, -1).copy() if settings.is_conv else draws.x
    return arm, settings, draws, x


@pytest.mark.parametrize("net", ["dense", "conv"])
@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("none", {}),
        ("none", {"activation": "tanh", "bias": True}),
        ("none", {"activation": "gelu"}),
        ("none", {"activation": "selu", "init": "glorot"}),
        ("bn", {}),
        ("bn", {"place": "after"}),
        ("ln", {"bias": True}),
        ("gn:groups=2", {}),
        ("whole_norm", {"activation": "gelu"}),
        ("rms", {}),
        ("unit_norm", {"activation": "tanh"}),
        ("lrn:k=2,alpha=1", {}),
        ("selu", {}),
        ("adrop", {}),
    ],
    ids=str,
)
def test_the_whole_network_s_gradients_agree_with_central_differences(
    method: str, given: dict[str, Any], net: str
) -> None:
    arm, settings, draws, x = prepare(method, net=net, **given)
    generator = np.random.default_rng(0)
    runs = list(forward(arm, settings, draws, x))
    cotangent = generator.standard_normal(runs[-1].out.shape)
    found = {k: gradient[0] * 2.0**exponent for k, gradient, exponent in gradients(runs, cotangent[None].copy())}
    assert sorted(found) == [0, 1, 2]
    for k, drawn in enumerate(draws.weights):
        direction = generator.standard_normal(drawn.shape)
        scale = np.linalg.norm(runs[k].w) / np.linalg.norm(drawn)  # what the initialization multiplies with

        def loss(at: float, k: int = k, direction: Any = direction) -> float:
            weights = list(draws.weights)
            weights[k] = weights[k] + at * direction
            *_, last = forward(arm, settings, replace(draws, weights=tuple(weights)), x)
            return float(np.vdot(last.out, cotangent))

        expected = (loss(STEP) - loss(-STEP)) / (2 * STEP)
        flat = direction if net == "dense" else np.moveaxis(direction, (2, 3, 1, 0), (0, 1, 2, 3))
        along = float(np.vdot(found[k], flat.reshape(found[k].shape))) * scale
        size = np.linalg.norm(found[k]) * scale * np.linalg.norm(direction) / np.sqrt(direction.size)
        assert abs(along - expected) <= 1e-6 * max(size, abs(expected)), k


def test_a_weight_method_s_gradient_is_that_of_the_weights_that_multiply() -> None:
    arm, settings, draws, x = prepare("wn:start=one")
    runs = list(forward(arm, settings, draws, x))
    made = replace(draws, weights=tuple(run.w for run in runs))
    plain, unit, *_ = prepare("none", init=1.0)
    again = list(forward(plain, unit, made, x))
    cotangents = np.random.default_rng(0).standard_normal((2, *runs[-1].out.shape))
    first, second = (gradient_norms(r, [cotangents.copy()])[0] for r in (runs, again))
    assert first == pytest.approx(second, rel=1e-13)


def test_a_convolution_is_the_plain_sum_over_its_window() -> None:
    generator = np.random.default_rng(0)
    x, w = generator.standard_normal((2, 8, 8, 3)), generator.standard_normal((5, 3, 3, 3))
    expected = np.zeros((2, 8, 8, 5))
    for n, i, j, o in np.ndindex(2, 8, 8, 5):
        for a, b in np.ndindex(3, 3):
            if 0 <= i + a - 1 < 8 and 0 <= j + b - 1 < 8:
                expected[n, i, j, o] += x[n, i + a - 1, j + b - 1] @ w[o, :, a, b]
    np.testing.assert_allclose(Conv(w).forward(x), expected, atol=1e-13)


@pytest.mark.parametrize("net", ["dense", "conv"])
@pytest.mark.parametrize("method", ["none", "bn", "lrn", "selu", "adrop", "wn"])
def test_a_stack_of_cotangents_is_the_cotangents_one_by_one(method: str, net: str) -> None:
    arm, settings, draws, x = prepare(method, net=net)
    runs = list(forward(arm, settings, draws, x))
    stack = np.random.default_rng(0).standard_normal((3, *runs[-1].out.shape))
    together, _ = gradient_norms(runs, [stack.copy()])
    apart, _ = gradient_norms(runs, [one[None].copy() for one in stack])
    assert together == pytest.approx(apart, rel=1e-12)


def test_how_the_cotangents_are_cut_into_stacks_changes_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, draws, _ = prepare("none")
    whole = np.concatenate(list(draws.cotangents(7, (12, 8))))
    monkeypatch.setattr("normlab.experiments.draws.PART_VALUES", 200)
    parts = list(draws.cotangents(7, (12, 8)))
    assert [len(p) for p in parts] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_classifier_s_gradient_is_that_of_its_mean_cross_entropy() -> None:
    arm, settings, draws, x = prepare("bn", top="loss", data="digits", batch=30)
    norms = [layer["grad_norm"] for layer in measure(arm, settings, draws)["layers"]]
    head = draws.head(8)

    def loss(weights: list[Any]) -> float:
        *_, last = forward(arm, settings, replace(draws, weights=tuple(weights)), x)
        logits = last.out @ head
        logits = logits - logits.max(axis=1, keepdims=True)
        log_share = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return float(-log_share[np.arange(30), draws.labels].mean())

    drawn = draws.weights[2]
    scale = np.sqrt(len(drawn))  # d/dw = d/d(drawn) times this under Xavier
    numeric = np.zeros_like(drawn)
    for at in np.ndindex(*drawn.shape):
        for sign in (1, -1):
            moved = drawn.copy()
            moved[at] += sign * STEP
            numeric[at] += sign * loss([*draws.weights[:2], moved]) / (2 * STEP)
    assert norms[2] == pytest.approx(np.linalg.norm(numeric) * scale, rel=1e-6)


def test_float32_measures_gradients_far_below_its_own_range() -> None:
    single, double = (
        nl.compare("unit_norm", layers=24, batch=64, dtype=dtype, cotangents=2).to_dict()["arms"][0]
        for dtype in ("float32", "float64")
    )
    assert double["first_over_last"] < 1e-28  # its square is no float32
    assert single["first_over_last"] == pytest.approx(double["first_over_last"], rel=1e-3)


def test_saturated_counts_the_flat_part_of_the_slopes() -> None:
    sigmoid = nl.compare("none", preset="note-1").to_dict()["arms"][0]["layers"][0]
    rng = np.random.RandomState(0)
    x, w, b = rng.rand(100, 20), rng.randn(20, 64), rng.randn(64)
    a = 1 / (1 + np.exp(-(x @ w + b)))
    assert sigmoid["saturated"] == np.mean(a * (1 - a) < 0.19 * 0.25)
    relu = nl.compare("none", activation="relu", preset="note-1").to_dict()["arms"][0]["layers"][0]
    assert relu["saturated"] == np.mean(x @ w + b <= 0)
    assert nl.compare("none", activation="identity", layers=1).to_dict()["arms"][0]["layers"][0]["saturated"] == 0


def test_the_histogram_counts_what_numpy_counts() -> None:
    rng = np.random.RandomState(0)
    x, w, b = rng.rand(100, 20), rng.randn(20, 64), rng.randn(64)
    for activation, function in (("sigmoid", lambda z: 1 / (1 + np.exp(-z))), ("identity", lambda z: z)):
        found = nl.compare("none", activation=activation, preset="note-1").to_dict()["arms"][0]["layers"][0][
            "histogram"
        ]
        values = function(x @ w + b)
        counts, _ = np.histogram(values, bins=found["edges"])
        assert found["counts"] == counts.tolist()
        assert (found["below"], found["above"]) == (
            (values < found["edges"][0]).sum(),
            (values > found["edges"][-1]).sum(),
        )
