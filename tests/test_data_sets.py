"""`normlab.data.load` on names and arrays: what comes back, how it is split and scaled, and what is refused."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_files import balanced
from normlab.data import Dataset, as_images, flattened, load, load_digits, normalized
from normlab.data.splitting import split
from normlab.errors import DtypeError, NonFiniteError, NormlabError, ShapeError, UsageError

RNG = np.random.default_rng(7)
TABLE, LABELS = RNG.normal(5, 3, (40, 3)), np.arange(40) % 4


def english(dataset: Dataset) -> str:
    return " ".join(note["en"] for note in dataset.notes)


# -- the digits ---------------------------------------------------------------------------------------------------


def test_the_digits_are_split_as_the_note_splits_them_and_the_seed_changes_nothing() -> None:
    digits, again = load("digits"), load("digits", seed=5)
    assert (digits.x.shape, digits.test_x.shape) == ((1347, 1, 8, 8), (450, 1, 8, 8))
    assert (digits.x.dtype, digits.y.dtype, digits.classes) == (np.float32, np.int64, tuple("0123456789"))
    assert digits.fingerprint == again.fingerprint
    assert (digits.x.min(), digits.x.max()) == (0, 1)


def test_the_digits_are_each_there_once_with_their_label() -> None:
    images, labels = load_digits()
    digits = load("digits")
    every = np.concatenate([digits.x, digits.test_x]).reshape(1797, 64) * 16
    rows = [(*image, label) for image, label in zip(every.tolist(), [*digits.y, *digits.test_y], strict=True)]
    assert sorted(rows) == sorted((*image, label) for image, label in zip(images.reshape(1797, 64).tolist(), labels, strict=True))


def test_each_class_has_the_share_that_scikit_learn_gives_it() -> None:
    """Both round each class's share of 450 to a whole number; ties may go to another class, so one apart."""
    train_test_split = pytest.importorskip("sklearn.model_selection").train_test_split
    images, labels = load_digits()
    theirs = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)
    digits = load("digits")
    assert (len(theirs[0]), len(theirs[1])) == (len(digits.x), len(digits.test_x))
    assert np.abs(np.bincount(theirs[3]) - np.bincount(digits.test_y)).max() <= 1


# -- the split ----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.floats(0.01, 0.99), st.integers(0, 9))
def test_every_row_falls_into_one_part_and_every_class_of_two_into_both(counts: list[int], share: float, seed: int) -> None:
    y = balanced(counts)
    if max(counts) < 2:
        with pytest.raises(UsageError, match="at least one class with two rows"):
            split("rows", y, share, seed)
        return
    train, test = split("rows", y, share, seed)
    assert sorted([*train, *test]) == list(range(len(y)))
    for k, count in enumerate(counts):
        kept = int((y[test] == k).sum())
        assert kept == 0 if count == 1 else 1 <= kept <= count - 1
        assert abs(kept - share * count) < 1 or kept in (1, count - 1)


def test_the_same_seed_keeps_the_same_rows_and_another_seed_others() -> None:
    parts = [split("rows", LABELS, 0.25, seed)[1].tolist() for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]
    assert parts[0] == sorted(parts[0]) and len(parts[0]) == 10


@pytest.mark.parametrize("rows", [100, 99, 7])
def test_a_share_that_floats_cannot_hold_keeps_no_row_more(rows: int) -> None:
    """0.07 * 100 is 7.000000000000001."""
    assert len(split("rows", np.arange(rows) % 2, 0.07, 0)[1]) == max(-(-7 * rows // 100), 2)


# -- toys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "classes"),
    [("moons", 2), ("circles:factor=0.3", 2), ("spirals:arms=4", 4), ("blobs : classes = 5, noise=0.1", 5)],
)
def test_a_toy_is_what_its_name_says(name: str, classes: int) -> None:
    toy = load(f"{name},n=200" if ":" in name else f"{name}:n=200", seed=3)
    assert (toy.x.shape, toy.test_x.shape, len(toy.classes)) == ((150, 2), (50, 2), classes)
    counts = np.bincount(np.concatenate([toy.y, toy.test_y]))
    assert counts.max() - counts.min() <= 1
    assert toy.fingerprint == load(toy.name, seed=3).fingerprint != load(toy.name, seed=4).fingerprint
    assert "seed 3" in english(toy)


def test_without_noise_the_points_lie_on_their_curves() -> None:
    circles = load("circles:noise=0,factor=0.25")
    radius = np.hypot(*circles.x.T)
    np.testing.assert_allclose(radius, np.where(circles.y == 0, 1, 0.25), rtol=1e-6)  # float32
    moons = load("moons:noise=0")
    centre = np.where(moons.y[:, None] == 0, (0, 0), (1, 0.5))
    np.testing.assert_allclose(np.hypot(*(moons.x - centre).T), 1, rtol=1e-6)
    assert ((moons.x[:, 1] >= 0) == (moons.y == 0))[np.abs(moons.x[:, 1] - 0.25) > 0.25].all()
    spirals = load("spirals:noise=0,arms=2")
    turned = np.arctan2(*spirals.x.T[::-1]) - 2 * np.pi * np.hypot(*spirals.x.T) / 2.5  # what is left is the arm
    np.testing.assert_allclose(np.cos(turned), np.where(spirals.y == 0, 1, -1), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("spirals:arms=1", r"spirals: arms must be a whole number at least 2 and at most 10, got 1"),
        ("spirals:n=2.5", "n must be a whole number"),
        ("spirals:arm=3", "unknown option of spirals 'arm'. Did you mean arms"),
        ("moons:noise=nan", "noise must be a number"),
        ("moons:noise=loud", "name=number with commas between, got 'moons:noise=loud'"),
        ("moons:n", "name=number"),
        ("moons:n=30,n=40", "n is given twice"),
        ("moons:n=1e30", "n must be"),
    ],
)
def test_a_toy_that_cannot_be_drawn_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(name)


# -- arrays -------------------------------------------------------------------------------------------------------


def test_a_table_is_standardized_by_its_training_rows_alone() -> None:
    made, plain = load((TABLE, LABELS)), load((TABLE, LABELS), standardize=False)
    x = plain.x.astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    # the columns are read in float64 and rounded once; `plain` was rounded before: a few units of float32
    np.testing.assert_allclose(made.x, (x - mean) / spread, atol=4e-6)
    np.testing.assert_allclose(made.test_x, (plain.test_x - mean) / spread, atol=4e-6)
    assert np.abs(made.test_x.mean(axis=0)).max() > 0.01  # the test rows had no say
    assert "standardized" in english(made) and "left as they are" in english(plain)
    np.testing.assert_allclose(normalized(plain).x, made.x, atol=4e-6)
    assert "standardized" in english(normalized(plain))


def test_a_column_far_from_zero_keeps_its_digits_and_a_constant_one_becomes_zero() -> None:
    x = np.stack([1e9 + np.arange(40.0), np.full(40, 0.1)], axis=1)
    made = load((x, LABELS))
    assert len(np.unique(made.x[:, 0])) == 30
    assert not made.x[:, 1].any() and not made.test_x[:, 1].any()
    assert "never change in the training rows: 1" in english(made)


def test_a_test_set_of_its_own_is_used_as_it_is() -> None:
    made = load((TABLE, LABELS, TABLE[:5] + 1, LABELS[:5]), standardize=False)
    np.testing.assert_array_equal(made.x, TABLE.astype(np.float32))
    np.testing.assert_array_equal(made.test_x, (TABLE[:5] + 1).astype(np.float32))
    assert made.test_y.tolist() == LABELS[:5].tolist() and "Kept back" not in english(made)


@pytest.mark.parametrize(
    ("labels", "classes", "first"),
    [
        (np.arange(40) % 4, ("0", "1", "2", "3"), 0),
        (np.arange(40) % 2 * 10 - 5, ("-5", "5"), 0),
        ((np.arange(40) % 2 + 1).astype(float), ("1", "2"), 0),
        (np.arange(40) % 2 == 0, ("False", "True"), 1),
        (np.where(np.arange(40) % 2, "dog", "cat"), ("cat", "dog"), 0),
        (np.where(np.arange(40) % 2, "고양이", "개").astype(object), ("개", "고양이"), 0),
        (np.where(np.arange(40) % 2, b"dog", b"cat"), ("cat", "dog"), 0),
        ((np.arange(40) % 4)[:, None], ("0", "1", "2", "3"), 0),
        (np.eye(3)[np.arange(40) % 3], ("0", "1", "2"), 0),
        ((np.arange(40) % 2 * 9 + 1).astype(np.uint8), ("1", "10"), 0),
    ],
    ids=["numbers", "negative", "whole_floats", "truth", "text", "objects", "bytes", "column", "one_hot", "ten_after_nine"],
)
def test_labels_of_any_kind_are_numbered_in_their_order(labels: np.ndarray, classes: tuple[str, ...], first: int) -> None:
    made = load((TABLE, labels, TABLE, labels))
    assert (made.classes, made.y[0]) == (classes, first)
    assert made.y.dtype == np.int64 and set(made.y.tolist()) == set(range(len(classes)))
    np.testing.assert_array_equal(made.y, made.test_y)


def test_numbers_that_do_not_start_at_zero_are_said() -> None:
    assert "1 to 4 are numbered from 0" in english(load((TABLE, LABELS + 1)))
    assert "numbered" not in english(load((TABLE, LABELS)))


@pytest.mark.parametrize(
    ("shape", "dtype", "found", "largest"),
    [
        ((40, 6, 6), "u1", (1, 6, 6), 1),
        ((40, 3, 6, 6), "u1", (3, 6, 6), 1),
        ((40, 6, 6, 3), "u1", (3, 6, 6), 1),
        ((40, 6, 6, 1), "u2", (1, 6, 6), 200 / 65535),
        ((40, 6, 6), "f8", (1, 6, 6), 1),
        ((40, 6, 6), "i8", (1, 6, 6), 1),
    ],
)
def test_images_go_from_0_to_1_with_channels_first(shape: tuple[int, ...], dtype: str, found: tuple[int, ...], largest: float) -> None:
    x = (np.arange(np.prod(shape)) % 201).astype(dtype).reshape(shape)
    if dtype == "u1":
        x[0] = 255
    made = load((x, LABELS, x, LABELS))
    assert made.shape == found and made.x.max() == pytest.approx(largest, rel=1e-6)
    if shape[-1] == 3:
        np.testing.assert_allclose(made.x[1, 2], x[1, :, :, 2] / 255, rtol=1e-6)


def test_pixels_that_are_small_or_negative_already_are_left() -> None:
    x = RNG.normal(size=(40, 1, 4, 4)).astype(np.float32)
    made = load((x, LABELS, x, LABELS))
    np.testing.assert_array_equal(made.x, x)
    assert "left as they are, from -" in english(made)


BAD = TABLE.copy()
BAD[[3, 7, 7], [1, 0, 1]] = np.nan, np.inf, np.nan


@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ((BAD, LABELS), NonFiniteError, r"got 3 numbers that are not \(2 NaN, 1 infinite\) in columns 1, 2, the first in row 4\."),
        ((TABLE, LABELS, BAD[7:], LABELS[7:]), NonFiniteError, "of the test set .* in columns 1, 2, the first in row 1"),
        ((BAD.reshape(40, 1, 3, 1), LABELS), NonFiniteError, r"infinite\), the first in row 4"),
        ((TABLE, np.where(LABELS, 1, np.nan)), NonFiniteError, "labels must be finite, got 10 .* the first in row 1"),
        ((TABLE, LABELS + 0.5), UsageError, r"got 0.5 in row 1: predicting a quantity \(regression\) is not supported"),
        ((TABLE, np.arange(40)), UsageError, "got 40 in 40 rows: that is a quantity"),
        ((TABLE, np.full(40, 3)), UsageError, "at least two classes are required, all 40 rows are of the class '3'"),
        ((TABLE, LABELS[:39]), ShapeError, r"labels must be one a row, \(40,\), got shape \(39,\)"),
        ((TABLE, np.zeros((40, 2))), ShapeError, r"got shape \(40, 2\)"),
        ((TABLE, LABELS, TABLE, LABELS + 1), UsageError, r"no class that training lacks, got \[4\]"),
        ((TABLE, LABELS, TABLE, LABELS.astype(str)), DtypeError, "of one kind, got text and numbers"),
        ((TABLE, LABELS, TABLE[:, :2], LABELS), ShapeError, r"shape of training rows, \(3,\), got \(2,\)"),
        ((TABLE[:, 0], LABELS), ShapeError, r"got shape \(40,\). For one feature"),
        ((TABLE[:0], LABELS[:0]), ShapeError, "at least one"),
        ((TABLE.astype(complex), LABELS), DtypeError, "real numbers, got dtype complex128"),
        ((TABLE.astype(str), LABELS), DtypeError, "real numbers, got dtype <U"),
        ((TABLE, LABELS.astype(complex)), DtypeError, "whole numbers or text, got dtype complex"),
        (([[1, 2], [3]], LABELS), DtypeError, "x must be an array, got list"),
        ((TABLE,), UsageError, "got 1 arrays"),
        ((TABLE, LABELS, TABLE), UsageError, "got 3 arrays"),
        ((TABLE, None), UsageError, "got None"),
        (TABLE, UsageError, "a name, a path.* got ndarray"),
        (None, UsageError, "got NoneType"),
        ((TABLE[:2], [0, 1]), UsageError, "got 2 classes with one row each"),
        ((np.array([[1.0], [2], [3], [4]]), "ab"), ShapeError, r"got shape \(\)"),
    ],
)  # fmt: skip
def test_arrays_are_refused_with_the_reason(what: Any, kind: type[NormlabError], said: str) -> None:
    with pytest.raises(kind, match=said):
        load(what)


def test_what_float32_cannot_hold_is_refused_rather_than_made_infinite() -> None:
    x = TABLE.copy()
    x[5, 1] = 1e300
    for standardize in (False, True):
        with pytest.raises(UsageError, match=r"at most 3.4e\+38, the largest of float32, got 1e\+300"):
            load((x, LABELS, x, LABELS), standardize=standardize)
    with pytest.raises(UsageError, match=r"float32, got 2e\+40"):  # a test row 1e40 spreads off
        load(([[0.0], [2e-30]] * 2, [0, 1] * 2, [[2e10]], [0]))


@pytest.mark.parametrize("wrong", [{"test": 0}, {"test": 1.0}, {"test": "half"}, {"test": True}, {"seed": -1}, {"seed": 0.5}])
def test_an_argument_out_of_its_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"load: {next(iter(wrong))} must be .*got"):
        load("digits", **wrong)


# -- the data set itself ------------------------------------------------------------------------------------------


def test_the_fingerprint_tells_whether_anything_changed() -> None:
    made = load((TABLE, LABELS))
    assert len(made.fingerprint) == 32
    assert dataclasses.replace(made, name="other", notes=()).fingerprint == made.fingerprint
    assert pickle.loads(pickle.dumps(made)).fingerprint == made.fingerprint
    for field in ("x", "y", "test_x", "test_y"):
        changed = getattr(made, field).copy()
        changed.flat[0] = changed.flat[0] + 1 if "x" in field else (changed.flat[0] + 1) % 4
        assert dataclasses.replace(made, **{field: changed}).fingerprint != made.fingerprint, field
    assert dataclasses.replace(made, classes=("a", "b", "c", "d")).fingerprint != made.fingerprint
    assert flattened(load("digits")).fingerprint != load("digits").fingerprint


def test_a_dataset_passes_through_and_its_numbers_are_looked_at() -> None:
    made = load((TABLE, LABELS))
    assert load(made) is made
    with pytest.raises(NonFiniteError, match="got 3 numbers"):
        load(Dataset("own", BAD, LABELS, TABLE, LABELS, tuple("abcd")))


def test_the_arrays_cannot_be_written_and_the_users_stay_as_they_were() -> None:
    x, y = TABLE.astype(np.float32), LABELS.astype(np.int64)
    made = Dataset("own", x, y, x, y, tuple("abcd"))
    with pytest.raises(ValueError, match="read-only"):
        made.x[0] = 0
    x[0, 0] = x[0, 0]
    assert x.flags.writeable and y.flags.writeable


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"classes": ("one",)}, UsageError, "at least two classes are required, got 1"),
        ({"classes": ("a", "b")}, UsageError, "training classes must be from 0 to 1, got 0 to 3"),
        ({"test_y": LABELS - 1}, UsageError, "test classes must be from 0 to 3, got -1"),
        ({"y": LABELS[1:]}, ShapeError, r"got \(40, 3\) and \(39,\)"),
        ({"test_x": TABLE[:, :2]}, ShapeError, r"\(3,\), got \(2,\)"),
        ({"x": TABLE[:, 0]}, ShapeError, r"got \(40,\)"),
        ({"test_x": TABLE[:0], "test_y": LABELS[:0]}, ShapeError, "at least one"),
    ],
)
def test_a_dataset_that_does_not_fit_together_is_refused(change: dict[str, Any], kind: type[NormlabError], said: str) -> None:
    fields = {"name": "own", "x": TABLE, "y": LABELS, "test_x": TABLE, "test_y": LABELS, "classes": tuple("abcd")}
    with pytest.raises(kind, match=said):
        Dataset(**{**fields, **change})


def test_a_batch_larger_than_the_rows_is_refused_with_both_numbers() -> None:
    made = load((TABLE[:16], LABELS[:16]))
    made.require(12)
    with pytest.raises(ShapeError, match=r"arrays: the data have 12 training rows, batch is 64\. Give batch=12 at most"):
        made.require(64)


def test_a_document_says_what_it_is_without_the_rows() -> None:
    made = load("digits").to_dict()
    assert (made["name"], made["rows"], made["test_rows"], made["shape"]) == ("digits", 1347, 450, [1, 8, 8])
    assert sum(made["counts"]["training"]) == 1347 and sum(made["counts"]["test"]) == 450
    assert set(made["notes"][0]) == {"en", "ko"} and made["notes"][0]["en"] != made["notes"][0]["ko"]


# -- images for a network -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "size"), [(3, 32), (1, 8), (1, 5), (4, 17), (2, 1)])
def test_images_are_scaled_as_torch_scales_them(channels: int, size: int) -> None:
    torch = pytest.importorskip("torch")
    digits = load("digits")
    theirs = torch.nn.functional.interpolate(torch.tensor(digits.x[:50]), size=(size, size), mode="bilinear", align_corners=False)
    made = as_images(digits, channels=channels, size=size)
    assert (made.x.shape, made.x.dtype) == ((1347, channels, size, size), np.float32)
    # two interpolations of values up to 1: three roundings each, one more of the weight
    np.testing.assert_allclose(made.x[:50], theirs.expand(-1, channels, -1, -1).numpy(), rtol=0, atol=8 * 2**-24)


def test_a_flat_table_of_square_images_is_scaled_as_the_images() -> None:
    digits = load("digits")
    np.testing.assert_array_equal(as_images(flattened(digits)).x, as_images(digits).x)
    assert flattened(digits).x.shape == (1347, 64)


def test_images_that_cannot_be_made_are_refused() -> None:
    with pytest.raises(ShapeError, match="square images are required, got rows of 3 features"):
        as_images(load((TABLE, LABELS)))
    with pytest.raises(ShapeError, match="1 or 3 channels are required, got 4"):
        as_images(as_images(load("digits"), channels=4, size=4))
    with pytest.raises(UsageError, match="size must be a whole number of at least 1, got 0"):
        as_images(load("digits"), size=0)
    with pytest.raises(UsageError, match="1,797 images of 3 x 9999 x 9999"):
        as_images(load("digits"), size=9999)
