"""A scaler for each column against one scaler for all of them, chosen and judged on different rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab.data import load_digits
from normlab.data.scalers import POOL
from normlab.language import N_, both
from normlab.statistics import contrasts

from ..activations import Array
from .claim import Claim, Finding
from .saying import difference, percent

NEIGHBOURS = 5
FOLDS = 3  # inner and outer
PIXELS = 16
WISE, SINGLE, Z_SCORE = "feature_wise", "single", "z_score"
TABLES = ("wine", "breast_cancer", "digits")


def measure(seeds: Sequence[int]) -> list[Finding]:
    """By table and seed, which draws the folds: the mean accuracy over the outer folds, for three ways to scale."""
    return [_compared(judged(*table(name), seeds)) for name in TABLES]


def _compared(found: dict[str, list[float]]) -> Finding:
    # Every interval must hold together with those of the other tables.
    pairs = {c.label: c for c in contrasts(found, against=WISE, level=1 - 0.05 / len(TABLES))}
    said = both(
        N_("accuracy {wise} with a scaler for each column, {single} with the best single one, {z_score} with the "
           "z-score; difference from it of the best single one {less} points, of the z-score {least} (intervals of "
           "the differences corrected for all {comparisons})"),
        wise=percent(found[WISE]), single=percent(found[SINGLE]), z_score=percent(found[Z_SCORE]),
        less=difference(pairs[SINGLE]), least=difference(pairs[Z_SCORE]), comparisons=2 * len(TABLES),
    )  # fmt: skip
    return Finding(all(c.verdict == "worse" for c in pairs.values()), said, {"accuracies": found})


def table(name: str) -> tuple[Array, Array]:
    """Rows and classes. The digits in their most variable pixels, which no label is needed to find."""
    if name == "digits":
        images, classes = load_digits()
        x = images.reshape(len(images), -1).astype(np.float64)
        return x[:, np.sort(np.argsort(-x.var(axis=0), kind="stable")[:PIXELS])], classes.astype(np.int64)
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    return found.data, found.target


def judged(x: Array, y: Array, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Accuracies of the nearest neighbours by way of scaling, one a seed."""
    found: dict[str, list[float]] = {WISE: [], SINGLE: [], Z_SCORE: []}
    for seed in seeds:
        for way, accuracy in _nested(x, y, seed).items():
            found[way].append(accuracy)
    return found


def _nested(x: Array, y: Array, seed: int) -> dict[str, float]:
    from normlab.data.search import Fold, NeighboursJudge, search

    judge, random = NeighboursJudge(NEIGHBOURS, True), np.random.RandomState(seed)
    scores: dict[str, list[float]] = {WISE: [], SINGLE: [], Z_SCORE: []}
    for train, test in _folds(y, random):
        inner = [Fold(x[train], y[train], *rows) for rows in _folds(y[train], random)]
        choices = {
            WISE: search(inner, POOL, judge, 1, random)[0], SINGLE: [_single(inner, judge)] * x.shape[1],
            Z_SCORE: ["z_score"] * x.shape[1],
        }  # fmt: skip
        outer = Fold(x, y, train, test)
        for way, names in choices.items():
            outer.choose_all(names)
            scores[way].append(judge.score(outer))
    return {way: float(np.mean(own)) for way, own in scores.items()}


def _folds(y: Array, random: np.random.RandomState) -> list[Any]:
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=random).split(y, y))


def _single(folds: Sequence[Any], judge: Any) -> str:
    """The scaler that is best for all columns at once, by the inner folds; the first of equals."""
    merits = {}
    for name in POOL:
        for fold in folds:
            fold.choose_all([name] * fold.train.shape[1])
        merits[name] = float(np.mean([judge.score(fold) for fold in folds]))
    return max(merits, key=lambda name: merits[name])


claim = Claim(
    letter="m",
    title=both(N_("A scaler chosen for each column serves a classifier better than one scaler for all columns.")),
    source="Singh and Singh, Pattern Recognition 122, 108307 (2022)",
    setting=both(
        N_("five nearest neighbours; thirteen scalers, chosen on three inner folds and judged on three outer ones; "
           "scikit-learn's wine and breast cancer in full, the digits in their 16 most variable pixels; a seed draws "
           "the folds, so that the intervals speak of these tables alone")
    ),
    conditions=(
        both(N_("wine: the accuracy is higher than with the best single scaler and than with the z-score, by "
                "intervals that do not hold 0")),
        both(N_("breast cancer: the accuracy is higher than with the best single scaler and than with the z-score, "
                "by intervals that do not hold 0")),
        both(N_("digits: the accuracy is higher than with the best single scaler and than with the z-score, by "
                "intervals that do not hold 0")),
    ),
    measure=measure,
    seeds=8,
    seconds=40,
    needs=("sklearn",),
)  # fmt: skip
