"""The handwritten digits that ship with normlab, and the lazy names of `normlab.data`."""

from __future__ import annotations

import gzip
import pickle
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from normlab import data
from normlab.data import digits, load_digits
from normlab.errors import ReadWriteError

MOST_BYTES = 100_000  # what the package may spend on the images


def test_the_digits_are_those_of_scikit_learn() -> None:
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    images, labels = load_digits()
    assert (images.shape, images.dtype) == ((1797, 8, 8), np.uint8)
    assert (labels.shape, labels.dtype) == ((1797,), np.int64)
    np.testing.assert_array_equal(images, theirs.images)
    np.testing.assert_array_equal(labels, theirs.target)


def test_every_call_gives_arrays_of_its_own() -> None:
    images, labels = load_digits()
    images[:], labels[:] = 99, 99
    again, labels_again = load_digits()
    assert again.max() == 16
    assert labels_again.max() == 9


def test_the_file_is_small_has_no_time_stamp_and_carries_its_licence() -> None:
    folder = resources.files("normlab.data")
    content = (folder / "digits.u8.gz").read_bytes()
    assert len(content) <= MOST_BYTES
    assert content[4:8] == bytes(4)  # gzip's time stamp
    licence = (folder / "DIGITS-LICENSE.md").read_text(encoding="utf-8")
    assert all(word in licence for word in ("Alpaydin", "Kaynak", "CC BY 4.0", "creativecommons.org", "changed"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"not gzip", "gzip"),
        (gzip.compress(bytes(1797 * 65), mtime=0)[:-9], "cannot be read"),
        (gzip.compress(b"abc", mtime=0), "must hold 116805 bytes, got 3"),
    ],
    ids=["missing", "other_content", "cut_short", "too_short"],
)
def test_a_damaged_copy_is_reported(
    content: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "digits.u8.gz"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(digits, "_FILE", path)
    with pytest.raises(ReadWriteError, match=said):
        load_digits()


def test_the_names_are_listed_and_an_unknown_one_is_refused() -> None:
    names = {"Dataset", "FeatureWise", "as_images", "flattened", "load", "load_digits", "normalized", "read_table"}
    assert names == set(data.__all__) <= set(dir(data))
    assert all(getattr(data, name).__module__.startswith("normlab.data.") for name in names)
    with pytest.raises(AttributeError, match="no attribute 'load_digit'"):
        _ = data.load_digit


def _loaded(code: str) -> set[str]:
    tail = "import sys, pickle; sys.stdout.buffer.write(pickle.dumps(set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", f"{code}; {tail}"], capture_output=True, check=True)
    found: set[str] = pickle.loads(run.stdout)
    return found


def test_importing_the_package_loads_no_numpy_and_the_digits_no_scikit_learn() -> None:
    assert "numpy" not in _loaded("import normlab.data")
    after = _loaded("from normlab.data import load_digits, read_table; load_digits()")
    assert "numpy" in after
    assert "sklearn" not in after
