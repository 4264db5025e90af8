"""One process at a time: locks that the kernel lets go of when their holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from i2itool.errors import BeingWritten, OutputError
from i2itool.partial import hidden_name

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the right to write the file or folder `path` until the block ends.

    The lock is a hidden file beside it, which goes away with the block; one that a crash has left behind
    holds nobody up. Raises BeingWritten if another process holds it, OutputError if it cannot be made.
    """
    lock = lock_file(path)
    descriptor = _hold(lock, path)
    try:
        yield
    finally:
        # Removed while still held: whoever opened it meanwhile sees that it is gone, and makes another.
        # Windows removes no open file; there it stays, and holds nobody up.
        with suppress(PermissionError):
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def lock_file(path: Path) -> Path:
    """The hidden file that stands for the right to write `path`."""
    return hidden_name(path, "lock")


def _hold(lock: Path, path: Path) -> int:
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except OSError as error:
            raise OutputError(f"cannot lock {path}: {error.strerror}") from error
        try:
            _take(descriptor)
            if _is_there(lock, descriptor):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            raise BeingWritten(f"{path} is being written by another process") from error
        os.close(descriptor)


def _is_there(lock: Path, descriptor: int) -> bool:
    """Whether the locked file still bears its name; an earlier holder may just have removed it."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
