"""Moments that the processes of a group have each for themselves, merged in every one of them, to the same bytes.

A header goes first: whether a process failed, and whether all measure the same layers. So a loader that raises in one
process is an error in all, and nobody waits for ever.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import NormlabError, UsageError
from ..torch.distributed import Together
from .populations import Moments, Population
from .running import shared_by_class

__all__ = ["Ranks"]


class Ranks:
    """The processes whose batches count; with `group` None this one alone."""

    def __init__(self, group: Any, found: list[Population], sequential: bool) -> None:
        self.found = found
        self.group = None if group is None else Together(group, "recalibrate").group
        alone = group is None and not sequential and dist.is_available() and dist.is_initialized()
        one = next((p for p in found if shared_by_class(p.module)), None) if alone else None
        if one is not None and dist.get_world_size() > 1:
            raise UsageError(
                f"recalibrate: {one.who} shares its batches with other processes.",
                hint="Call this in all of them with process_group='world'.",
            )

    @property
    def said(self) -> str:
        """What the report adds."""
        return "" if self.group is None else f"; of {dist.get_world_size(self.group)} processes"

    @contextmanager
    def together(self) -> Iterator[None]:
        """What all do before they merge; one that fails makes all fail. Raises UsageError for another's failure."""
        try:
            yield
        except Exception:
            if self.group is not None:
                self._headers(failed=True)
            raise
        if self.group is not None:
            self._agree(self._headers(failed=False))

    def merge(self, but: list[Population] | None = None) -> Population | None:
        """Merge all layers (or all `but` some); returns the one that was called first, None where none was."""
        left = [one for one in self.found if one not in (but or ())]
        if self.group is not None:
            self._merge(left)
        called = [one for one in left if one.calls]
        return min(called, key=lambda one: one.position) if called else None

    def _headers(self, failed: bool) -> list[list[int]]:
        names = zlib.crc32(" ".join(f"{one.path}{_size(one)}" for one in self.found).encode())
        return self._gather(torch.tensor([int(failed), names], dtype=torch.int64)).tolist()

    def _agree(self, headers: list[list[int]]) -> None:
        ranks = dist.get_process_group_ranks(self.group)
        failed = [str(rank) for rank, (wrong, _) in zip(ranks, headers, strict=True) if wrong]
        if failed:
            raise UsageError(
                f"recalibrate: rank {', '.join(failed)} failed.", hint="Nothing was changed. See the error there."
            )
        if len({names for _, names in headers}) > 1:
            raise UsageError(
                "recalibrate: the processes have models with different layers.", hint="Give each the same model."
            )

    def _merge(self, left: list[Population]) -> None:
        told = self._gather(torch.cat([_flat(one) for one in left]) if left else torch.empty(0, dtype=torch.float64))
        for one, rows in zip(left, told.split([_length(one) for one in left], dim=1), strict=True):
            calls, positions, parts = rows[:, 0], rows[:, 1], rows[:, 2:]
            one.clear()
            one.calls = int(calls.sum())
            for there, part, position in zip(calls, parts, positions, strict=True):
                if not there:
                    continue
                shape = next(b for b in one.buffers if b is not None).shape
                moments = Moments(*(a.reshape(shape).to(one.place) for a in part.chunk(3)))
                one.moments = moments if one.moments is None else one.moments.joined(moments, one.between)
                # Of the first rank that reached it: the same everywhere.
                one.position = int(position) if one.position < 0 else one.position

    def _gather(self, a: Tensor) -> Tensor:
        """`a` of every process along a new first axis. Raises NormlabError where another does not come."""
        nccl = dist.get_backend(self.group) != "gloo"
        mine = a.to(self.found[0].place if nccl else "cpu").contiguous()
        parts = [torch.empty_like(mine) for _ in range(dist.get_world_size(self.group))]
        try:
            dist.all_gather(parts, mine, group=self.group)
        except RuntimeError as error:
            raise NormlabError(
                f"recalibrate: rank {dist.get_rank()} waited for the other ranks of its process_group, "
                f"and they did not come: {str(error).splitlines()[0]}", hint="Every rank must call it.",
            ) from error  # fmt: skip
        return torch.stack(parts).cpu()


def _size(one: Population) -> int:
    return next(b for b in one.buffers if b is not None).numel()


def _length(one: Population) -> int:
    return 2 + 3 * _size(one)


def _flat(one: Population) -> Tensor:
    """Calls, position, count, mean, square; zeros where nothing came."""
    if one.moments is None:
        return torch.zeros(_length(one), dtype=torch.float64)
    numbers = torch.tensor([one.calls, one.position], dtype=torch.float64)
    return torch.cat([numbers, *(a.double().cpu().flatten() for a in one.moments)])
