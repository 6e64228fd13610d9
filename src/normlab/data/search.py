"""The search behind `FeatureWise`: one feature after the other, each candidate scaler judged on inner folds.

With 13 scalers and d features there are 13^d choices. The search starts from the scaler that is best for all
features at once, then lets each feature in turn change to the scaler that scores best while the others stay,
until no feature wants to change. A candidate must be strictly better, so a tie keeps what is there. Further
starts are random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import pairwise_distances

from .scalers import Column, Scaler, learn

__all__ = ["Fold", "Judge", "NeighboursJudge", "search"]

SWEEPS = 10  # at most; two or three are usual
BETTER = 1e-12  # scores that differ by less are equal: their sums were rounded in another order
BLOCK_CELLS = 2**22  # distances held at once: 32 MB


class Fold:
    """Training and test rows, scaled by the present choice; the scalers are learnt from the training rows."""

    def __init__(self, x: NDArray[Any], y: NDArray[Any], train: NDArray[Any], test: NDArray[Any]) -> None:
        self._raw = np.asarray(x[train], dtype=np.float64), np.asarray(x[test], dtype=np.float64)
        self.y_train, self.y_test = y[train], y[test]
        self.train, self.test = self._raw[0].copy(), self._raw[1].copy()  # as they are until something is chosen
        self._learnt: dict[tuple[int, str], Scaler] = {}

    def columns(self, feature: int, name: str) -> tuple[Column, Column]:
        """The training and the test column of `feature`, scaled by `name`."""
        key = feature, name
        if key not in self._learnt:
            self._learnt[key] = learn(name, self._raw[0][:, feature])
        scaler = self._learnt[key]
        return scaler(self._raw[0][:, feature]), scaler(self._raw[1][:, feature])

    def choose(self, feature: int, name: str) -> None:
        """Scale `feature` by `name` from now on."""
        self.train[:, feature], self.test[:, feature] = self.columns(feature, name)

    def choose_all(self, names: Sequence[str]) -> None:
        """Scale every feature by its name."""
        for feature, name in enumerate(names):
            self.choose(feature, name)


class Judge:
    """Trains a copy of an estimator on a fold's training rows; its `score` on the test rows counts."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.fits = 0

    def score(self, fold: Fold) -> float:
        """The score under the present choice; not a number counts as the worst."""
        self.fits += 1
        model = clone(self.estimator).fit(fold.train.copy(), fold.y_train)
        score = float(model.score(fold.test.copy(), fold.y_test))
        return -np.inf if np.isnan(score) else score

    def scores(self, fold: Fold, feature: int, names: Sequence[str]) -> list[float]:
        """The scores with `feature` scaled by each of `names` in turn; the fold is left as it was."""
        kept = fold.train[:, feature].copy(), fold.test[:, feature].copy()
        found = []
        for name in names:
            fold.choose(feature, name)
            found.append(self.score(fold))
        fold.train[:, feature], fold.test[:, feature] = kept
        return found


class NeighboursJudge(Judge):
    """k nearest neighbours, faster than an estimator: the distances in the features that stay are shared.

    Accuracy of the majority of the k nearest rows (the first label in sorted order wins a tie), or, in a
    regression, R^2 of their mean. Of equally distant rows the earlier one is nearer; scikit-learn leaves that
    open, and is met exactly wherever the k nearest rows are unambiguous.
    """

    def __init__(self, k: int, classification: bool) -> None:
        super().__init__(None)
        self.k, self.classification = k, classification

    def score(self, fold: Fold) -> float:
        """The score under the present choice."""
        self.fits += 1
        targets, predicted = self._targets(fold), np.empty(len(fold.test))
        for rows in _blocks(len(fold.test), len(fold.train)):
            predicted[rows] = self._predict(_distances(fold.test[rows], fold.train), targets)
        return self._rate(fold, predicted)

    def scores(self, fold: Fold, feature: int, names: Sequence[str]) -> list[float]:
        """The scores with `feature` scaled by each of `names` in turn; the fold is left as it was."""
        self.fits += len(names)
        targets, predicted = self._targets(fold), np.empty((len(names), len(fold.test)))
        columns = [fold.columns(feature, name) for name in names]
        train, test = np.delete(fold.train, feature, axis=1), np.delete(fold.test, feature, axis=1)
        for rows in _blocks(len(test), len(train)):
            rest = _distances(test[rows], train)
            for k, (train_column, test_column) in enumerate(columns):
                with np.errstate(over="ignore"):  # unscaled numbers may be huge; infinitely far is far
                    d = test_column[rows, np.newaxis] - train_column
                    d *= d
                    d += rest
                predicted[k, rows] = self._predict(d, targets)
        return [self._rate(fold, p) for p in predicted]

    def _targets(self, fold: Fold) -> NDArray[Any]:
        if not self.classification:
            return fold.y_train[:, np.newaxis].astype(np.float64)
        return (fold.y_train[:, np.newaxis] == np.arange(fold.y_train.max() + 1)).astype(np.float64)

    def _predict(self, d: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
        """The label (or the mean) of the k rows that are nearest by the distances d, which are used up."""
        rows, total = np.arange(len(d)), np.zeros((len(d), targets.shape[1]))
        for _ in range(self.k):  # k passes of argmin: faster than a partial sort for few neighbours
            nearest = d.argmin(axis=1)
            total += targets[nearest]
            d[rows, nearest] = np.inf
        return total.argmax(axis=1) if self.classification else total[:, 0] / self.k

    def _rate(self, fold: Fold, predicted: NDArray[Any]) -> float:
        if self.classification:
            return float(np.mean(predicted == fold.y_test))
        residual = float(np.sum((fold.y_test - predicted) ** 2))
        total = float(np.sum((fold.y_test - np.mean(fold.y_test)) ** 2))
        return 1.0 - residual / total if total else float(residual == 0.0)


def _blocks(rows: int, others: int) -> Iterator[slice]:
    step = max(1, BLOCK_CELLS // max(1, others))
    return (slice(start, start + step) for start in range(0, rows, step))


def _distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Squared distances, summed feature by feature; not |a|^2 - 2ab + |b|^2, which cancels."""
    if not a.shape[1]:
        return np.zeros((len(a), len(b)))
    distances: NDArray[Any] = pairwise_distances(a, b, metric="sqeuclidean")
    return distances


def search(
    folds: Sequence[Fold], pool: Sequence[str], judge: Judge, restarts: int, random: np.random.RandomState
) -> tuple[list[str], float]:
    """The best choice that was found, a scaler's name for each feature, and its mean score over the folds."""
    features = folds[0].train.shape[1]
    best, best_score = _uniform(folds, pool, judge)
    best, best_score = _climb(folds, pool, judge, best, best_score, range(features))
    for _ in range(restarts - 1):
        start = [pool[i] for i in random.randint(len(pool), size=(features,))]
        order = random.permutation(np.arange(features)).tolist()
        found, score = _climb(folds, pool, judge, start, _score(folds, judge, start), order)
        if score > best_score + BETTER:
            best, best_score = found, score
    return best, best_score


def _score(folds: Sequence[Fold], judge: Judge, names: Sequence[str]) -> float:
    for fold in folds:
        fold.choose_all(names)
    return float(np.mean([judge.score(fold) for fold in folds]))


def _uniform(folds: Sequence[Fold], pool: Sequence[str], judge: Judge) -> tuple[list[str], float]:
    """The scaler that is best for all features at once; the z-score where it is as good as any."""
    features = folds[0].train.shape[1]
    best, best_score = "", -np.inf
    for name in sorted(pool, key=lambda name: name != "z_score"):
        score = _score(folds, judge, [name] * features)
        if not best or score > best_score + BETTER:
            best, best_score = name, score
    return [best] * features, best_score


def _climb(
    folds: Sequence[Fold],
    pool: Sequence[str],
    judge: Judge,
    start: Sequence[str],
    score: float,
    order: Sequence[int],
) -> tuple[list[str], float]:
    choice, settled = list(start), 0
    for fold in folds:
        fold.choose_all(choice)
    for feature in islice(cycle(order), SWEEPS * len(order)):
        if settled == len(order):  # each feature was asked since the last change
            break
        others = [name for name in pool if name != choice[feature]]
        means = np.mean([judge.scores(fold, feature, others) for fold in folds], axis=0)
        settled += 1
        if others and means.max() > score + BETTER:
            choice[feature], score, settled = others[int(means.argmax())], float(means.max()), 1
            for fold in folds:
                fold.choose(feature, choice[feature])
    return choice, score
