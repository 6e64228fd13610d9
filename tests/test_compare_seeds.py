"""Several seeds: intervals that are Student's, geometric where factors matter, and counts that are sums."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import pytest

import normlab as nl
from normlab.experiments.intervals import arithmetic, geometric, merge, student_t

SETTINGS: dict[str, Any] = {"layers": 3, "width": 16, "batch": 40}


@pytest.mark.parametrize("freedom", [1, 2, 4, 19, 30, 99, 999])
def test_the_quantile_of_student_s_t_agrees_with_mpmath(freedom: int) -> None:
    t = student_t(freedom)
    v = mpmath.mpf(freedom)
    beyond = mpmath.betainc(v / 2, 0.5, 0, v / (v + t * t), regularized=True)
    assert float(beyond) == pytest.approx(0.05, rel=1e-9)


def test_an_interval_is_the_textbook_s() -> None:
    found = arithmetic([1.0, 2.0, 3.0, 4.0])
    half = 3.182446305284263 * math.sqrt(5 / 3) / 2  # t of 3 degrees, the standard error of four values
    assert found["mean"] == 2.5
    assert (found["low"], found["high"]) == pytest.approx((2.5 - half, 2.5 + half), rel=1e-12)


def test_a_geometric_interval_is_the_logarithms() -> None:
    found = geometric([0.1, 0.1, 10.0])
    logs = arithmetic([math.log(0.1), math.log(0.1), math.log(10)])
    assert found == {key: math.exp(value) for key, value in logs.items() if value is not None}
    assert found["mean"] == pytest.approx(10 ** (-1 / 3))
    assert geometric([1e-200, 1e200])["high"] is None  # no float holds it
    assert geometric([0.0, 2.0]) == {"mean": 0.0, "low": 0.0, "high": 2.0}


def test_every_measured_number_becomes_an_interval_and_every_count_a_sum() -> None:
    together = nl.compare(["none", "bn"], seeds=3, seed=5, **SETTINGS).to_dict()
    alone = [nl.compare(["none", "bn"], seed=5 + k, **SETTINGS).to_dict() for k in range(3)]
    assert together["seeds"] == [5, 6, 7]
    for which, arm in enumerate(together["arms"]):
        singles = [document["arms"][which] for document in alone]
        assert arm["first_over_last"] == geometric([s["first_over_last"] for s in singles])
        assert arm["gain"]["measured"] == geometric([s["gain"]["measured"] for s in singles])
        assert arm["gain"]["predicted"] == singles[0]["gain"]["predicted"]
        assert arm["sample"] == singles[0]["sample"]
        for k, layer in enumerate(arm["layers"]):
            parts = [s["layers"][k] for s in singles]
            for key in ("mean", "var", "signal_var", "offset_var", "saturated", "slope"):
                assert layer[key] == arithmetic([p[key] for p in parts]), key
            assert layer["grad_norm"] == geometric([p["grad_norm"] for p in parts])
            assert layer["pre"]["var"] == arithmetic([p["pre"]["var"] for p in parts])
            assert layer["layer"] == k + 1 and layer["nonfinite"] == 0
            assert sum(layer["histogram"]["counts"]) == 3 * 40 * 16
            assert layer["histogram"]["edges"] == parts[0]["histogram"]["edges"]


def test_a_seed_beside_others_has_the_numbers_that_it_has_alone() -> None:
    pairs = [nl.compare("bn", seeds=2, seed=s, **SETTINGS).to_dict()["arms"][0]["layers"][0]["var"] for s in (0, 1)]
    alone = [nl.compare("bn", seed=s, **SETTINGS).to_dict()["arms"][0]["layers"][0]["var"] for s in (0, 1, 2)]
    assert pairs == [arithmetic(alone[:2]), arithmetic(alone[1:])]


def test_what_one_seed_could_not_measure_is_null() -> None:
    one = nl.compare("none", **SETTINGS).to_dict()["arms"][0]
    broken = nl.compare("none", seed=1, **SETTINGS).to_dict()["arms"][0]
    broken["layers"][0]["var"], broken["first_over_last"], broken["layers"][0]["nonfinite"] = None, None, 7
    merged = merge([{k: arm[k] for k in ("layers", "gain", "first_over_last", "sample")} for arm in (one, broken)])
    assert merged["layers"][0]["var"] is None and merged["first_over_last"] is None
    assert merged["layers"][0]["nonfinite"] == 7 and merged["layers"][1]["var"] is not None


def test_the_note_s_presets_take_other_seeds_from_the_legacy_generator() -> None:
    import numpy as np

    rng = np.random.RandomState(4)
    x, w, b = rng.rand(100, 20), rng.randn(20, 64), rng.randn(64)
    layer = nl.compare("none", preset="note-1", seed=4).to_dict()["arms"][0]["layers"][0]
    assert layer["mean"] == pytest.approx(np.mean(1 / (1 + np.exp(-(x @ w + b)))), abs=1e-15)
