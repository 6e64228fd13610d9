"""How numbers are written: what a reader can tell from the text must be true of the number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normlab.formatting import MISSING, number, ratio, share

finite = st.floats(-1e300, 1e300)  # the largest float, rounded up to three digits, is no float any more


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (1.0598, "1.06"), (0.32, "0.32"), (9.994, "9.99"), (9.996, "10"), (161.4, "161"), (9999.4, "9999"),
        (9999.6, "1e4"), (0.1, "0.10"), (0.0999, "1/10"), (0.0062, "1/161"), (2.6e-12, "1/4e11"), (0.0, "0"),
        (5e-324, "0"), (-0.05, "-1/20"), (1e300, "1e300"),
    ],
)  # fmt: skip
def test_ratio(x: float, text: str) -> None:
    assert ratio(x) == text


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (1.0, "100.0 %"), (0.99985, "100.0 %"), (0.999, "99.9 %"), (0.0296, "3.0 %"), (0.00996, "1.0 %"),
        (0.0042, "0.42 %"), (0.0006, "0.06 %"), (2.9e-5, "0.003 %"), (9.6e-5, "0.01 %"), (2e-9, "2e-7 %"),
        (0.0, "0 %"), (1e308, "-"),
    ],
)  # fmt: skip
def test_share(x: float, text: str) -> None:
    assert share(x) == text


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.01384, "0.0138"),
        (0.043, "0.0430"), (0.9999, "1.00"), (7.3749, "7.37"), (1234.5, "1234"), (9999.9, "1.00e4"),
        (12345.0, "1.23e4"), (2.13e-6, "2.13e-6"), (0.0009999, "0.00100"), (-0.3217, "-0.322"), (5, "5"), (0.0, "0"),
    ],
)  # fmt: skip
def test_number(x: float, text: str) -> None:
    assert number(x) == text


@pytest.mark.parametrize("write", [ratio, share, number])
@pytest.mark.parametrize("x", [None, math.nan, math.inf, -math.inf])
def test_what_is_missing_or_not_finite_is_one_sign(write: object, x: float | None) -> None:
    assert callable(write) and write(x) == MISSING


@given(finite)
def test_number_is_right_to_its_last_digit(x: float) -> None:
    assert float(number(x)) == pytest.approx(x, rel=5.1e-3, abs=1e-320)


@given(st.floats(1e-300, 1e300))
def test_ratio_is_right_to_its_last_digit(x: float) -> None:
    over, _, under = ratio(x).partition("/")
    assert float(over) / float(under or 1) == pytest.approx(x, rel=0.55)
    if 1e-4 < x < 1e4:
        assert float(over) / float(under or 1) == pytest.approx(x, rel=0.06)


@given(st.floats(0, 1))
def test_share_keeps_its_order_of_magnitude(x: float) -> None:
    text = share(x)
    assert text.endswith(" %")
    assert float(text[:-2]) / 100 == pytest.approx(x, rel=0.55, abs=1e-310)
