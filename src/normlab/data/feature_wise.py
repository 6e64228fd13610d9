"""Feature-wise normalization of input data, as a scikit-learn transformer (extra `sklearn`)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DtypeError, UsageError, missing_extra
from .scalers import choose_pool, learn

try:
    from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, is_classifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import type_of_target
    from sklearn.utils.validation import check_is_fitted, validate_data

    from .search import Fold, Judge, NeighboursJudge, search
except ImportError as problem:
    raise missing_extra("sklearn", "scikit-learn") from problem

__all__ = ["FeatureWise"]

NEIGHBOURS = 5  # of the default estimator
Rows = NDArray[np.intp]


class FeatureWise(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Give each input feature the scaler, out of a pool, that serves an estimator best.

    y[:, j] = scaler_j(x[:, j]), scaler_j chosen for each j and learnt from the training rows

    Cross-validation chooses. 13 scalers and d features give 13^d choices, which are searched one feature after
    the other from the best scaler for all, and from `restarts - 1` random starts. So many choices overfit the
    folds that choose; `score_` therefore comes from *nested* cross-validation, outer folds that no choice has
    seen. Compare it with `z_score_`, the same outer folds with a plain z-score, before you use the result: the
    search often gains nothing. With the default estimator, 569 rows of 30 features take about two seconds on
    one core and 1000 rows of 64 about twenty; another estimator is trained as often as `cost_` says.

    Shapes:
        x (n, d), y (n,), output (n, d)

    Args:
        estimator: a classifier or regressor with `fit` and `score`, copied before each use. None: five
            nearest neighbours (fewer where the smallest training fold has fewer rows), a classifier or a
            regressor by the kind of `y`; pass a regressor for counts and other integers that are amounts.
        pool: `"all"`, the paper's thirteen (none, centred, z_score, pareto, variable_stability, power,
            min_max, max, decimal, median_mad, tanh, tanh_variant, sigmoid), or some of these and of logistic
            and min_max_signed, by name. Formulas: `normlab.data.scalers`.
        cv: number of folds, inner and outer, at least 2, shuffled by `random_state` and stratified for a
            classifier; small data get fewer. Or a scikit-learn splitter, used for both.
        restarts: number of starts, at least 1; the first needs no luck.
        random_state: seed of the folds and of further starts. The same seed gives the same choice.

    Attributes:
        scalers_: list of d names, the choice made on all rows.
        learnt_: list of d `Scaler`s, what these learnt.
        score_: mean score over the outer folds, accuracy or R^2 (the estimator's `score`).
        z_score_: the same with a plain z-score for every feature.
        cost_: dict, `fits` (how many times an estimator was trained) and `seconds`.
        n_features_in_, feature_names_in_: as in scikit-learn.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        UsageError: an argument out of its range, no `y`, or too few rows for the folds.
        DtypeError: sparse input; centring would fill it.

    Numerics:
        Statistics in float64; the output has the input's dtype, float32 or float64. A constant feature becomes
        a constant. NaN and infinity are refused. One row is transformed exactly as it is among many.

    Source:
        D. Singh and B. Singh, Feature wise normalization: An effective way of normalizing data, Pattern
        Recognition 122, 108307 (2022), who search with the ant lion optimizer.

    Example:
        >>> import numpy as np
        >>> from normlab.data import FeatureWise
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat([0, 1], 30)
        >>> noise = 1000 * rng.standard_normal(60)      # large and useless: it hides the other feature
        >>> x = np.stack([y + 0.2 * rng.standard_normal(60), noise], axis=1)
        >>> scaler = FeatureWise(pool=["none", "z_score"]).fit(x, y)
        >>> scaler.transform(x).shape, scaler.scalers_, scaler.score_ >= scaler.z_score_ - 0.1
        ((60, 2), ['z_score', 'z_score'], True)
    """

    def __init__(
        self,
        estimator: Any = None,
        pool: str | Iterable[str] = "all",
        cv: Any = 3,
        restarts: int = 1,
        random_state: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.pool = pool
        self.cv = cv
        self.restarts = restarts
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> FeatureWise:
        """Choose a scaler for each feature and learn it; `y`, the labels or the values to predict, is needed."""
        pool = self._check(y)
        _refuse_sparse(X)
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), ensure_min_samples=2)
        started = time.perf_counter()
        random = check_random_state(self.random_state)
        classification = _is_classification(self.estimator, y)
        outer = self._folds(X, y, classification, random)
        inner = [self._folds(X[train], y[train], classification, random) for train, _ in outer]
        final = self._folds(X, y, classification, random)
        smallest = min(len(train) for part in (*inner, final) for train, _ in part)
        quick, honest = _judges(self.estimator, classification, min(NEIGHBOURS, smallest))
        labels = np.unique(y, return_inverse=True)[1] if classification and self.estimator is None else y

        def choose(rows: Rows, part: Sequence[tuple[Rows, Rows]]) -> list[str]:
            folds = [Fold(X[rows], labels[rows], train, test) for train, test in part]
            return search(folds, pool, quick, self.restarts, random)[0]

        scores, z_scores = [], []
        with warnings.catch_warnings():
            # thousands of candidates: one on which an iterative solver stops early is judged by its score
            warnings.simplefilter("ignore", ConvergenceWarning)
            for (train, test), part in zip(outer, inner, strict=True):
                fold = Fold(X, y, train, test)
                fold.choose_all(choose(train, part))
                scores.append(honest.score(fold))
                fold.choose_all(["z_score"] * X.shape[1])
                z_scores.append(honest.score(fold))
            self.scalers_ = choose(np.arange(len(X)), final)
        self.learnt_ = [learn(name, X[:, j]) for j, name in enumerate(self.scalers_)]
        self.score_, self.z_score_ = float(np.mean(scores)), float(np.mean(z_scores))
        fits = quick.fits + (0 if honest is quick else honest.fits)
        self.cost_ = {"fits": fits, "seconds": time.perf_counter() - started}
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Scale each feature by its scaler; a new array of the shape and dtype of `X`."""
        check_is_fitted(self)
        _refuse_sparse(X)
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        out = np.empty(X.shape, dtype=X.dtype)
        for j, scaler in enumerate(self.learnt_):
            out[:, j] = scaler(X[:, j])
        return out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check(self, y: Any) -> tuple[str, ...]:
        if y is None:
            raise UsageError(
                "FeatureWise requires y to be passed, but the target y is None.",
                hint="It chooses scalers by how well an estimator predicts y: fit(X, y).",
            )
        if not _is_whole(self.restarts) or self.restarts < 1:
            raise UsageError(f"FeatureWise: restarts must be an integer of at least 1, got {self.restarts!r}.")
        if not _is_splitter(self.cv) and (not _is_whole(self.cv) or self.cv < 2):
            raise UsageError(
                f"FeatureWise: cv must be an integer of at least 2 or a scikit-learn splitter, "
                f"got {self.cv!r}."
            )
        missing = [name for name in ("fit", "score") if not hasattr(self.estimator, name)]
        if self.estimator is not None and (missing or isinstance(self.estimator, type)):
            raise UsageError(
                f"FeatureWise: the estimator must be an object with fit and score, got {self.estimator!r}.",
                hint="For example KNeighborsClassifier(5).",
            )
        return choose_pool(self.pool)

    def _folds(self, x: Any, y: Any, classification: bool, random: Any) -> list[tuple[Rows, Rows]]:
        if _is_splitter(self.cv):
            return list(self.cv.split(x, y))
        each = 1 if classification else 2  # R^2 of a single row is not defined
        count = min(self.cv, len(y) // each)
        if count < 2:
            raise UsageError(
                f"FeatureWise: two folds of at least {each} rows are required inside each outer fold, got "
                f"n_samples = {len(y)} there.",
                hint="Give more rows.",
            )
        kind = KFold
        if classification and np.unique(y, return_counts=True)[1].max() >= count:
            kind = StratifiedKFold
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a label that is rarer than there are folds
            return list(kind(count, shuffle=True, random_state=random).split(x, y))


def _judges(estimator: Any, classification: bool, neighbours: int) -> tuple[Judge, Judge]:
    """The judge of the candidates and the judge on the outer folds, which is always scikit-learn's."""
    if estimator is not None:
        judge = Judge(estimator)
        return judge, judge
    kind = KNeighborsClassifier if classification else KNeighborsRegressor
    return NeighboursJudge(neighbours, classification), Judge(kind(neighbours))


def _is_classification(estimator: Any, y: NDArray[Any]) -> bool:
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    return kind != "continuous" if estimator is None else bool(is_classifier(estimator))


def _is_splitter(cv: object) -> bool:
    return hasattr(cv, "split") and hasattr(cv, "get_n_splits")  # a string has a split, too


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))


def _refuse_sparse(x: Any) -> None:
    if hasattr(x, "toarray") and hasattr(x, "nnz"):
        raise DtypeError(
            f"FeatureWise: a dense array is required, got a sparse {type(x).__name__} of shape {x.shape}.",
            hint="Centring would fill the zeros: pass x.toarray() if it fits into memory.",
        )
