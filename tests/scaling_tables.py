"""Invented tables on which input scalers are tested."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import make_classification, make_regression

FEW = ("none", "z_score", "min_max", "tanh")
Table = tuple[np.ndarray, np.ndarray]


def clouds(rows: int = 90, features: int = 4, seed: int = 0) -> Table:
    """Two classes; columns in units from 1e-2 to 1e3, so that plain distances see one column only."""
    x, y = make_classification(rows, features, n_informative=2, n_redundant=0, random_state=seed)
    return x * np.logspace(-2, 3, features), y


def slopes(rows: int = 90, features: int = 4, seed: int = 0) -> Table:
    """Real values to predict; columns in units from 1e-2 to 1e3."""
    x, y = make_regression(rows, features, noise=1.0, random_state=seed)
    return x * np.logspace(-2, 3, features), y


def long_tails(rows: int = 400, seed: int = 0) -> Table:
    """A long-tailed column and one with absurd values, which both tell the class, and two columns of noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    x = rng.standard_normal((rows, 4))
    x[:, 0] = np.exp(1.5 * x[:, 0] + 2 * y)
    x[:, 1] += 2 * y
    x[rng.random(rows) < 0.03, 1] = 1000
    x[:, 2:] *= 3
    return x, y
