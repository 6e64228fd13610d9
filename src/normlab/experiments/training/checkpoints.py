"""A training's state on the disk: arrays and plain numbers in one .npz, written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from normlab.errors import ReadWriteError

__all__ = ["read", "write"]

_PLAIN = "plain"  # the entry that holds everything but the arrays, as JSON


def write(path: Path, state: dict[str, Any]) -> None:
    """Keep a `state`, whose values are arrays or plain. Raises ReadWriteError."""
    arrays: dict[str, Any] = {name: a for name, a in state.items() if isinstance(a, np.ndarray)}
    plain = {name: a for name, a in state.items() if name not in arrays}
    held = io.BytesIO()
    arrays[_PLAIN] = np.array(json.dumps(plain))
    np.savez(held, allow_pickle=False, **arrays)
    beside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(held.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ReadWriteError(f"{path}: the checkpoint cannot be written: {error.strerror}.") from error


def read(path: Path) -> dict[str, Any] | None:
    """A state that was kept; None where there is none, or only a damaged one, from which nothing can go on."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files if name != _PLAIN}
            return {**arrays, **json.loads(str(held[_PLAIN]))}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
