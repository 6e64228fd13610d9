"""`normlab.data.load` on .npz and .csv files: which column or array is the class, and what is refused, with the place."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_files import npy_bytes, npz_bytes
from normlab.data import limits, load
from normlab.errors import (
    DtypeError,
    NonFiniteError,
    NormlabError,
    ReadWriteError,
    ShapeError,
    UnknownNameError,
    UsageError,
)

Written = Callable[[str], Path]
X = np.arange(24.0).reshape(12, 2)
Y = np.arange(12) % 3
PLAIN = "1.5,2,0\n3,4,1\n5,6,0\n7,8,1\n"


@pytest.fixture
def csv(tmp_path: Path) -> Written:
    def write(content: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(content, encoding="utf-8")
        return path

    return write


# -- text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "classes", "features", "column"),
    [
        (PLAIN, "0 1", 2, 3),
        ("a,b,c\n" + PLAIN, "0 1", 2, 3),
        ("a,b,species\n1,2,cat\n3,4,dog\n5,6,cat\n7,8,dog\n", "cat dog", 2, 3),
        ("1,2,cat\n3,4,dog\n5,6,cat\n7,8,dog\n", "cat dog", 2, 3),
        ("Label,a,b\n0,1,2\n1,3,4\n0,5,6\n1,7,8\n", "0 1", 2, 1),
        ("0;Target;1\n1;cat;2\n3;dog;4\n5;cat;6\n7;dog;8\n", "cat dog", 2, 2),
        ("a\ty\n1\tno\n2\tyes\n3\tno\n4\tyes\n", "no yes", 1, 2),
        ("1,1.0\n2,10\n3,9\n4,1\n5,9\n6,10\n", "1 9 10", 1, 2),
        ("1,1\n2,1b\n3,1\n4,1b\n", "1 1b", 1, 2),
        (",a,class\n0,1,x\n1,2,y\n2,3,x\n3,9,y\n", "x y", 1, 3),
        (",a,class\n0,1,x\n2,2,y\n4,3,x\n9,9,y\n", "x y", 2, 3),
        ("1,개\n2,고양이\n3,개\n4,고양이\n", "개 고양이", 1, 2),
    ],
    ids=[
        "plain", "header", "text_classes", "text_classes_without_header", "named_first", "named_among_numbers", "tabs",
        "ten_after_nine", "text_where_one_is", "index_left_out", "no_index", "korean",
    ],
)  # fmt: skip
def test_the_class_is_found(content: str, classes: str, features: int, column: int, csv: Written) -> None:
    made = load(csv(content))
    assert (" ".join(made.classes), made.shape) == (classes, (features,))
    notes = [note["en"] for note in made.notes]
    assert f"The class is what stands in column {column}." in notes
    assert any("counts the rows" in note for note in notes) == (content.startswith(",") and features == 1)
    assert made.name == "table.csv"


def test_rows_keep_their_class_and_their_numbers(csv: Written) -> None:
    made = load(csv("a,y,b\n" + "".join(f"{i},{'odd' if i % 2 else 'even'},-{i}.5\n" for i in range(20))), standardize=False)
    rows = np.concatenate([made.x, made.test_x])
    labels = [made.classes[k] for k in (*made.y, *made.test_y)]
    assert sorted(rows[:, 0].tolist()) == list(range(20)) and (rows[:, 1] == -rows[:, 0] - 0.5).all()
    assert all((label == "odd") == (row[0] % 2 == 1) for row, label in zip(rows.tolist(), labels, strict=True))


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ("a,b,y\n1,x,0\n", UsageError, r"row 2, column 2 \('b'\) must hold a number, got the text 'x'"),
        ("y,a,b\n0,1,2\n1,2,red\n", UsageError, r"row 3, column 3 \('b'\) must hold a number, got the text 'red'"),
        ("a,y\n1,0\n,1\n", UsageError, r"row 3, column 1 \('a'\) must hold a number, it is empty"),
        ("a,y\n1,0\n2,\n", UsageError, "row 3, column 2 must hold the class, it is empty"),
        ("a,y\n1,0\n2,1,3\n", ShapeError, "every row must have 2 cells like the first, row 3 has 3"),
        ("1\n2\n", ShapeError, "at least one with numbers are required, got 1 column"),
        ("a,label,target\n1,2,3\n", UsageError, r"one column may be named as the class, got \['label', 'target'\]"),
        ("a,y\n", UsageError, "got only a header"),
        ("", UsageError, "the file is empty"),
        ("a,y\n\nnan,0\n2,1\ninf,0\n2,1\n", NonFiniteError, r"\(1 NaN, 1 infinite\) in column 1 \('a'\), the first in row 3"),
        ("a,b,y\n1,nan,0\n2,1,1\n", NonFiniteError, r"got 1 number that is not \(1 NaN, 0 infinite\) in column 2 \('b'\), the first in row 2"),
        ("a,y\n1,0\n2,nan\n", NonFiniteError, "labels must be finite, got 1 that are not, the first in row 3"),
        ("a,y\n1,0.5\n2,1\n", UsageError, r"got 0.5 in row 2: predicting a quantity \(regression\)"),
        ("a,y\n1,3\n2,3.0\n", UsageError, "all 2 rows are of the class '3'"),
        ("a,y\n1,yes\n2,yes\n", UsageError, "all 2 rows are of the class 'yes'"),
        ("a,b\n" + "".join(f"{i},{i}\n" for i in range(30)), UsageError, "got 30 in 30 rows: .* Name the column with the class"),
    ],
)
def test_a_text_file_is_refused_with_the_place(content: str, kind: type[NormlabError], said: str, csv: Written) -> None:
    path = csv(content)
    with pytest.raises(kind, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value)


# -- archives -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["x y", "X y", "data target", "data labels", "images labels", "x_train y_train"])
def test_an_archive_gives_its_pair(names: str, tmp_path: Path) -> None:
    x, y = names.split()
    np.savez_compressed(tmp_path / "rows.npz", **{x: X, y: Y, "other": np.zeros(3)})
    made = load(tmp_path / "rows.npz", standardize=False)
    assert (made.x.shape, made.test_x.shape, made.classes) == ((9, 2), (3, 2), ("0", "1", "2"))
    assert sorted(np.concatenate([made.x, made.test_x])[:, 0].tolist()) == X[:, 0].tolist()


def test_the_names_of_keras_bring_a_test_set(tmp_path: Path) -> None:
    images = (np.arange(12 * 16) % 256).astype(np.uint8).reshape(12, 4, 4)
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=Y, x_test=images[:5], y_test=Y[:5])
    made = load(str(tmp_path / "mnist.npz"))
    assert (made.x.shape, made.test_x.shape) == ((12, 1, 4, 4), (5, 1, 4, 4))
    np.testing.assert_allclose(made.x[:, 0], images / 255, rtol=1e-6)
    assert made.test_y.tolist() == Y[:5].tolist()


def test_text_labels_in_an_archive_are_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=X, y=np.array(["b", "a", "c"])[Y])
    assert load(tmp_path / "rows.npz").classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("arrays", "kind", "said"),
    [
        ({"rows": X, "labels": Y}, UnknownNameError, r"called x and y, .* got 2: \['labels', 'rows'\]\. Save them so"),
        ({}, UnknownNameError, "got an empty archive"),
        ({"x": X.astype(object), "y": Y}, UsageError, "got Python objects, which are never loaded"),
        ({"x": X, "y": Y.astype(object)}, UsageError, "got Python objects, which are never loaded"),
        ({"x": X * 1j, "y": Y}, DtypeError, "got dtype complex128"),
        ({"x": X, "y": Y[1:]}, ShapeError, r"one a row, \(12,\), got shape \(11,\)"),
        ({"x": np.where(X == 7, np.nan, X), "y": Y}, NonFiniteError, "in column 2, the first in row 4"),
    ],
)
def test_an_archive_is_refused_with_the_reason(
    arrays: dict[str, np.ndarray], kind: type[NormlabError], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, **arrays)
    with pytest.raises(kind, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("header", "kind", "said"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (2147483648, 2147483648), }", UsageError, "values .* got 4,611,686"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (100000000, 1), }", UsageError, "got 100,000,000 of 8 bytes"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 2), }", ReadWriteError, "cut short or damaged"),
        ("{'descr': '<U99999999', 'fortran_order': False, 'shape': (9, 2), }", UsageError, "got 18 of 399,999,996 bytes"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }", UsageError, "never loaded"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 2), }", NormlabError, "."),
        ("__import__('os').abort()", ReadWriteError, "no readable NumPy array"),
        ("{'descr': '<f8'}", ReadWriteError, "no readable NumPy array"),
    ],
)
def test_a_hostile_header_is_an_error(header: str, kind: type[NormlabError], said: str, tmp_path: Path) -> None:
    label = io.BytesIO()
    np.save(label, Y)
    path = tmp_path / "rows.npz"
    path.write_bytes(npz_bytes(x=npy_bytes(header, bytes(64)), y=label.getvalue()))
    with pytest.raises(kind, match=said):
        load(path)


def test_an_archive_that_unpacks_to_very_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.npz"
    np.savez_compressed(path, x=np.zeros((5000, 2)), y=np.arange(5000) % 2)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(limits, "MAX_BYTES", 10_000)
    with pytest.raises(UsageError, match="at most 10,000 bytes are read, got 80,128"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"not an archive", bytes(1000)])
def test_what_is_no_archive_is_said(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    path.write_bytes(content)
    with pytest.raises(ReadWriteError, match=r"no readable \.npz archive"):
        load(path)


# -- paths --------------------------------------------------------------------------------------------------------


def test_a_path_that_leads_nowhere_is_said(folder: Path) -> None:
    (folder / "rows.csv").write_text(PLAIN)
    (folder / "notes.txt").write_text("nothing")
    (folder / "empty").mkdir()
    with pytest.raises(ReadWriteError, match=r"row\.csv: there is no such file\. Did you mean rows\.csv"):
        load("row.csv")
    with pytest.raises(ReadWriteError, match=r"no such data set, and no such file\. Did you mean spirals"):
        load("spiral:n=30")
    with pytest.raises(ReadWriteError, match=r"no such data set, and no such file\. Known names: digits, moons"):
        load("imagenet22k")
    with pytest.raises(UsageError, match=r"notes\.txt: \.npz, \.csv, IDX .* are required, got the ending '\.txt'"):
        load("notes.txt")
    with pytest.raises(UsageError, match="empty: a folder must hold train-images-idx3-ubyte"):
        load(folder / "empty")
    with pytest.raises(UsageError, match="must be a string or a Path"):
        load("a\0b")
    with pytest.raises(ReadWriteError, match="this is a device"):
        load("/dev/null")
