"""Bytes that do not depend on company, on threads or on the process."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from comparing import same_bytes
from grid import acting
from normlab import numpy as face
from normlab.definition import Definition

# Bytes


ROW_WISE = [d for d in acting() if "independent" in d.invariances and d.role == "norm"]
ROW_SHAPE = (100, 16, 9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["n c ...", "n ... c"])
@pytest.mark.parametrize("d", ROW_WISE, ids=lambda d: d.name)
def test_a_rows_bytes_do_not_depend_on_the_rows_beside_it(d: Definition, layout: str, dtype: str, way: str) -> None:
    """n = 1 against n = 100, forward and back; by the formula in C and F order alike."""
    x = np.random.default_rng(0).standard_normal(ROW_SHAPE).astype(dtype)
    x[3], x[4] = 1e6, np.nan  # company must not matter, however bad
    dy = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
    layer = face.build(d, ROW_SHAPE[layout.split().index("c")] if layout != "n ... c" else 9, layout=layout)
    y = layer(x)
    dx = layer.backward(dy)
    for order in ("C", "F") if way == "formula" else ("C",):
        for rows in (slice(0, 1), slice(57, 58), slice(99, 100), slice(10, 13), slice(0, 100)):
            part, dpart = np.asarray(x[rows], order=order), np.asarray(dy[rows], order=order)
            same_bytes(np.ascontiguousarray(layer(part)), np.ascontiguousarray(y[rows]), f"{order} {rows}")
            same_bytes(np.ascontiguousarray(layer.backward(dpart)), np.ascontiguousarray(dx[rows]), f"{order} {rows}")


@pytest.mark.parametrize("d", acting(), ids=lambda d: d.name)
def test_threads_and_their_number_do_not_change_the_bytes(d: Definition) -> None:
    """Case 34: different sums for one thread and several elsewhere."""
    layout = d.layout
    shape = (40, 64, 30)
    channels = {"... c": 30, "n c ...": 64}.get(layout, 40)
    x = np.random.default_rng(0).standard_normal(shape)
    inputs = {
        i.name: np.random.default_rng(1).standard_normal((shape[0], 1)) for i in d.inputs if i.where != "function"
    }
    layer = face.build(d, channels)

    def run(_: int) -> bytes:
        twin = copy.deepcopy(layer)
        y = twin(x, **inputs)
        return y.tobytes() + twin.backward(y).tobytes()

    with threadpool_limits(1, "blas"):
        wanted = run(0)
    with threadpool_limits(2, "blas"):
        assert run(0) == wanted
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(8))) == {wanted}


def test_the_bytes_are_the_same_in_another_process() -> None:
    """From run to run, whatever the hash seed."""
    code = (
        "import hashlib, numpy as np\nfrom normlab import numpy as face, registry\nh = hashlib.sha256()\n"
        "for d in registry.methods():\n"
        "    if d.role != 'input':\n"
        "        x = np.random.default_rng(0).standard_normal((8, 8, 8))\n"
        "        layer = face.build(d, 8)\n"
        "        y = layer(x, **{i.name: x[:, :1, 0] for i in d.inputs if i.where != 'function'})\n"
        "        h.update(y.tobytes() + layer.backward(y).tobytes())\n"
        "print(h.hexdigest())\n"
    )
    found = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1 and len(found.pop()) == 65
