"""One adapter a face: a call told in NumPy's arrays runs on any face, and what comes back is NumPy's again.

`of("torch").run(Work(...))` makes a layer, gives it parameters and state, and calls it there and back; `.call` is the
function of the same name in `normlab.functional`. A face that cannot be imported is a loud skip.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import pytest

import normlab
from face_adapters import Jax, Mlx, Numpy, Torch
from face_base import COUNT, DTYPES, Done, Face, Work
from normlab import kernels

__all__ = [
    "COUNT", "DECLARED", "DTYPES", "FACES", "NO_DEVICE", "WAYS", "Done", "Face", "Work", "declared", "of", "on",
    "takes_kernels", "without_kernels",
]  # fmt: skip

FACES: dict[str, type[Face]] = {"numpy": Numpy, "torch": Torch, "jax": Jax, "mlx": Mlx}


def declared() -> set[str]:
    """The face packages of normlab: those that make layers."""
    return {path.parent.name for path in Path(normlab.__file__).parent.glob("*/layers.py")}


def _has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


DECLARED = [*FACES, *(["torch-cuda"] if _has_cuda() else [])]
NO_DEVICE = None if "torch-cuda" in DECLARED else "the grid has no torch-cuda: torch finds no CUDA device here"


@cache
def _made(name: str) -> Face | str:
    try:
        return FACES[name.partition("-")[0]](name)
    except ImportError as error:
        return f"{name}: {error}"


def of(name: str) -> Face:
    """The face of that name; where it cannot be imported the test is skipped, with the reason."""
    found = _made(name)
    if isinstance(found, str):
        pytest.skip(found)
    return found


def takes_kernels(name: str) -> bool:
    """Whether the face gives calls to kernels, where they cover them."""
    return name in ("numpy", "torch")


WAYS = [*DECLARED, *(f"{n}, formula" for n in DECLARED if takes_kernels(n) and kernels.available())]
"""Each face as it is used and, where kernels would take calls, by the plain formula: the fixture `every_face`."""


@contextmanager
def on(way: str) -> Iterator[Face]:
    """The face of one of `WAYS`."""
    name, _, formula = way.partition(", ")
    with without_kernels(bool(formula)):
        yield of(name)


@contextmanager
def without_kernels(off: bool = True) -> Iterator[None]:
    """Inside, NumPy and torch use the plain formula."""
    with kernels.off() if off else nullcontext():
        yield
