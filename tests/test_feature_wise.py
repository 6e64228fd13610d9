"""`FeatureWise` as a scikit-learn transformer: its interfaces, and data at the edge."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from normlab.errors import DtypeError, UnknownNameError, UsageError

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from normlab.data import FeatureWise
from normlab.data.scalers import POOL
from scaling_tables import FEW, clouds

# -- the interfaces of scikit-learn -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scaler",
    [
        FeatureWise(),
        FeatureWise(pool=FEW, restarts=2, random_state=3),
        FeatureWise(KNeighborsClassifier(1), pool=("none", "z_score"), cv=2),
    ],
    ids=["defaults", "options", "estimator"],
)
def test_it_passes_scikit_learns_own_checks(scaler: FeatureWise) -> None:
    results = check_estimator(scaler, on_skip=None, on_fail="raise")
    assert len(results) >= 40
    # this one wants an environment variable set before SciPy is imported, and tests nothing that is claimed
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= {"check_array_api_input"}


def test_it_clones_pickles_and_passes_on_parameters() -> None:
    x, y = clouds()
    scaler = FeatureWise(KNeighborsClassifier(3), pool=FEW, cv=2, restarts=2, random_state=7)
    twin = clone(scaler).fit(x, y)
    assert not hasattr(scaler, "scalers_")
    assert (twin.pool, twin.cv, twin.restarts, twin.random_state) == (FEW, 2, 2, 7)
    loaded = pickle.loads(pickle.dumps(twin))
    np.testing.assert_array_equal(loaded.transform(x), twin.transform(x))
    assert loaded.learnt_ == twin.learnt_
    assert scaler.set_params(estimator__n_neighbors=1).estimator.n_neighbors == 1


def test_data_frames_keep_their_names() -> None:
    pandas = pytest.importorskip("pandas")
    x, y = clouds()
    frame = pandas.DataFrame(x, columns=["a", "b", "c", "d"], index=range(100, 190))
    scaler = FeatureWise(pool=FEW).set_output(transform="pandas")
    scaled = scaler.fit(frame, pandas.Series(y, index=frame.index)).transform(frame)
    assert list(scaled.columns) == list(scaler.get_feature_names_out()) == list(scaler.feature_names_in_)
    assert list(scaled.index) == list(frame.index)
    np.testing.assert_array_equal(scaled.to_numpy(), FeatureWise(pool=FEW).fit(x, y).transform(x))
    with pytest.raises(ValueError, match="feature names"):
        scaler.transform(frame[["b", "a", "c", "d"]])


def test_it_is_a_step_of_a_pipeline() -> None:
    x, y = clouds()
    chain = make_pipeline(FeatureWise(pool=FEW), KNeighborsClassifier(5))
    assert cross_val_score(chain, x, y, cv=3, error_score="raise").mean() > 0.7
    assert chain.fit(x, y)[:-1].get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_output_has_the_inputs_dtype(dtype: str) -> None:
    x, y = clouds()
    scaler = FeatureWise(pool=("sigmoid", "power")).fit(x.astype(dtype), y)
    scaled = scaler.transform(x.astype(dtype))
    assert scaled.dtype == dtype
    for j, one in enumerate(scaler.learnt_):
        np.testing.assert_array_equal(scaled[:, j], one(x.astype(dtype)[:, j]).astype(dtype))


@pytest.mark.parametrize("name", POOL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_row_is_transformed_as_among_many_in_any_memory_layout(name: str, dtype: str) -> None:
    x, y = clouds(rows=67)  # prime: the last rows fall out of every vector width
    x = x.astype(dtype)
    scaler = FeatureWise(pool=name, cv=2).fit(x, y)
    among = scaler.transform(x)
    np.testing.assert_array_equal(among, np.vstack([scaler.transform(x[i : i + 1]) for i in range(len(x))]))
    np.testing.assert_array_equal(among, scaler.transform(np.asfortranarray(x)))
    np.testing.assert_array_equal(among[::-3], scaler.transform(x[::-3]))
    assert not np.shares_memory(among, x)


def test_text_labels_and_whole_numbers_serve() -> None:
    x, y = clouds()
    words = np.where(y == 1, "yes", "no")
    by_number, by_word = FeatureWise(pool=FEW).fit(x, y), FeatureWise(pool=FEW).fit(x, words)
    assert (by_word.scalers_, by_word.score_) == (by_number.scalers_, by_number.score_)
    assert FeatureWise(pool=FEW).fit(x.astype(int).tolist(), words.tolist()).transform([[1, 2, 3, 4]]).shape == (1, 4)


# -- data at the edge ---------------------------------------------------------------------------------------------


def test_constant_columns_are_safe() -> None:
    x, y = clouds()
    x[:, 1], x[:, 2] = 1000.1, 0.0
    scaler = FeatureWise().fit(x, y)
    scaled = scaler.transform(x)
    assert np.all(np.isfinite(scaled))
    assert np.all(scaled[:, 1:3] == scaled[0, 1:3])


def test_a_single_column_and_a_rare_label_are_safe() -> None:
    x, y = clouds(40)
    assert FeatureWise().fit(x[:, :1], y).transform(x[:, :1]).shape == (40, 1)
    y[:3] = [2, 3, 3]  # a label that occurs once, another twice
    assert len(FeatureWise(pool=FEW).fit(x, y).scalers_) == 4


@pytest.mark.parametrize("rows", range(1, 8))
@pytest.mark.parametrize("values", [False, True], ids=["classes", "values"])
def test_few_rows_are_served_or_refused_with_a_sentence(rows: int, values: bool) -> None:
    x = np.arange(2.0 * rows).reshape(rows, 2)
    y = np.arange(rows) + 0.5 if values else np.arange(rows) % 2
    enough = 6 if values else 3
    if rows >= enough:
        assert np.isfinite(FeatureWise(pool=FEW).fit(x, y).score_)
    else:
        with pytest.raises(ValueError, match=r"1 sample|n_samples = \d there. Give more rows"):
            FeatureWise(pool=FEW).fit(x, y)


def test_sparse_input_is_refused_with_the_way_out() -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    x, y = clouds()
    for sparse in (scipy_sparse.csr_matrix(x), scipy_sparse.coo_array(x)):
        with pytest.raises(DtypeError, match=r"a dense array is required, got a sparse .* of shape \(90, 4\).*toarray"):
            FeatureWise().fit(sparse, y)
    with pytest.raises(DtypeError, match="dense"):
        FeatureWise(pool=FEW).fit(x, y).transform(scipy_sparse.csr_matrix(x))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    x, y = clouds()
    fitted = FeatureWise(pool=FEW).fit(x, y)
    x[3, 2] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        FeatureWise().fit(x, y)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        fitted.transform(x)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pool": []}, "at least one scaler is required"),
        ({"pool": 3}, 'pool must be "all", a scaler'),
        ({"restarts": 0}, "restarts must be an integer of at least 1, got 0"),
        ({"restarts": 1.0}, "restarts must be an integer"),
        ({"restarts": True}, "restarts must be an integer"),
        ({"cv": 1}, "cv must be an integer of at least 2 or a scikit-learn splitter, got 1"),
        ({"cv": None}, "cv must be"),
        ({"cv": [([0], [1])]}, "cv must be"),
        ({"cv": "3"}, "cv must be"),
        ({"estimator": "knn"}, "the estimator must be an object with fit and score, got 'knn'"),
        ({"estimator": StandardScaler()}, "the estimator must be an object with fit and score"),
        ({"estimator": KNeighborsClassifier}, "the estimator must be an object"),
    ],
    ids=str,
)
def test_an_argument_out_of_its_range_is_refused_in_fit(arguments: dict[str, Any], said: str) -> None:
    scaler = FeatureWise(**arguments)  # never at construction: clone and grid search rely on it
    with pytest.raises(UsageError, match=said):
        scaler.fit(*clouds())


def test_an_unknown_scaler_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown scaler 'paretto'\. Did you mean pareto"):
        FeatureWise(pool=["paretto"]).fit(*clouds())


def test_labels_are_required_one_for_each_row() -> None:
    x, y = clouds()
    with pytest.raises(UsageError, match=r"requires y to be passed, but the target y is None.*fit\(X, y\)"):
        FeatureWise().fit(x)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        FeatureWise().fit(x, y[:-1])
    with pytest.raises(ValueError, match="1d array"):
        FeatureWise().fit(x, np.stack([y, y], axis=1))


@pytest.fixture
def without_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New interpreters find a scikit-learn that cannot be imported."""
    (tmp_path / "sklearn.py").write_text("raise ModuleNotFoundError(\"No module named 'sklearn'\", name='sklearn')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)


@pytest.mark.usefixtures("without_scikit_learn")
def test_without_scikit_learn_the_error_is_the_line_that_installs_it() -> None:
    code = """
from normlab import data, errors
assert data.load_digits()[0].shape == (1797, 8, 8)
for name in ("FeatureWise", "FeatureWise"):
    try:
        getattr(data, name)
    except errors.MissingExtraError as problem:
        assert isinstance(problem, ImportError) and problem.code == 3
        print(problem)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("scikit-learn is not installed. Install it with: pip install") for line in lines)
    assert all("[sklearn]" in line for line in lines)
