"""Runs claims, two at a time where there are two cores, and keeps what came as one document."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from typing import Any

from normlab.errors import install_line
from normlab.language import both
from normlab.processors import usable
from normlab.result import Result, machine, versions

from ..repeatable import by_the_formula
from . import chosen_claims
from .claim import NOT_RUN, Claim, verdict

__all__ = ["Claims", "Interrupted", "run_claims"]

Document = dict[str, Any]
OnClaim = Callable[[int, int, Mapping[str, Any]], None]  # how many are finished, of how many, the last one's entry
MODULES = {"torch": "torch", "sklearn": "sklearn", "mlx": "mlx", "fast": "numba"}


class Claims(Result):
    """What became of the claims."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; `result` holds the claims that were finished, or is None where none was."""

    def __init__(self, result: Claims | None) -> None:
        super().__init__()
        self.result = result


def run_claims(
    letters: Sequence[str] = (), *, processes: int | None = None, on_claim: OnClaim | None = None
) -> Claims:  # fmt: skip
    """Run the claims of these letters, all where none is named.

    Args:
        processes: how many at a time; None: as many as this process has cores. The numbers do not depend on it.
        on_claim: called after every finished claim.

    Raises: UnknownNameError; Interrupted on Ctrl-C, with the claims that were finished.
    """
    started = time.perf_counter()
    wanted = chosen_claims(letters)
    document: Document = {
        "schema": "normlab.claims/1", "command": " ".join(["normlab claims", *(letters or ["all"])]),
        "versions": versions(), "machine": machine(), "wall_s": 0.0,
        "settings": {"claims": [c.letter for c in wanted]}, "claims": [],
    }  # fmt: skip
    done: dict[str, Document] = {}
    try:
        for entry in _entries([c.letter for c in wanted], min(processes or usable(), len(wanted))):
            done[entry["letter"]] = entry
            if on_claim is not None:
                on_claim(len(done), len(wanted), entry)
    except KeyboardInterrupt:
        document["interrupted"] = True
    document["claims"] = [done[c.letter] for c in wanted if c.letter in done]
    document["wall_s"] = round(time.perf_counter() - started, 3)
    if "interrupted" in document:
        raise Interrupted(Claims(document) if done else None)
    return Claims(document)


def _entries(letters: Sequence[str], processes: int) -> Iterator[Document]:
    """The claims' entries, as they are finished; the longest begin first."""
    if processes == 1:
        for letter in letters:
            yield entry_of(letter)
        return
    longest = sorted(letters, key=lambda letter: -chosen_claims([letter])[0].seconds)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        for future in as_completed([pool.submit(entry_of, letter) for letter in longest]):
            yield future.result()
    except BaseException:  # Ctrl-C: whoever asked for less would wait at the exit until a claim is finished
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def entry_of(letter: str) -> Document:
    """One claim, run on one thread: what it says, what it asked for, and what came."""
    claim = chosen_claims([letter])[0]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    started = time.perf_counter()
    entry: Document = {
        "letter": claim.letter, "title": claim.title, "source": claim.source, "setting": claim.setting,
        "seeds": claim.seeds,
    }  # fmt: skip
    missing = [extra for extra in claim.needs if importlib.util.find_spec(MODULES[extra]) is None]
    if missing:
        return {**entry, **_not_run(claim, missing[0])}
    with by_the_formula():
        findings = claim.measure(range(claim.seeds))
    if len(findings) != len(claim.conditions):
        raise RuntimeError(f"claim {letter}: {len(claim.conditions)} conditions, {len(findings)} findings")
    said = [{"text": c, **asdict(f)} for c, f in zip(claim.conditions, findings, strict=True)]
    return {
        **entry, "verdict": verdict(findings), "conditions": said, "seconds": round(time.perf_counter() - started, 1)
    }  # fmt: skip


def _not_run(claim: Claim, extra: str) -> Document:
    why = both("needs the extra {extra}: {line}", extra=extra, line=install_line(extra))
    conditions = [{"text": c, "holds": None, "said": why, "figures": {}} for c in claim.conditions]
    return {"verdict": NOT_RUN, "conditions": conditions, "seconds": 0.0}
