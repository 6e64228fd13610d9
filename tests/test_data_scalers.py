"""The scalers: each against its formula written out, on columns that break careless code."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normlab as nl
from normlab.data.scalers import POOL, SCALERS, choose_pool, learn
from normlab.errors import UnknownNameError, UsageError

ULP = np.finfo(np.float64).eps
RNG = np.random.default_rng(0)
SKEWED = np.exp(RNG.standard_normal(101)) - 0.5


def _hampel_moments(x: np.ndarray) -> tuple[float, float]:
    """Mean and deviation of Hampel's influence function, value by value."""
    u = x - np.median(x)
    a, b, c = np.quantile(np.abs(u), [0.70, 0.85, 0.95])
    out = []
    for v in u:
        size, sign = abs(v), np.sign(v)
        if size <= a:
            out.append(v)
        elif size <= b:
            out.append(a * sign)
        elif size <= c:
            out.append(a * sign * (c - size) / (c - b))
        else:
            out.append(0.0)
    return float(np.median(x) + np.mean(out)), float(np.std(out))


def by_formula(name: str, x: np.ndarray) -> np.ndarray:
    m, s = x.mean(), x.std()
    z, low, high = (x - m) / s, x.min(), x.max()
    m_h, s_h = _hampel_moments(x)
    formulas = {
        "none": x,
        "centred": x - m,
        "z_score": z,
        "pareto": (x - m) / np.sqrt(s),
        "variable_stability": z * m / s,
        "power": np.sqrt(x - low) - np.sqrt(x - low).mean(),
        "min_max": (x - low) / (high - low),
        "max": x / np.abs(x).max(),
        "decimal": x / 10.0 ** np.ceil(np.log10(np.abs(x).max())),
        "median_mad": (x - np.median(x)) / np.median(np.abs(x - np.median(x))),
        "tanh": 0.5 * (np.tanh(0.01 * (x - m_h) / s_h) + 1),
        "tanh_variant": 0.5 * (np.tanh(0.01 * z) + 1),
        "sigmoid": (1 - np.exp(-z)) / (1 + np.exp(-z)),
        "logistic": 1 / (1 + np.exp(-z)),
        "min_max_signed": 2 * (x - low) / (high - low) - 1,
    }
    return np.asarray(formulas[name])


@pytest.mark.parametrize("name", SCALERS)
def test_a_scaler_is_its_formula(name: str) -> None:
    # a dozen operations of half an ulp each, on values of order ten
    np.testing.assert_allclose(learn(name, SKEWED)(SKEWED), by_formula(name, SKEWED), rtol=0, atol=64 * ULP)


def test_a_scaler_by_hand() -> None:
    x = np.array([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])  # mean 5, deviation 2, median 4.5, MAD 0.5
    new = np.array([9.0, 1.0])
    by_hand = {
        "none": [9, 1],
        "centred": [4, -4],
        "z_score": [2, -2],
        "pareto": [4 / 2**0.5, -4 / 2**0.5],
        "variable_stability": [5, -5],
        "min_max": [1, -1 / 7],
        "max": [1, 1 / 9],
        "decimal": [0.9, 0.1],
        "median_mad": [9, -7],
        "min_max_signed": [1, -9 / 7],
    }
    for name, expected in by_hand.items():
        np.testing.assert_allclose(learn(name, x)(new), expected, rtol=4 * ULP, err_msg=name)


def test_the_power_goes_on_below_the_minimum() -> None:
    power = learn("power", np.array([1.0, 2.0, 5.0, 10.0]))  # roots 0, 1, 2, 3: mean 1.5
    assert power(np.array([-3.0, 1.0, 5.0])).tolist() == [-3.5, -1.5, 0.5]


@pytest.mark.parametrize(
    ("largest", "divisor"),
    [(1.0, 1.0), (0.1, 0.1), (10.0, 10.0), (1e3, 1e3), (999.0, 1e3), (1001.0, 1e4), (3e-7, 1e-6), (2e300, 1e301)],
)
def test_the_decimal_divisor_is_the_least_power_of_ten(largest: float, divisor: float) -> None:
    assert learn("decimal", np.array([0.0, -largest])).scale == pytest.approx(divisor, rel=ULP)


@pytest.mark.parametrize("exponent", range(-30, 31))
def test_a_power_of_ten_is_its_own_divisor(exponent: int) -> None:
    assert learn("decimal", np.array([10.0**exponent])).scale == 10.0**exponent


@pytest.mark.parametrize("name", SCALERS)
@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, 1000.1, -3.0, 1e-300, 1e300, 5e-324])
def test_a_constant_column_becomes_a_constant(name: str, value: float) -> None:
    x = np.full(37, value)  # 37: sums of 0.1 and 1000.1 are rounded
    scaled = learn(name, x)(x)
    assert np.all(np.isfinite(scaled))
    assert np.all(scaled == scaled[0])
    if name in ("centred", "z_score", "pareto", "variable_stability", "power", "min_max", "median_mad", "sigmoid"):
        assert scaled[0] == 0.0


@pytest.mark.parametrize("name", SCALERS)
def test_a_column_far_from_zero_keeps_its_digits(name: str) -> None:
    x = 1e9 + np.arange(16.0) ** 1.5  # spread about 20, so a deviation of x is known to 1e-8
    scaler = learn(name, x)
    np.testing.assert_allclose(scaler(x), by_formula(name, x), rtol=1e-7, atol=1e-7)
    if name in ("tanh", "tanh_variant", "sigmoid", "logistic"):
        assert len(np.unique(scaler(x))) == 16  # not saturated


EIGHTHS = st.integers(-(10**6), 10**6).map(lambda whole: whole / 8)  # spreads that no quotient overflows


@settings(deadline=None)
@given(
    st.sampled_from(SCALERS),
    st.lists(EIGHTHS, min_size=1, max_size=40),
    st.lists(EIGHTHS, min_size=1, max_size=40),
)
def test_one_value_is_scaled_as_among_many_and_the_order_is_kept(
    name: str, train: list[float], rows: list[float]
) -> None:
    scaler, x = learn(name, np.array(train)), np.sort(np.array(rows))
    among = scaler(x)
    assert [float(scaler(x[i : i + 1])[0]) for i in range(len(x))] == among.tolist()
    assert np.array_equal(scaler(np.stack([x, x], axis=1)[:, 0]), among)  # strided input, the same bytes
    assert np.all(np.isfinite(among))
    direction = -1.0 if name == "variable_stability" and scaler.gain < 0 else 1.0
    assert np.all(np.diff(direction * among) >= -ULP)  # a library's tanh need not be monotone to the last bit


@pytest.mark.parametrize("name", SCALERS)
def test_float32_is_scaled_in_float64_and_the_input_is_left_alone(name: str) -> None:
    x = SKEWED.astype(np.float32)
    kept = x.copy()
    np.testing.assert_array_equal(learn(name, x)(x), learn(name, x.astype(float))(x.astype(float)))
    np.testing.assert_array_equal(x, kept)


def test_a_scaler_is_a_frozen_value_that_pickles() -> None:
    scaler = learn("tanh", SKEWED)
    assert pickle.loads(pickle.dumps(scaler)) == scaler
    with pytest.raises(dataclasses.FrozenInstanceError):
        scaler.shift = 0.0  # type: ignore[misc]


def test_the_pool_is_the_papers_and_the_definition_names_the_same_scalers() -> None:
    assert len(POOL) == 13
    assert set(SCALERS) - set(POOL) == {"logistic", "min_max_signed"}
    pool = next(option for option in nl.method("feature_wise").options if option.name == "pool")
    assert pool.constraint.values == ("all", *SCALERS)


def test_the_worked_case_of_the_definition() -> None:
    worked = nl.method("feature_wise").worked
    x, y = np.array(worked.x), np.array(worked.y)
    for column, name in enumerate(["z_score", "min_max"]):
        np.testing.assert_array_equal(learn(name, x[:, column])(x[:, column]), y[:, column])


def test_a_pool_is_all_one_or_several_names() -> None:
    assert choose_pool("all") == POOL
    assert choose_pool("max") == ("max",)
    assert choose_pool(name for name in ("power", "max", "power")) == ("power", "max")
    with pytest.raises(UnknownNameError, match=r"unknown scaler 'zscore'\. Did you mean z_score"):
        choose_pool(["none", "zscore"])
    with pytest.raises(UnknownNameError, match="unknown scaler 'minmax'"):
        learn("minmax", SKEWED)
    with pytest.raises(UsageError, match="at least one scaler is required, got none"):
        choose_pool([])
    with pytest.raises(UsageError, match="pool must be"):
        choose_pool(7)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown scaler '3'"):
        choose_pool(["none", 3])  # type: ignore[list-item]
