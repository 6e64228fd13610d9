"""`normlab.data.load` on IDX files, CIFAR's binary files and folders of images, written here byte by byte."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_files import IDX_CODES, cifar_bytes, cifar_pixel, digits_like, idx_bytes, idx_header, pgm, write_mnist
from normlab.data import load
from normlab.data.idx import read_idx_file
from normlab.data.portable_maps import read_portable_map
from normlab.errors import NormlabError, ReadWriteError, ShapeError, UsageError

# -- IDX ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("point", [False, True], ids=["dash", "point"])
@pytest.mark.parametrize("given_as", ["folder", "images", "labels"])
def test_the_four_files_of_mnist_are_found(packed: bool, point: bool, given_as: str, tmp_path: Path) -> None:
    x, y, test_x, test_y = write_mnist(tmp_path, packed, point)
    path = tmp_path if given_as == "folder" else next(tmp_path.glob(f"train-{given_as}*"))
    made = load(path)
    np.testing.assert_allclose(made.x[:, 0], x / 255, rtol=1e-6)  # one rounding of float32
    np.testing.assert_allclose(made.test_x[:, 0], test_x / 255, rtol=1e-6)
    assert (made.y.tolist(), made.test_y.tolist()) == (y.tolist(), test_y.tolist())
    assert any("t10k-images" in note["en"] for note in made.notes)
    assert made.name == (path if given_as != "labels" else next(tmp_path.glob("train-images*"))).name


def test_without_a_test_set_the_images_are_split(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / name).unlink()
    made = load(tmp_path)
    assert (len(made.x), len(made.test_x)) == (9, 3)


@pytest.mark.parametrize("kind", IDX_CODES)
def test_every_type_of_the_format_is_read(kind: str, tmp_path: Path) -> None:
    array = (np.arange(24) - (0 if kind == "u1" else 12)).astype(kind).reshape(2, 3, 4)
    path = tmp_path / "values.idx3"
    path.write_bytes(idx_bytes(array))
    read = read_idx_file(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype and read.dtype.isnative


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"", UsageError, "begins with two zero bytes, .* got an empty file"),
        (b"\x00\x01\x08\x03", UsageError, "got 00 01 08 03"),
        (b"\x00\x00\x07\x03" + bytes(12), UsageError, "a type of 0x08, .* got 00 00 07 03"),
        (b"\x00\x00\x08\x00", UsageError, "got 00 00 08 00"),
        (idx_header(8, 3, 2, 2)[:9], ReadWriteError, "the lengths of 3 axes must follow"),
        (idx_header(8, 3, 2, 2) + bytes(11), ReadWriteError, "the values of 3 x 2 x 2 must be 12 bytes, got 11"),
        (idx_header(8, 3, 2, 2) + bytes(13), ReadWriteError, "must be 12 bytes, there are more"),
        (idx_header(8, 2**31, 2**31), UsageError, "at most 200,000,000 values are read, the file says 2147483648 x 2147483648"),
        (idx_header(8, *[2**32 - 1] * 200), ShapeError, r"one to four axes .* got 4294967295 x .* \.\.\."),
        (idx_header(14, 200_000_000), UsageError, "at most 268,435,456 bytes are read, got 1,600,000,000"),
        (idx_header(8, 0, 28, 28), ShapeError, "axes of at least 1 are required, got 0 x 28 x 28"),
        (gzip.compress(idx_header(8, 3, 2, 2) + bytes(12), mtime=0)[:-9], ReadWriteError, "cut short or damaged"),
        (gzip.compress(idx_header(8, 3, 2, 2) + bytes(11), mtime=0), ReadWriteError, "must be 12 bytes, got 11"),
        (b"\x1f\x8b" + bytes(30), ReadWriteError, "cut short or damaged"),
    ],
)  # fmt: skip
def test_a_file_that_says_something_else_than_it_holds_is_refused(
    content: bytes, kind: type[NormlabError], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(kind, match=said) as caught:
        read_idx_file(path)
    assert str(path) in str(caught.value)


def test_a_bomb_is_read_no_further_than_it_says(tmp_path: Path) -> None:
    """64 MiB of zeros in 64 KB: the header asks for 12 bytes; what is taken stays far below what is packed."""
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx_header(8, 3, 2, 2) + bytes(2**26)))
    assert path.stat().st_size < 2**17
    tracemalloc.start()
    try:
        with pytest.raises(ReadWriteError, match="there are more"):
            read_idx_file(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_claim_without_content_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(idx_header(8, 100_000_000) + bytes(10))
    tracemalloc.start()
    try:
        with pytest.raises(ReadWriteError, match="must be 100,000,000 bytes, got 10"):
            read_idx_file(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=40), st.sampled_from([b"", b"\0\0\x08\x01", b"\0\0\x0d\x02", b"\0\0\x08\x03", b"\x1f\x8b\x08"]))
def test_no_bytes_do_anything_but_become_an_array_or_an_error(tail: bytes, head: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train-images-idx3-ubyte")
        path.write_bytes(head + tail)
        try:
            array = read_idx_file(path)
        except NormlabError as refused:
            assert str(path) in str(refused)
        else:
            assert idx_bytes(array) == head + tail


def test_images_and_labels_that_do_not_fit_are_said(tmp_path: Path) -> None:
    x, y = digits_like(12)
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    images.write_bytes(idx_bytes(x))
    with pytest.raises(ReadWriteError, match="the labels must lie beside it, as train-labels-idx1-ubyte; there is no such"):
        load(images)
    labels.write_bytes(idx_bytes(y[:11]))
    with pytest.raises(ShapeError, match="one label for each of 12 images is required, got 11"):
        load(images)
    labels.write_bytes(idx_bytes(x))
    with pytest.raises(ShapeError, match="got 12 x 5 x 5"):
        load(images)
    (tmp_path / "letters-train-images-idx3-ubyte").write_bytes(idx_bytes(x))
    with pytest.raises(UsageError, match="one file of training images is required, got 2"):
        load(tmp_path)


def test_a_file_with_any_name_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    x, y = digits_like(12)
    (tmp_path / "my-images.dat").write_bytes(idx_bytes(x))
    (tmp_path / "my-labels.dat").write_bytes(idx_bytes(y))
    assert load(tmp_path / "my-images.dat").shape == (1, 5, 5)


# -- CIFAR --------------------------------------------------------------------------------------------------------


def test_the_batches_of_cifar_10_are_put_together_with_their_names(tmp_path: Path) -> None:
    for batch in (1, 2):
        (tmp_path / f"data_batch_{batch}.bin").write_bytes(cifar_bytes([(3,), (5,), (3,)], first=batch))
    (tmp_path / "test_batch.bin").write_bytes(cifar_bytes([(5,)], first=9))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (tmp_path / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    made = load(tmp_path)
    assert (made.x.shape, made.test_x.shape) == ((6, 3, 32, 32), (1, 3, 32, 32))
    assert made.classes == ("cat", "dog") and made.y.tolist() == [0, 1, 0, 0, 1, 0] and made.test_y.tolist() == [1]
    for colour, row, column in ((0, 0, 0), (1, 2, 3), (2, 31, 30)):
        assert made.x[4, colour, row, column] == pytest.approx(cifar_pixel(1, colour, row, column, first=2) / 255, rel=1e-6)
    one = load(tmp_path / "data_batch_2.bin")
    np.testing.assert_array_equal(one.x, made.x[3:])
    assert len(one.test_x) == 1


def test_cifar_100_has_its_fine_labels(tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_bytes(cifar_bytes([(0, 99), (1, 7), (0, 99)]))
    (tmp_path / "test.bin").write_bytes(cifar_bytes([(1, 7)]))
    made = load(tmp_path)
    assert made.classes == ("7", "99") and made.y.tolist() == [1, 0, 1]
    assert made.x[1, 2, 3, 4] == pytest.approx(cifar_pixel(1, 2, 3, 4) / 255, rel=1e-6)
    (tmp_path / "train.bin").rename(tmp_path / "any.bin")  # two records of 3074 bytes: no whole number of 3073
    assert load(tmp_path / "any.bin").classes == ("7", "99")


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"", ReadWriteError, "records of 3,073 bytes are required, got 0 bytes"),
        (cifar_bytes([(1,), (2,)])[:-1], ReadWriteError, "got 6,145 bytes, which is 1 records and 3,072 bytes more"),
        (cifar_bytes([(1,), (10,)]), UsageError, "labels must be from 0 to 9, got 10 in record 2"),
    ],
)
def test_a_damaged_batch_is_refused(content: bytes, kind: type[NormlabError], said: str, tmp_path: Path) -> None:
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(content)
    with pytest.raises(kind, match=said):
        load(path)


# -- folders of images --------------------------------------------------------------------------------------------


def write_folder(folder: Path, grey: bool = True, count: int = 4) -> None:
    for k, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = (np.arange(6 if grey else 18) * 5 + 40 * k + i).reshape((2, 3) if grey else (2, 3, 3))
            (folder / name / f"{i}.{'pgm' if grey else 'ppm'}").write_bytes(pgm(pixels))


@pytest.mark.parametrize(("grey", "channels"), [(True, 1), (False, 3)])
def test_the_class_is_the_folder(grey: bool, channels: int, tmp_path: Path) -> None:
    write_folder(tmp_path, grey)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    made = load(tmp_path)
    assert made.classes == ("cat", "dog") and made.shape == (channels, 2, 3)
    assert (len(made.x), len(made.test_x)) == (6, 2)
    brightest = made.x[made.y == 0].max() * 255
    assert brightest == pytest.approx((25 if grey else 85) + 3, abs=1.01)  # the last image may be kept back
    assert made.x[made.y == 1].min() * 255 >= 40 - 1e-4


def test_train_and_test_folders_stay_apart(tmp_path: Path) -> None:
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "test", count=1)
    made = load(tmp_path)
    assert (len(made.x), len(made.test_x)) == (8, 2) and made.test_y.tolist() == [0, 1]
    np.testing.assert_allclose(made.x[0, 0].ravel() * 255, [0, 5, 10, 15, 20, 25], atol=1e-4)


def test_what_pillow_writes_is_read_in_every_mode(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    colours = (np.arange(48) * 5).astype(np.uint8).reshape(4, 4, 3)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    image.fromarray(colours).save(tmp_path / "a" / "colour.png")
    image.fromarray(np.dstack([colours, colours[..., :1]])).save(tmp_path / "a" / "alpha.PNG")
    image.fromarray(colours).quantize(16).save(tmp_path / "b" / "palette.gif")
    image.fromarray(colours[..., 0]).save(tmp_path / "b" / "grey.bmp")
    image.fromarray(colours[..., 0].astype(np.uint16) * 257).save(tmp_path / "b" / "deep.png")
    write = {"a": [colours, colours], "b": [colours[..., :1], colours[..., :1]]}
    made = load((tmp_path), test=0.1)
    every = np.concatenate([made.x, made.test_x])
    assert made.shape == (3, 4, 4) and any("three equal channels" in note["en"] for note in made.notes)
    for pixels in write["a"] + write["b"]:
        expected = np.moveaxis(np.broadcast_to(pixels, (4, 4, 3)), -1, 0) / 255
        assert np.abs(every - expected).max(axis=(1, 2, 3)).min() < 1e-6


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    other = tmp_path / "dog" / "9.pgm"
    other.write_bytes(pgm(np.zeros((4, 5))))
    with pytest.raises(ShapeError, match=r"9\.pgm: all images must have one size, 5 x 4 here and 3 x 2 in .*cat.0\.pgm"):
        load(tmp_path)
    other.unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty: at least one image is required in each class"):
        load(tmp_path)
    (tmp_path / "empty").rmdir()
    (tmp_path / "dog" / "8.png").write_bytes(b"no picture")
    pytest.importorskip("PIL.Image")
    with pytest.raises(ReadWriteError, match=r"8\.png: is no readable image"):
        load(tmp_path)


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    write_folder(tmp_path, count=1)
    for old in tmp_path.glob("*/0.pgm"):
        image.fromarray(np.zeros((40, 40), np.uint8)).save(old.with_suffix(".png"))
        old.unlink()
    monkeypatch.setattr(image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UsageError, match="the image is too large"):
        load(tmp_path)


def test_without_pillow_one_line_installs_it_and_portable_maps_need_none(tmp_path: Path) -> None:
    from test_missing_extras import LINE, alone

    write_folder(tmp_path / "maps")
    write_folder(tmp_path / "pictures")
    (tmp_path / "pictures" / "cat" / "0.png").write_bytes(b"")
    code = """
from normlab.data import load
print(load("maps"))
try:
    load("pictures")
except ImportError as error:
    print(type(error).__name__, error.code, error)
"""
    run = alone(code, "PIL", folder=tmp_path)
    assert run.stdout == (
        "Dataset('maps': 6 + 2 rows of 1 x 2 x 3, 2 classes)\n"
        f"MissingExtraError 3 Pillow is not installed. Install it with: {LINE.format('images')}\n"
    ), run.stderr


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
@pytest.mark.parametrize("largest", [1, 100, 255, 1000, 65535])
def test_a_portable_map_is_read_as_it_is_described(shape: tuple[int, ...], largest: int, tmp_path: Path) -> None:
    pixels = np.arange(np.prod(shape)).reshape(shape) * largest // np.prod(shape)
    path = tmp_path / "image.pnm"
    for comment in (False, True):
        path.write_bytes(pgm(pixels, largest, comment))
        expected = np.moveaxis(pixels.reshape(3, 5, -1), -1, 0) / largest
        np.testing.assert_allclose(read_portable_map(path), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"", UsageError, "begins with P5 or P6"),
        (b"P2\n2 2\n255\n1 2 3 4\n", UsageError, "Save it as binary"),
        (b"P5\n2 2\n255\n123", ReadWriteError, "the pixels of 2 x 2 must be 4 bytes, got 3"),
        (b"P5 0 2 255\n", UsageError, "got 0 x 2 and 255"),
        (b"P5 2 2 0\n1234", UsageError, "got 2 x 2 and 0"),
        (b"P6 2147483648 2147483648 255\n", UsageError, "got 2147483648 x 2147483648"),
        (b"P5 14000 14000 65535\n", UsageError, "at most 268,435,456 bytes"),
    ],
)
def test_a_portable_map_is_refused_with_the_reason(content: bytes, kind: type[NormlabError], said: str, tmp_path: Path) -> None:
    path = tmp_path / "image.pgm"
    path.write_bytes(content)
    with pytest.raises(kind, match=said):
        read_portable_map(path)
