"""An array as (outer, channels, inner) in memory, cut into tiles that stay in the cache, for windows over channels.

A tile is some channels times some positions, read with the channels beside it that its windows reach. In a buffer it
lies without gaps, rows of zeros standing for what is beyond the edge, so that a window is a sum of shifted copies of
one flat array. Which tiles there are follows from the shape alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import njit

from .compiling import EXACT

__all__ = ["Tiles", "clear", "cut", "length", "piece", "pieces", "tile_of"]

_jit = njit(**EXACT)

ELEMENTS = 32_768  # of a tile: its buffers stay in a second-level cache of 1 MiB
RUN = 512  # positions of one channel in a tile, at most
# Buffers are worked through in multiples of this: no element meets a loop's scalar tail, which rounds otherwise, so
# that what comes out for one does not depend on how many there are.
STEP = 64


class Tiles(NamedTuple):
    """An array as (outer, channels, inner) in memory, cut into tiles of `rows` x `wide` channels x `run` positions."""

    outer: int
    channels: int
    inner: int
    rows: int
    wide: int
    run: int

    @property
    def total(self) -> int:
        """How many tiles there are."""
        return -(-self.outer // self.rows) * -(-self.channels // self.wide) * -(-self.inner // self.run)


def cut(form: tuple[int, int, int], margin: int) -> Tiles:
    """Tiles for an array (outer, channels, inner); `margin` channels are read beside those that a tile writes."""
    outer, channels, inner = form
    run = -(-inner // -(-inner // RUN))  # equal pieces
    wide = min(channels, max(ELEMENTS // run - margin, 2 * margin, 1))
    rows = max(1, min(outer, ELEMENTS // ((wide + margin) * run))) if (wide, run) == (channels, inner) else 1
    return Tiles(outer, channels, inner, rows, wide, run)


@_jit
def tile_of(number: int, tiles: Any) -> Any:
    """The ranges of a tile in outer, channels and inner."""
    outer, channels, inner, rows, wide, run = tiles
    across = (inner + run - 1) // run
    down = (channels + wide - 1) // wide
    r, c, j = number // (across * down) * rows, number // across % down * wide, number % across * run
    return r, min(r + rows, outer), c, min(c + wide, channels), j, min(j + run, inner)


@_jit
def piece(p: int, tiles: Any, tile: Any, low: int, high: int, origin: int, margin: int) -> Any:
    """Where piece `p` of the channels low ... high lies in memory and in a buffer that starts with channel `origin`."""
    channels, inner = tiles[1], tiles[2]
    r, _, c, end, j, stop = tile
    run = stop - j
    together = run == inner
    pieces = 1 if together else high - low
    first = low + p % pieces
    line = (end - c + margin) * run
    size = (high - low) * run if together else run
    return ((r + p // pieces) * channels + first) * inner + j, p // pieces * line + (first - origin) * run, size


@_jit
def pieces(tiles: Any, tile: Any, low: int, high: int) -> int:
    return (tile[1] - tile[0]) * (1 if tile[5] - tile[4] == tiles[2] else high - low)


@_jit
def clear(q: Any, tiles: Any, tile: Any, low: int, high: int, origin: int, margin: int) -> None:
    """Zeros where the window reaches beyond the edge. Buffers of whole rows have them from the start."""
    if tiles[4] < tiles[1] or tiles[5] < tiles[2]:
        run = tile[5] - tile[4]
        q[: (low - origin) * run] = 0
        q[(high - origin) * run : (tile[3] - tile[2] + margin) * run] = 0


@_jit
def length(rows: int, channels: int, run: int) -> int:
    """The part of a buffer that a tile fills, up to a whole step."""
    return (rows * channels * run + STEP - 1) // STEP * STEP
