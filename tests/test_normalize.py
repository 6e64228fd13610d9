"""`nl.normalize`: every spread, centring and eps rule against the plain formula, weights of any axes, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normlab as nl
from comparing import compare
from normlab.errors import UsageError


@pytest.mark.parametrize("spread", ["std", "rms", "mean_abs", "l1", "l2", "max", None])
@pytest.mark.parametrize("centre", [True, False], ids=["centred", "not_centred"])
@pytest.mark.parametrize("eps_rule", ["inside", "outside", "floor"])
def test_normalize_is_the_plain_formula(spread: str | None, centre: bool, eps_rule: str) -> None:
    x = np.random.default_rng(3).standard_normal((4, 6, 3)) + 0.5
    weight, bias = np.random.default_rng(4).standard_normal((2, 6))
    for eps in (0.0, 1e-5, 0.7):
        groups = x.reshape(4, 2, 3, 3)
        mean = groups.mean((2, 3), keepdims=True)
        top = groups - mean if centre else groups
        below = top - mean if spread == "std" and not centre else top
        root = {
            "std": lambda b: np.sqrt((b**2).mean((2, 3), keepdims=True)),
            "rms": lambda b: np.sqrt((b**2).mean((2, 3), keepdims=True)),
            "mean_abs": lambda b: np.abs(b).mean((2, 3), keepdims=True),
            "l1": lambda b: np.abs(b).sum((2, 3), keepdims=True),
            "l2": lambda b: np.sqrt((b**2).sum((2, 3), keepdims=True)),
            "max": lambda b: np.abs(b).max((2, 3), keepdims=True),
        }[spread or "std"](below)
        divisor = {
            "inside": np.sqrt(root**2 + eps), "outside": root + eps, "floor": np.maximum(root, eps),
        }[eps_rule]  # fmt: skip
        wanted = (top / (divisor if spread else 1.0)).reshape(4, 6, 3) * weight[:, None] + bias[:, None]
        got = nl.normalize(
            x, "n (g [c]) [...]", g=2, centre=centre, spread=spread, eps=eps, eps_rule=eps_rule,
            weight=weight, bias=bias, affine="(g c)",
        )  # fmt: skip
        compare(got, wanted, "identity", f"eps={eps}")
        compare(nl.normalize(x, "n (g [c]) [...]", g=2, centre=centre, spread=spread, eps=eps, eps_rule=eps_rule,
                             weight=weight, bias=bias), wanted, "identity")  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spread": "var"}, "unknown spread 'var'"),
        ({"eps_rule": "insde"}, "Did you mean inside"),
        ({"eps": -1}, "eps must be a finite number of at least 0, got -1"),
        ({"eps": float("nan")}, "got nan"),
        ({"eps": "1"}, "got '1'"),
        ({"eps": True}, "got True"),
        ({"eps": np.ones(2)}, "got array"),
        ({"eps": 10**400}, "eps must be"),
        ({"weight": np.ones(5)}, r"weight must have the shape \(6,\) of affine='\(g c\)', got \(5,\)"),
        ({"bias": np.ones((6, 1))}, r"bias must have the shape \(6,\)"),
        ({"weight": np.ones(6), "affine": "d"}, "names 'd'"),
        ({"weight": np.ones(6) * 1j}, "weight must hold real numbers, got elements of complex128"),
        ({"weight": [[1], [2, 3]]}, "nested lists of unequal lengths"),
        ({"g": 4}, "g=4 does not divide"),
        ({"h": 4}, "has no axis 'h'"),
    ],
)
def test_normalize_refuses_what_it_cannot_use(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        nl.normalize(np.ones((4, 6, 3)), "n (g [c]) [...]", **{"g": 2, **arguments})


def test_normalize_takes_weights_of_any_axes() -> None:
    x = np.random.default_rng(0).standard_normal((4, 6, 3))
    plain = nl.normalize(x, "n c [...]")
    for affine, shape in (("", ()), ("n", (4, 1, 1)), ("n c", (4, 6, 1)), ("...", (1, 1, 3)), ("n c ...", (4, 6, 3))):
        w = np.random.default_rng(1).standard_normal(shape)
        own = w.reshape([s for s in shape if s > 1])
        compare(nl.normalize(x, "n c [...]", weight=own, affine=affine), plain * w, "identity", affine)
    with pytest.raises(UsageError, match="names no axis c"):
        nl.normalize(x, "n [d ...]", weight=np.ones(6))
