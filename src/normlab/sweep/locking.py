"""One driver for a results file: a lock that the system takes back when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from normlab.errors import ReadWriteError

__all__ = ["Lock"]

BYTE = 2**30
"""Windows locks bytes, and nobody may read a locked one: this lies far behind the text that says who holds it."""


class Lock:
    """The lock beside `path`, in `<path>.lock`.

    Raises: ReadWriteError where another process holds it, which is named, or where no file can be made.
    """

    def __init__(self, path: Path) -> None:
        self._file = Path(f"{os.path.realpath(path)}.lock")
        try:
            self._number = self._taken()
        except OSError as problem:
            reason = problem.strerror or str(problem)
            message = f"{path}: no lock can be made beside it: {reason}. Nothing was written."
            raise ReadWriteError(message, hint="Name a file in another folder: -o FILE.db") from None
        if self._number is None:
            hint = "Wait until it is done, or name another file: -o FILE.db"
            raise ReadWriteError(f"{path}: another sweep is writing to it: {self._holder()}.", hint=hint)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(self._number, 0)
        with contextlib.suppress(OSError):  # a full disk takes no text, but it has the lock
            os.write(self._number, f"process {os.getpid()} on {platform.node()}, since {now}".encode())

    def release(self) -> None:
        """Give it back, and take the file away while it is still ours."""
        if self._number is not None:
            with contextlib.suppress(OSError):  # Windows removes no open file: an unlocked one does no harm
                self._file.unlink()
            os.close(self._number)
            self._number = None

    def _taken(self) -> int | None:
        """The open file, locked; None where another process has it."""
        while True:
            number = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666)
            if not _lock(number):
                os.close(number)
                return None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(number), os.stat(self._file)):
                    return number
            os.close(number)  # its holder removed it between our opening and our locking: a new file counts

    def _holder(self) -> str:
        try:
            return self._file.read_text(encoding="utf-8", errors="replace") or "a process that is just beginning"
        except OSError:
            return "a process that cannot be named"


def _lock(number: int) -> bool:
    """Lock the open file, or say at once that another process has."""
    if sys.platform == "win32":
        import msvcrt

        try:
            os.lseek(number, BYTE, os.SEEK_SET)
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        os.lseek(number, 0, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
