"""A folder of images, one sub-folder a class: what cameras and collections leave on the disk."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadWriteError, ShapeError, UsageError, missing_extra
from ..language import both
from .files import listing, reading
from .limits import MAX_VALUES
from .portable_maps import read_portable_map
from .source import Source

__all__ = ["is_image_folder", "read_image_folder"]

Images = NDArray[np.float32]

PORTABLE = {".pgm", ".ppm"}
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"} | PORTABLE
TEST_FOLDERS = ("test", "val", "valid", "validation")
GREY = {"1", "L", "LA", "La"}  # Pillow's modes of 8 bits without colour
DEEP = {"I;16", "I;16L", "I;16B", "I;16N"}  # and of 16 bits


def is_image_folder(folder: Path) -> bool:
    """Whether a sub-folder holds images, or a folder `train` such sub-folders."""
    return any(_images(sub) for sub in _folders(folder)) or any(_images(sub) for sub in _folders(folder / "train"))


def read_image_folder(folder: Path) -> Source:
    """Read images of one size, grey or RGB; the class is the sub-folder.

    With sub-folders in `train` and in `test` (or `val`), the latter is the test set.
    """
    own = [name for name in TEST_FOLDERS if _folders(folder / name)]
    if not _folders(folder / "train") or not own:
        x, y, notes = _read(folder if not _folders(folder / "train") else folder / "train", None)
        return Source(str(folder), folder.name, x, y, scaled=True, notes=notes)
    x, y, notes = _read(folder / "train", None)
    test_x, test_y, more = _read(folder / own[0], x.shape[1:])
    notes += [note for note in more if note not in notes]
    notes.append(both("The test set is {file}.", file=own[0]))
    return Source(str(folder), folder.name, x, y, test_x, test_y, scaled=True, notes=notes)


def _folders(folder: Path) -> list[Path]:
    paths = [folder / name for name in listing(folder) if not name.startswith(".")]
    return [path for path in paths if path.is_dir()]


def _images(folder: Path) -> list[Path]:
    names = [name for name in listing(folder) if not name.startswith(".")]
    return [folder / name for name in names if Path(name).suffix.lower() in ENDINGS and (folder / name).is_file()]


def _read(folder: Path, shape: tuple[int, ...] | None) -> tuple[Images, NDArray[Any], list[dict[str, str]]]:
    """The images of a folder of classes; `shape` is what they must have, None: what the first has."""
    by_class = {sub.name: _images(sub) for sub in _folders(folder)}
    _refuse_empty(folder, by_class)
    files = [file for group in by_class.values() for file in group]
    first = _open(files[0])
    if len(files) * first.size > MAX_VALUES:
        raise UsageError(
            f"{folder}: at most {MAX_VALUES:,} values are read, got {len(files):,} images of {first.size:,}.",
            hint="Make the images smaller, or take a part of them.",
        )
    images = [first] + [_same_size(file, _open(file), files[0], first) for file in files[1:]]
    x, notes = _stacked(images, 1 if shape is None else shape[0])
    if shape is not None and x.shape[1:] != shape:
        raise ShapeError(f"{folder}: images must be as those to train on, {shape}, got {x.shape[1:]}.")
    return x, np.repeat(np.array(list(by_class)), [len(group) for group in by_class.values()]), notes


def _refuse_empty(folder: Path, by_class: dict[str, list[Path]]) -> None:
    empty = [name for name, files in by_class.items() if not files]
    if empty:
        raise UsageError(
            f"{folder / empty[0]}: at least one image is required in each class, got none.",
            hint=f"Endings that are read: {', '.join(sorted(ENDINGS))}. Take the folder away if it is no class.",
        )


def _stacked(images: list[Images], channels: int) -> tuple[Images, list[dict[str, str]]]:
    """The images as one array of at least so many channels, and what to know about it."""
    found = {len(image) for image in images}
    x = np.empty((len(images), max(channels, *found), *images[0].shape[1:]), np.float32)
    for row, image in zip(x, images, strict=True):
        row[:] = image  # a grey image is the same in red, green and blue
    notes = [both("Pixels are divided by the largest value that their files allow.")]
    if found != {x.shape[1]}:
        notes.append(both("Grey images stand beside coloured ones and are given three equal channels."))
    return x, notes


def _same_size(file: Path, image: Images, other: Path, first: Images) -> Images:
    if image.shape[1:] != first.shape[1:]:
        (h, w), (h_first, w_first) = image.shape[1:], first.shape[1:]
        raise ShapeError(
            f"{file}: all images must have one size, {w} x {h} here and {w_first} x {h_first} in {other}.",
            hint="Scale or crop them to one size first.",
        )
    return image


def _open(file: Path) -> Images:
    """One image, (1 or 3, height, width), from 0 to 1."""
    if file.suffix.lower() in PORTABLE:
        return read_portable_map(file)
    try:
        from PIL import Image
    except ImportError as problem:
        raise missing_extra("images", "Pillow") from problem
    with reading(file), warnings.catch_warnings():
        # Pillow warns of images far larger than their files, which fill the memory
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file) as picture:
                return _pixels(picture)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as problem:
            raise UsageError(f"{file}: the image is too large: {problem}") from problem
        except (Image.UnidentifiedImageError, SyntaxError, ValueError, EOFError) as problem:
            raise ReadWriteError(f"{file}: is no readable image: {problem}.", hint="Save it again.") from problem


def _pixels(picture: Any) -> Images:
    if picture.mode in DEEP:
        return np.asarray(picture).astype(np.float32)[None] / np.float32(65535)
    pixels = np.asarray(picture.convert("L" if picture.mode in GREY else "RGB"), dtype=np.float32)
    return np.moveaxis(pixels.reshape(*pixels.shape[:2], -1), -1, 0) / np.float32(255)
