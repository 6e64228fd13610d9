"""Opening the user's files: what the operating system reports becomes one sentence, and no header is believed.

A file says in a few bytes how much it holds. Before anything of that size is taken, the claim is held against the
limits, and what is read is read piece by piece, so that a claim without content costs no memory.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ..errors import NormlabError, ReadWriteError, UsageError, near
from .limits import check_bytes

__all__ = ["as_path", "listing", "read_exactly", "reading", "unpacked"]

PIECE_BYTES = 2**20  # what is read at once
GZIP = b"\x1f\x8b"  # the first two bytes of every gzip file (RFC 1952)


def as_path(who: str, path: Any) -> Path:
    """The path that was given. Raises UsageError for what is none."""
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(text, str) or "\0" in text:
        raise UsageError(f"{who}: the path must be a string or a Path without \\0, got {path!r}.")
    return Path(text)


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Whatever the operating system or an archive reports becomes a ReadWriteError that names the file."""
    try:
        yield
    except NormlabError:
        raise
    except FileNotFoundError as problem:
        close = near(file.name, listing(file.parent))
        hint = f"Did you mean {', '.join(close)}?" if close else "Check the path."
        raise ReadWriteError(f"{file}: there is no such file.", hint=hint) from problem
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise ReadWriteError(f"{file}: cannot be read: {reason}.", hint="Check its permissions.") from problem


def listing(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where it cannot be looked into."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


@contextmanager
def unpacked(file: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where they are packed by gzip, whatever the file's name."""
    with reading(file), file.open("rb") as stream:
        packed = stream.read(len(GZIP)) == GZIP
        stream.seek(0)
        try:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=stream)) if packed else stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
            raise ReadWriteError(
                f"{file}: is cut short or damaged: {problem}.", hint="Download or save it again."
            ) from problem


def read_exactly(file: Path, stream: IO[bytes], count: int, what: str) -> bytearray:
    """The `count` bytes that are left in the stream. ReadWriteError unless so many come."""
    check_bytes(file, count)
    content = bytearray()
    while len(content) <= count and (piece := stream.read(min(PIECE_BYTES, count + 1 - len(content)))):
        content += piece
    if len(content) != count:
        came = f"got {len(content):,}" if len(content) < count else "there are more"
        raise ReadWriteError(
            f"{file}: {what} must be {count:,} bytes, {came}.", hint="Download or save it again."
        )
    return content
