"""The process that times: reads what to do from its input, prints a line of JSON for each case.

A process of its own, because thread pools are sized when a framework is imported: it is pinned to as many processors
as there are threads before that, and BLAS is on one thread.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["environment", "main"]


def environment(threads: int) -> dict[str, str]:
    """What the process must find in its environment."""
    return {
        **os.environ, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": str(threads),
        "NORMLAB_THREADS": str(threads), "JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }  # fmt: skip


def main() -> None:
    """Do the work that stands on stdin."""
    work = json.load(sys.stdin)
    affinity = getattr(os, "sched_setaffinity", None)
    if affinity is not None:
        affinity(0, sorted(os.sched_getaffinity(0))[: work["threads"]])
    from .suite import Case

    for one in work["cases"]:
        case = Case(**{**one, "shape": tuple(one["shape"])})
        print(json.dumps(time_case(case, work["contestants"], work["seconds"], work["alone"])), flush=True)


def time_case(case: Any, names: list[str], seconds: float, alone: bool = False) -> dict[str, Any]:
    """The samples of every contestant that takes part, how far off each is, and why the others do not.

    `alone`: it has been compared with the others before, so that only its time is wanted.
    """
    from ..errors import NormlabError
    from .contestants import CONTESTANTS, Material, Refusal, ready
    from .contestants.material import truth
    from .judging import error_of, is_another_function
    from .share import inside_kernels
    from .timing import rotate

    runs, refused, errors = {}, {}, {}
    material = Material.of(case)
    right = truth(case, material) if _is_settled(case.definition) and not alone else None
    for name in names:
        try:
            made = ready(name, case)
            error = None if right is None else error_of(made.outcome(), right, case.dtype)
            if is_another_function(error, case.dtype):
                raise Refusal("what it has of this name gives something else here")
            errors[name], runs[name] = error, made.run
        except NormlabError as problem:
            refused[name] = str(problem)
        except Exception as problem:  # a peer that fails is a finding, and no reason to lose the others
            refused[name] = f"{type(problem).__name__}: {problem}".splitlines()[0]
    first = next((n for n in runs if CONTESTANTS[n].ours), None)
    if first is not None and not alone:
        runs["again"] = ready(first, case).run
    if not alone and "torch" in names:
        from .contestants.with_torch import clone

        runs["clone"] = clone(case)
    samples = rotate(runs, seconds) if runs else {}
    return {
        "case": case.to_dict(), "samples": {n: list(s) for n, s in samples.items()}, "refused": refused,
        "errors": errors, "against_itself": first,
        "inside_kernels": inside_kernels(runs[first]) if first is not None and not alone else None,
    }  # fmt: skip


def _is_settled(definition: Any) -> bool:
    """Whether every contestant must give the same: no random numbers, no start of its own."""
    drawn = any(isinstance(s.start, str) for s in definition.states)
    return definition.role != "dropout" and definition.start is None and not drawn


if __name__ == "__main__":
    main()
