"""The libraries that tests alone compare with: `from foreign import timm` imports one, prepared for where tests run.

Each is imported on first use, since each takes seconds. None may reach for the network, nor write into the home folder.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.machinery
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["keras", "timm", "torchvision", "transformers"]  # noqa: F822 (resolved by __getattr__)

# Operators that torchvision's Python part registers more for while it is imported, and the other two import it.
OPERATORS = ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
             "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # fmt: skip
KEPT: list[Any] = []
"""A torch.library.Library takes back what it declared when it is collected."""


def prepare_torchvision() -> None:
    """Declare the operators where torchvision's compiled part is built for another torch (CUDA's) and cannot load.

    Its Python part, which is all that models need, then imports; calling `nms` itself raises.
    """
    if KEPT or _compiled_part_loads():
        return
    from torch.library import Library

    library = Library("torchvision", "DEF")
    for operator in OPERATORS:
        library.define(operator)
    KEPT.append(library)


def _compiled_part_loads() -> bool:
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # then importing it says what is wrong
    details = (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES)
    found = importlib.machinery.FileFinder(str(Path(spec.origin).parent), details).find_spec("_C")
    try:
        torch.ops.load_library(found.origin if found else "_C")
    except OSError:
        return False
    return True


def prepare_keras() -> None:
    """Keras on torch's arrays; it writes its settings to a folder that goes away with the process."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    if "KERAS_HOME" not in os.environ:
        os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="keras-")
        atexit.register(shutil.rmtree, os.environ["KERAS_HOME"], ignore_errors=True)


PREPARATIONS = {
    "keras": prepare_keras,
    "timm": prepare_torchvision,
    "torchvision": prepare_torchvision,
    "transformers": prepare_torchvision,
}


def __getattr__(name: str) -> Any:
    if name not in PREPARATIONS:
        raise AttributeError(f"module 'foreign' has no attribute {name!r}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models are built from their classes, never fetched
    PREPARATIONS[name]()
    return importlib.import_module(name)
