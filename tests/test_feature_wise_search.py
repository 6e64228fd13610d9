"""What `FeatureWise` finds and what it says about it, and the search behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from normlab.data import FeatureWise, feature_wise
from normlab.data import search as searching
from normlab.data.scalers import POOL, learn
from normlab.data.search import Fold, Judge, NeighboursJudge, search
from scaling_tables import FEW, Table, clouds, long_tails, slopes

# -- what it finds, and what it says about it ---------------------------------------------------------------------


def test_the_attributes_say_what_was_chosen_and_what_it_cost() -> None:
    x, y = clouds()
    scaler = FeatureWise().fit(x, y)
    assert len(scaler.scalers_) == len(scaler.learnt_) == scaler.n_features_in_ == 4
    assert set(scaler.scalers_) <= set(POOL)
    assert [one.name for one in scaler.learnt_] == scaler.scalers_
    assert scaler.learnt_ == [learn(name, x[:, j]) for j, name in enumerate(scaler.scalers_)]
    assert 0 <= scaler.score_ <= 1
    assert 0 <= scaler.z_score_ <= 1
    # three outer folds and the whole, each at least 13 uniform choices and one round over 4 features, in 3 folds
    assert scaler.cost_["fits"] >= 4 * 3 * (13 + 4 * 12) + 6
    assert scaler.cost_["seconds"] > 0


@pytest.mark.parametrize("table", [clouds, slopes])
def test_the_z_score_beside_it_is_scikit_learns(table: Any) -> None:
    x, y = table()
    folds = StratifiedKFold(3) if table is clouds else KFold(3)
    plain = KNeighborsClassifier(5) if table is clouds else KNeighborsRegressor(5)
    scaler = FeatureWise(cv=folds).fit(x, y)
    theirs = cross_val_score(make_pipeline(StandardScaler(), plain), x, y, cv=folds).mean()
    assert scaler.z_score_ == pytest.approx(theirs, abs=1e-12)


def test_the_score_is_nested_cross_validation_of_the_transformer_itself() -> None:
    x, y = clouds(120)
    folds = StratifiedKFold(3)
    scaler = FeatureWise(pool=FEW, cv=folds).fit(x, y)
    chain = make_pipeline(FeatureWise(pool=FEW, cv=folds), KNeighborsClassifier(5))
    assert scaler.score_ == pytest.approx(cross_val_score(chain, x, y, cv=folds).mean(), abs=1e-12)


def test_no_choice_sees_the_rows_that_judge_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clouds(60)
    x[:, 0] = np.arange(60)  # the row's number travels with the row: "none" keeps it
    searched: list[set[float]] = []
    judged: list[tuple[set[float], set[float]]] = []
    real, score = feature_wise.search, Judge.score

    def watched(folds: list[Fold], *others: Any) -> Any:
        searched.append({v for fold in folds for part in fold._raw for v in part[:, 0]})
        return real(folds, *others)

    def watched_score(self: Judge, fold: Fold) -> float:
        judged.append((set(fold._raw[0][:, 0]), set(fold._raw[1][:, 0])))
        return score(self, fold)

    monkeypatch.setattr(feature_wise, "search", watched)
    monkeypatch.setattr(Judge, "score", watched_score)
    FeatureWise(pool=FEW).fit(x, y)
    assert [len(rows) for rows in searched] == [40, 40, 40, 60]
    for rows, (train, test) in zip(searched[:3], judged[::2], strict=True):  # each fold is judged twice: z-score too
        assert rows == train
        assert not rows & test


def test_it_beats_the_z_score_where_the_columns_need_different_scalers() -> None:
    differences = []
    for seed in range(3):
        scaler = FeatureWise().fit(*long_tails(seed=seed))
        differences.append(scaler.score_ - scaler.z_score_)
    assert min(differences) > 0.15  # measured: 0.27 to 0.36 over ten draws


def test_pure_noise_is_reported_as_noise() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((200, 8)), rng.integers(0, 2, 200)
    scaler = FeatureWise(random_state=1).fit(x, y)
    chosen_on = search([Fold(x, y, *f) for f in StratifiedKFold(3).split(x, y)], POOL, NeighboursJudge(5, True), 1,
                       np.random.RandomState(0))[1]  # fmt: skip
    assert chosen_on > 0.58  # the folds that choose are fitted ...
    assert abs(scaler.score_ - 0.5) < 0.09  # ... and the outer folds know it: 2.5 standard errors of 200 coins


def test_a_regression_is_told_by_its_values() -> None:
    x, y = slopes()
    scaler = FeatureWise().fit(x, y)
    assert scaler.z_score_ > 0.5  # R^2
    one = FeatureWise(pool="none").fit(x, y)
    assert one.score_ < scaler.z_score_ - 0.2


def test_another_estimator_is_asked_and_left_alone() -> None:
    x, y = clouds()
    model = LogisticRegression(max_iter=3)  # stops early on unscaled columns: no warning may come through
    scaler = FeatureWise(model, pool=FEW, cv=2).fit(x, y)
    assert not hasattr(model, "coef_")
    assert scaler.score_ > 0.6
    assert FeatureWise(Ridge(), pool=FEW, cv=2).fit(*slopes()).score_ > 0.9


@pytest.mark.parametrize("table", [clouds, slopes])
def test_the_same_seed_gives_the_same_choice(table: Any) -> None:
    x, y = table()
    first, second = (FeatureWise(restarts=2, random_state=5).fit(x, y) for _ in range(2))
    assert (first.scalers_, first.score_, first.z_score_, first.cost_["fits"]) == (
        second.scalers_, second.score_, second.z_score_, second.cost_["fits"],
    )  # fmt: skip
    assert first.learnt_ == second.learnt_
    assert len({FeatureWise(pool=FEW, random_state=s).fit(x, y).z_score_ for s in range(5)}) > 1


def test_it_is_quick_enough() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    assert FeatureWise().fit(x, y).cost_["seconds"] < 30  # measured: 1.3 alone, 5 on a busy machine


# -- the search ---------------------------------------------------------------------------------------------------


def _folds(table: Table, splits: int = 3) -> list[Fold]:
    x, y = table
    return [Fold(x, y, train, test) for train, test in KFold(splits, shuffle=True, random_state=0).split(x)]


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("table", [load_wine(return_X_y=True), slopes(150, 7)], ids=["classes", "values"])
def test_the_quick_judge_agrees_with_scikit_learn(table: Table, k: int) -> None:
    classes = table[1].dtype.kind == "i"
    quick, slow = NeighboursJudge(k, classes), Judge((KNeighborsClassifier if classes else KNeighborsRegressor)(k))
    folds = _folds(table)
    for start in ("z_score", "none"):
        for fold in folds:
            fold.choose_all([start] * table[0].shape[1])
            assert quick.score(fold) == pytest.approx(slow.score(fold), abs=1e-12)
            kept = fold.train.copy(), fold.test.copy()
            for feature in (0, 3):
                np.testing.assert_allclose(
                    quick.scores(fold, feature, POOL), slow.scores(fold, feature, POOL), rtol=0, atol=1e-12
                )
            np.testing.assert_array_equal(fold.train, kept[0])
            np.testing.assert_array_equal(fold.test, kept[1])
    assert quick.fits == slow.fits


def test_the_quick_judge_leads_to_the_same_choice() -> None:
    x, y = load_wine(return_X_y=True)
    quick, slow = FeatureWise(pool=FEW).fit(x, y), FeatureWise(KNeighborsClassifier(5), pool=FEW).fit(x, y)
    assert quick.scalers_ == slow.scalers_
    assert (quick.score_, quick.z_score_) == (slow.score_, slow.z_score_)
    assert quick.cost_["fits"] == slow.cost_["fits"]


def test_blocks_of_distances_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = NeighboursJudge(5, True).scores(_folds(clouds())[0], 1, FEW)
    monkeypatch.setattr(searching, "BLOCK_CELLS", 7 * 60)  # seven test rows at a time, four in the last block
    folds = _folds(clouds())
    assert NeighboursJudge(5, True).scores(folds[0], 1, FEW) == whole


class Scripted(Judge):
    """Scores a choice by a function of the scaled training columns' ranges, so that the best choice is known."""

    def __init__(self, wanted: list[float]) -> None:
        super().__init__(None)
        self.wanted = wanted

    def score(self, fold: Fold) -> float:
        self.fits += 1
        return -float(np.abs(np.ptp(fold.train, axis=0) - self.wanted).sum())


def test_the_search_finds_a_separable_optimum_and_settles_after_two_rounds() -> None:
    x = np.random.default_rng(0).random((40, 5)) * 7
    folds = [Fold(x, np.zeros(40), np.arange(40), np.arange(3))]
    best = ["min_max", "none", "min_max", "z_score", "none"]
    judge = Scripted([float(np.ptp(learn(name, x[:, j])(x[:, j]))) for j, name in enumerate(best)])
    pool = ("none", "min_max", "z_score")
    found, score = search(folds, pool, judge, 1, np.random.RandomState(0))
    assert (found, score) == (best, 0.0)
    assert judge.fits <= 3 + 2 * 2 * 5  # uniform, then two rounds of two others each


def test_a_tie_keeps_the_z_score() -> None:
    x = np.ones((12, 3))
    folds = [Fold(x, np.arange(12) % 2, np.arange(8), np.arange(8, 12))]
    assert search(folds, POOL, NeighboursJudge(3, True), 3, np.random.RandomState(0))[0] == ["z_score"] * 3


def test_a_score_that_is_not_a_number_never_wins() -> None:
    class Model(KNeighborsClassifier):
        def score(self, x: Any, y: Any) -> float:
            return float("nan") if np.ptp(x) > 50 else 0.5

    x, y = clouds()
    folds = [Fold(x, y, np.arange(60), np.arange(60, 90))]
    assert "none" not in search(folds, ("none", "z_score"), Judge(Model()), 1, np.random.RandomState(0))[0][3:]
