"""`read_table`: what it accepts, and the sentence with which it refuses the rest."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from normlab.data import limits, read_table
from normlab.errors import ReadWriteError, UsageError

Written = Callable[[str | bytes], Path]
TABLE = [[1.0, 2.0], [3.5, -4.0]]


@pytest.fixture
def csv(tmp_path: Path) -> Written:
    """Writes a .csv file, text as UTF-8."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# -- text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "1,2\n3.5,-4\n",
        "1,2\n3.5,-4",
        "1,2\r\n3.5,-4\r\n",
        "1,2\r3.5,-4\r",
        "1;2\n3.5;-4\n",
        "1\t2\n3.5\t-4\n",
        "a,b\n1,2\n3.5,-4\n",
        '"a, b";c\n1;2\n3.5;-4\n',
        '"a;b",c\n1,2\n3.5,-4\n',
        '"two\nlines",c\n1,2\n3.5,-4\n',
        '"1","2"\n"3.5","-4"\n',
        " 1 ,  2\n3.5, -4.0e0\n",
        "\n\n1,2\n\n3.5,-4\n\n",
        "\ufeff1,2\n3.5,-4\n",
        "\ufeffa,b\n1,2\n3.5,-4\n",
        "가로,세로\n1,2\n3.5,-4\n",
    ],
    ids=[
        "comma", "no_last_break", "windows", "old_mac", "semicolon", "tab", "header", "header_with_commas",
        "header_with_semicolon", "header_of_two_lines", "quoted", "spaces", "blank_lines", "mark", "mark_and_header",
        "korean_header",
    ],
)  # fmt: skip
def test_text_is_read_as(content: str, csv: Written) -> None:
    table = read_table(csv(content))
    assert (table.dtype, table.flags.c_contiguous, table.flags.writeable) == (np.float64, True, True)
    np.testing.assert_array_equal(table, TABLE)


def test_nan_and_infinity_are_numbers_also_in_the_first_row(csv: Written) -> None:
    table = read_table(csv("nan,inf\n-Infinity,NaN\n"))
    np.testing.assert_array_equal(table, [[np.nan, np.inf], [-np.inf, np.nan]])


def test_one_column_and_one_row_are_tables(csv: Written) -> None:
    assert read_table(csv("size\n1\n2\n")).shape == (2, 1)
    assert read_table(csv("1,2,3")).shape == (1, 3)


def test_a_row_of_very_many_cells_is_read(csv: Written) -> None:
    cells = 60_000  # more characters than the csv module allows in a single cell
    table = read_table(csv(f"{','.join(['0.25'] * cells)}\n{','.join(['0.5'] * cells)}\n"))
    assert table.shape == (2, cells)


def test_an_upper_case_ending_and_a_string_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "TABLE.CSV"
    path.write_text("1,2\n")
    assert read_table(str(path)).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1,2\n3,x\n", "row 2, column 2 must hold a number, got the text 'x'"),
        ("length,width\n1,2\n3,4\nsmall,5\n", r"row 4, column 1 \('length'\) must hold a number, got the text 'small'"),
        ("a,b\n\n1,2\n\n3,oops\n", r"row 5, column 2 \('b'\)"),
        ('"two\nlines",c\n1,x\n', "row 2, column 2"),
        ("1,x\n2,3\n", "row 1, column 2 .*header is recognized where the first row has no number"),
        ("1,\n2,3\n", "row 1, column 2 must hold a number, it is empty. Write nan"),
        ("1;2,5\n1;2\n", "got the text '2,5'. Write numbers with a point"),
        ("1,1_000\n", "got the text '1_000'"),
        ("1 2\n3 4\n", "row 2, column 1"),
        ("1,2\n3,4,5\n", "every row must have 2 cells like the first, row 2 has 3"),
        ("a,b\n1,2\n3\n", "row 3 has 1"),
        ("", "at least one row of numbers is required, the file is empty"),
        ("\n \n", "the file is empty"),
        ("a,b\n", r"got only a first row without numbers: \['a', 'b'\]"),
        ('1,"2\n3,4\n', "cannot be split into cells"),
        (b"\xff\xfe1\x00,\x002\x00", "must be UTF-8, got the byte 0xff"),
        ("가,나\n1,2\n".encode("cp949"), "must be UTF-8, got the byte"),
        (f"1,{'x' * 500}", r"got the text 'x{50,56} \.\.\."),
    ],
    ids=[
        "text", "text_under_a_header", "blank_lines_count", "rows_not_lines", "text_in_the_first_row", "empty_cell",
        "decimal_comma", "underscore", "separated_by_spaces", "a_longer_row", "a_shorter_row", "empty", "blank",
        "header_only", "open_quote", "utf_16", "cp949", "long_text",
    ],
)  # fmt: skip
def test_text_is_refused_with_the_place(content: str | bytes, said: str, csv: Written) -> None:
    path = csv(content)
    with pytest.raises(UsageError, match=said) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


# -- files --------------------------------------------------------------------------------------------------------


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _npz(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    return stream.getvalue()


def _flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


WHOLE = _npy(np.arange(600.0).reshape(30, 20))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table.npy", b""),
        ("table.npy", b"1,2\n3,4\n"),
        ("table.npy", WHOLE[:-8]),
        ("table.npy", WHOLE[:40]),
        ("table.npz", b""),
        ("table.npz", WHOLE),
        ("table.npz", _npz(WHOLE)[:-30]),
        ("table.npz", _npz(b"text")),
        ("table.npz", _flipped(_npz(WHOLE), 200)),
        ("table.npz", _npz(WHOLE[:-8])),
    ],
    ids=[
        "npy_empty", "npy_text", "npy_cut", "npy_cut_header", "npz_empty", "npz_no_archive", "npz_cut", "npz_text",
        "npz_damaged", "npz_cut_inside",
    ],
)  # fmt: skip
def test_a_damaged_file_cannot_be_read(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ReadWriteError) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert caught.value.code == 5


@pytest.mark.parametrize("ending", ["csv", "npy", "npz"])
def test_a_missing_file_is_named_with_its_nearest_neighbours(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"measured.{ending}").write_bytes(b"1,2\n")
    with pytest.raises(ReadWriteError, match=rf"no such file. Did you mean measured\.{ending}\?"):
        read_table(tmp_path / f"mesured.{ending}")
    with pytest.raises(ReadWriteError, match="no such file"):
        read_table(tmp_path / "nowhere" / f"table.{ending}")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(ReadWriteError, match="a file is required, this is a folder"):
        read_table(tmp_path / "table.csv")


def test_a_file_that_may_not_be_read_is_reported(csv: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    path = csv("1,2\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # file modes do not stop the superuser
    with pytest.raises(ReadWriteError, match=r"cannot be read: Permission denied\. Check its permissions"):
        read_table(path)


@pytest.mark.parametrize("name", ["table.xlsx", "table.txt", "table", "table.csv.gz", ".csv"])
def test_another_ending_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.csv, \.npy or \.npz, got"):
        read_table(tmp_path / name)


@pytest.mark.parametrize("path", [3, None, b"table.csv", "a\0.csv", ["table.csv"]], ids=repr)
def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(UsageError, match="the path must be a string or a Path"):
        read_table(path)  # type: ignore[arg-type]


def test_limits_are_checked_before_the_data_are_loaded(
    csv: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CELLS", 5)
    with pytest.raises(UsageError, match="at most 5 cells are read, got 6 or more"):
        read_table(csv("1,2\n3,4\n5,6\n7,8\n"))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**9)})
    for name, content in (("table.npy", header.getvalue()), ("table.npz", _npz(header.getvalue()))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match="at most 5 cells"):
            read_table(tmp_path / name)
    monkeypatch.setattr(limits, "MAX_BYTES", 4000)
    assert os.path.getsize(csv("1,2\n")) < 4000
    (tmp_path / "bomb.npz").write_bytes(_npz(bytes(10**6)))
    with pytest.raises(UsageError, match="at most 4,000 bytes are read, got 1,000,000"):
        read_table(tmp_path / "bomb.npz")
    with pytest.raises(UsageError, match="at most 4,000 bytes"):
        read_table(csv("1," * 3000))
