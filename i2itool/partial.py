"""An output file under a temporary name, which takes its own name when it is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from i2itool.errors import OutputError

# File systems take 255, of which some are for what is put around it.
_LONGEST_NAME_BYTES = 200


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give an empty file beside `path`, to be filled; it takes the name `path` when the block ends well.

    Until then only its owner can read it. When the block ends with an exception, of whatever kind, nothing
    is left behind. Raises OutputError if the folder is missing, or if the file cannot take its name.
    """
    if not path.parent.is_dir():
        raise OutputError(f"no such folder: {path.parent}", hint="make it first")
    partial = hidden_name(path, f"{os.getpid()}.part{path.suffix}")
    try:
        mode = _make_private(partial)
        yield partial
        _set_mode(partial, mode)
        publish(partial, path)
    finally:
        # After the rename there is nothing under this name, and this does nothing.
        partial.unlink(missing_ok=True)


def hidden_name(path: Path, end: str) -> Path:
    """A name beside `path` that is its own: .NAME.END, where NAME is shortened if it has to be."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return path.with_name(f".{name}.{end}")


def open_private(path: Path, flags: int) -> int:
    """Open a file to write into; where there was none, it is its owner's alone. Raises OSError.

    flags: beyond those, as os.O_APPEND.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)


def _make_private(partial: Path) -> int:
    """Make an empty file for its owner alone; the mode that any other file would have is returned."""
    try:
        # Left by a process of this number that died. Removed, for it may be a link to elsewhere.
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            # The process's mask can only be asked for by changing it, for all threads at once.
            mode = os.fstat(descriptor).st_mode & 0o777
        finally:
            os.close(descriptor)
        _set_mode(partial, mode & 0o600)
    except OSError as error:
        raise OutputError(f"cannot write {partial.parent}: {error.strerror}") from error
    return mode


def _set_mode(path: Path, mode: int) -> None:
    # Sticks and cards may have a file system without modes.
    with suppress(PermissionError):
        path.chmod(mode)


def publish(partial: Path, path: Path) -> None:
    """Give a whole file its name, on the same disk; raises OutputError if it cannot take it."""
    try:
        # Without this, a power cut after the rename could leave an empty file under the final name.
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def link_or_move(path: Path, place: Path) -> None:
    """Have a file at another place too, where the disk has links; else it moves, as a folder does.

    Raises OutputError.
    """
    try:
        try:
            os.link(path, place)
        except OSError:
            path.replace(place)
    except OSError as error:
        raise OutputError(f"cannot write {place}: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    """Bring a new name to the disk, before what it replaces is thrown away."""
    if os.name == "nt":
        return  # Folders cannot be opened there.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
