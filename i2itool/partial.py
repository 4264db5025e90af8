"""An output file under a temporary name, which takes its own name when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from i2itool.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; the file takes the name `path` when the block ends well.

    When the block ends with an exception, of whatever kind, nothing is left behind.
    Raises OutputError if the folder is missing, or if the file cannot take its name.
    """
    if not path.parent.is_dir():
        raise OutputError(f"no such folder: {path.parent}", hint="make it first")
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield partial
        publish(partial, path)
    finally:
        # After the rename there is nothing under this name, and this does nothing.
        partial.unlink(missing_ok=True)


def publish(partial: Path, path: Path) -> None:
    """Give a whole file its name, on the same disk; raises OutputError if it cannot take it."""
    try:
        # Without this, a power cut after the rename could leave an empty file under the final name.
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
