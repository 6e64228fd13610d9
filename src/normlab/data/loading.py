"""One way to every data set: a name, the user's file or folder, or arrays become rows to train on and to judge by."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..constraints import Interval
from ..errors import ReadWriteError, UsageError, near
from ..language import both
from .arranging import arrange
from .cifar import is_cifar_folder, read_cifar
from .classes import number_classes
from .dataset import Dataset
from .digits import load_digits
from .files import as_path, reading
from .idx import find_images, is_idx, read_idx
from .image_folder import is_image_folder, read_image_folder
from .labelled_arrays import read_labelled_npz
from .labelled_text import read_labelled_csv
from .scaling import Notes, Parts, as_float32, scale_pixels
from .scaling import standardize as standardize_columns
from .source import Source, from_arrays
from .splitting import split
from .toys import TOYS, read_toy

__all__ = ["load"]

SHARE = Interval(0, 1, open_low=True, open_high=True)
SEED = Interval(0, whole=True)
DARKEST = 16  # the digits' pixels run from 0 to 16
FILES = ".npz, .csv, IDX files (MNIST), .bin (CIFAR) or a folder of them, or a folder of images"


def load(what: Any, *, test: float = 0.25, seed: int = 0, standardize: bool = True) -> Dataset:
    """Load rows with their classes, split them and scale them.

    - `"digits"`: the handwritten digits of the package, 1 x 8 x 8, 1347 to train on and 450 to judge by; the same
      split for every seed.
    - `"moons"`, `"circles"`, `"spirals"`, `"blobs"`: points in the plane, with options as in
      `"spirals:n=500,noise=0.1,arms=3"`; circles have `factor`, blobs `classes`.
    - `.npz`: `x` and `y`, `x_train` ... `y_test` as in Keras' mnist.npz, or `data` and `target`.
    - `.csv`: the class in the column named label, target, class or y, or in the last one; a header may be there.
    - IDX files as of MNIST, packed or not, CIFAR's binary files, or a folder of these.
    - A folder of images, one sub-folder a class (extra `images`; .pgm and .ppm need none).
    - `(x, y)` or `(x, y, test_x, test_y)`; or a Dataset, which is checked and given back as it is.

    Rows of two axes after the first are grey images; four axes are images, channels first or last.

    Shapes:
        x (n, features) or (n, channels, height, width), y (n,)

    Args:
        what: which data; see above.
        test: the share that is kept back where the data bring no test set, above 0 and below 1: of every class its
            share, and of each class with two rows at least one.
        seed: of that choice, and of the points in the plane; a whole number of at least 0.
        standardize: whether the columns of tables get mean 0 and spread 1, by the training rows. Images always go
            from 0 to 1.

    Returns:
        A Dataset, whose `notes` say what was done.

    Raises:
        UsageError: what cannot be used, and why: a single class, quantities instead of classes, text for numbers.
        NonFiniteError: NaN or infinity, with count, columns and first row.
        ReadWriteError: no such file, or a damaged one.
        MissingExtraError: images without Pillow.

    Example:
        >>> from normlab.data import load
        >>> load("spirals:n=400,arms=2", seed=1)
        Dataset('spirals:n=400,arms=2': 300 + 100 rows of 2 features, 2 classes)
    """
    _check_arguments(test, seed)
    if isinstance(what, Dataset):
        arrange(from_arrays(what.x, what.y, what.test_x, what.test_y))  # for what is not finite
        return what
    source = arrange(_find(what, seed))
    return _finish(source, test, seed, standardize)


def _check_arguments(test: Any, seed: Any) -> None:
    for name, value, constraint in (("test", test, SHARE), ("seed", seed, SEED)):
        if not constraint.accepts(value):
            raise UsageError(f"load: {name} must be {constraint}, got {value!r}.")


def _find(what: Any, seed: int) -> Source:
    if isinstance(what, tuple | list):
        if len(what) not in (2, 4):
            raise UsageError(f"load: (x, y) or (x, y, test_x, test_y) is required, got {len(what)} arrays.")
        return from_arrays(*what)
    if not isinstance(what, str | os.PathLike):
        raise UsageError(
            f"load: a name, a path, (x, y) or (x, y, test_x, test_y) is required, got {type(what).__name__}."
        )
    if what == "digits":
        images, labels = load_digits()
        return Source("digits", "digits", images[:, None], labels, divisor=DARKEST, split_seed=0)
    if isinstance(what, str) and what.partition(":")[0].strip() in TOYS:
        return read_toy(what, seed)
    return _read(as_path("load", what))


def _read(path: Path) -> Source:
    if path.is_dir():
        return replace(_read_folder(path), name=path.resolve().name)  # of "." too
    with reading(path):
        if not path.exists():
            _refuse_name(path)
        if not path.is_file():
            path.stat()  # what is not there says so
            raise ReadWriteError(f"{path}: a file or a folder is required, this is a device.")
        ending = path.suffix.lower()
        if ending == ".npz":
            return read_labelled_npz(path)
        if ending == ".csv":
            return read_labelled_csv(path)
        if ending == ".bin":
            return read_cifar(path)
        if "ubyte" in path.name or "idx" in path.name or is_idx(path):
            return read_idx(path)
    came = f"got the ending {path.suffix!r}" if path.suffix else "got no ending"
    raise UsageError(f"{path}: {FILES} are required, {came}.")


def _refuse_name(path: Path) -> None:
    """A word without an ending may be a name that was spelled wrongly."""
    if path.name == str(path) and not path.suffix:
        names = ["digits", *TOYS]
        close = near(path.name.partition(":")[0], names)
        hint = f"Did you mean {', '.join(close)}?" if close else f"Known names: {', '.join(names)}."
        raise ReadWriteError(f"{path}: there is no such data set, and no such file.", hint=hint)


def _read_folder(folder: Path) -> Source:
    if is_cifar_folder(folder):
        return read_cifar(folder)
    images = find_images(folder)
    if images is not None:
        return read_idx(images)
    if is_image_folder(folder):
        return read_image_folder(folder)
    raise UsageError(
        f"{folder}: a folder must hold train-images-idx3-ubyte and its like, data_batch_1.bin or train.bin, "
        "or one sub-folder of images for each class; it has none of these.",
        hint="Give the file itself where the data are one file.",
    )


def _finish(source: Source, test: float, seed: int, standardized: bool) -> Dataset:
    """Number, split, scale: in this order, so that nothing is learnt from the rows that are kept back."""
    y, test_y, classes, notes = number_classes(source)
    x, test_x = source.x, source.test_x
    if test_x is None or test_y is None:
        train, kept = split(source.where, y, test, seed if source.split_seed is None else source.split_seed)
        notes.append(both("Kept back to judge by: {test} of {rows} rows.", test=len(kept), rows=len(y)))
        x, y, test_x, test_y = x[train], y[train], x[kept], y[kept]
    (x, test_x), more = _scaled(source, x, test_x, standardized)
    return Dataset(source.name, x, y, test_x, test_y, classes, (*source.notes, *notes, *more))


def _scaled(source: Source, x: NDArray[Any], test_x: NDArray[Any], standardized: bool) -> tuple[Parts, Notes]:
    if x.ndim == 4 and not source.scaled:
        return scale_pixels(source.where, x, test_x, source.divisor)
    if standardized and not source.scaled:
        return standardize_columns(source.where, x, test_x)
    parts = as_float32(source.where, x), as_float32(source.where, test_x)
    return parts, [] if source.scaled else [both("Columns are left as they are.")]
