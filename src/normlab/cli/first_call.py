"""What the first call of a kernel costs here: measured in a process of its own, since this one imports no compiler."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

__all__ = ["kernels"]

# One call over rows of float32, then what had to be compiled or read for it.
_CALL = """
import json
import numpy
from normlab import kernels
from normlab.kernels import pool
from normlab.pattern import parse
x = numpy.ones((64, 64), numpy.float32)
kernels.standardize(x, parse("n [c]").plan(x.shape))
ready = kernels.compiled()
spent = [one.compile_seconds for one in ready]
print(json.dumps({"threads": pool.threads(), "kernels": len(ready), "from_cache": all(one.cached for one in ready),
                  "first_call_s": sum(one.seconds for one in ready),
                  "compile_s": None if None in spent else sum(spent)}))
"""
# A compiler on a busy machine: some kernels take over ten seconds.
_PATIENCE_S = 120


def kernels() -> dict[str, Any]:
    """Whether kernels run here, on how many threads, and what preparing the first of them takes, in seconds.

    Returns: `present` (Numba can be imported); and where a kernel ran, `threads`, `kernels` (how many the call
        needed), `from_cache` (read from the disk, not compiled), `first_call_s` and `compile_s`, what compiling took,
        now or then (None where nobody wrote it down); else `why`, the last line that the call said.
    """
    if find_spec("numba") is None:
        return {"present": False}
    return {"present": True, **_measured()}


@functools.cache
def _measured() -> dict[str, Any]:
    """Once a process: a second look would find the cache that the first one filled."""
    try:
        run = subprocess.run([sys.executable, "-c", _CALL], capture_output=True, text=True, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"why": str(error)}
    if run.returncode:
        return {"why": (run.stderr.strip().splitlines() or [f"exit code {run.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}
