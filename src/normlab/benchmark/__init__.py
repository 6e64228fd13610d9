"""`normlab.bench`: every method on every face, beside what people use without normlab, on this machine.

All contestants of a case take turns in one process, on the same threads; each is timed alone in a process of its own as
well, and where the company has slowed one down the comparison is void. Outputs are compared with float64 in that run.
"""

from __future__ import annotations

from .race import Benchmark, bench

__all__ = ["Benchmark", "bench"]
