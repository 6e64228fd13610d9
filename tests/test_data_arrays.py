"""`read_table` on .npy and .npz files: what is taken out of them, and that nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from normlab.data import read_table
from normlab.errors import ShapeError, UnknownNameError, UsageError

TABLE = [[1.0, 2.0], [3.5, -4.0]]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64", ">f8", "longdouble"])
def test_an_array_of_any_real_dtype_becomes_float64(dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    np.save(path, np.asfortranarray(np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype)))
    table = read_table(path)
    assert (table.dtype, table.flags.c_contiguous) == (np.float64, True)
    np.testing.assert_array_equal(table, [[1, 0, 1], [0, 1, 1]])


@pytest.mark.parametrize("arrays", [{"anything": TABLE}, {"y": [1, 2], "x": TABLE}, {"X": TABLE, "z": [1]}], ids=str)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_gives_its_only_array_or_x(
    arrays: dict[str, list[object]], save: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "table.npz"
    save(path, **{name: np.array(value) for name, value in arrays.items()})
    np.testing.assert_array_equal(read_table(path), TABLE)


def test_nan_in_an_array_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    np.save(path, np.array([[np.nan, np.inf]]))
    np.testing.assert_array_equal(read_table(path), [[np.nan, np.inf]])


@pytest.mark.parametrize(
    ("array", "kind", "said"),
    [
        (np.zeros(3), ShapeError, r"two axes .* got shape \(3,\). For one feature"),
        (np.zeros((2, 8, 8)), ShapeError, r"got shape \(2, 8, 8\). Flatten each sample"),
        (np.zeros((0, 3)), ShapeError, "at least one row and one column"),
        (np.zeros((3, 0)), ShapeError, "at least one row and one column"),
        (np.zeros((2, 2), complex), UsageError, "real numbers are required, got dtype complex128"),
        (np.array([["a", "b"]]), UsageError, "real numbers are required, got dtype <U1"),
        (np.array([[1, "a"]], object), UsageError, "got Python objects, which are never loaded"),
        (np.zeros((2, 2), [("a", "f8")]), UsageError, "real numbers are required"),
    ],
    ids=["one_axis", "three_axes", "no_rows", "no_columns", "complex", "text", "objects", "records"],
)
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_an_array_is_refused_with_the_reason(
    array: np.ndarray, kind: type[UsageError], said: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"table.{ending}"
    if ending == "npy":
        np.save(path, array)
    else:
        np.savez(path, array)
    with pytest.raises(kind, match=said) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_an_archive_with_several_arrays_lists_them(tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    np.savez(path, train=np.zeros((2, 2)), labels=np.zeros(2))
    with pytest.raises(UnknownNameError, match=r"got 2: labels, train\. Save the table alone"):
        read_table(path)
    np.savez(path, x=np.zeros((2, 2)), X=np.zeros((2, 2)))
    with pytest.raises(UnknownNameError, match="got 2: X, x"):
        read_table(path)
    np.savez(path)
    with pytest.raises(UsageError, match="the archive is empty"):
        read_table(path)


class Trap:
    """Leaves a trace where somebody unpickles it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.trace), "w"))


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_nothing_is_ever_unpickled(ending: str, tmp_path: Path) -> None:
    path, trace = tmp_path / f"table.{ending}", tmp_path / "trace"
    array = np.array([[Trap(trace)]], dtype=object)
    if ending == "npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savez(path, x=array)
    with pytest.raises(UsageError, match="never loaded"):
        read_table(path)
    assert not trace.exists()
