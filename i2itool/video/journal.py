"""The journal of a conversion: what it is made from and with, and which pieces are finished.

A file of JSON lines: the first is the job's identity, each other one a finished piece.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from i2itool.errors import InputError, OutputError
from i2itool.partial import open_private
from i2itool.video.segments import Segment

FILE_NAME = "journal.jsonl"
# Of the source, at each end; cameras and editors change at least one of them.
_HASHED_BYTES = 1 << 20

# Any: whatever JSON holds; an identity is only ever compared with another one.
Identity = Mapping[str, Any]


def source_identity(path: Path) -> dict[str, object]:
    """What tells one input from another without reading all of it: size, time of change, both ends.

    Raises InputError if it is unreadable.
    """
    try:
        status = path.stat()
        with path.open("rb") as file:
            head = file.read(_HASHED_BYTES)
            file.seek(max(0, status.st_size - _HASHED_BYTES))
            tail = file.read(_HASHED_BYTES)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return {
        "size": status.st_size,
        "changed": status.st_mtime_ns,
        "head": hashlib.sha256(head).hexdigest(),
        "tail": hashlib.sha256(tail).hexdigest(),
    }


def pictures_identity(paths: Iterable[Path]) -> dict[str, object]:
    """The same of numbered pictures: the names, sizes and times of change of all. Raises InputError."""
    digest, num_pictures = hashlib.sha256(), 0
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        num_pictures += 1
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return {"pictures": num_pictures, "names, sizes and times": digest.hexdigest()}


def read_identity(folder: Path) -> Identity | None:
    """What a job is made from and with; None if there is no whole journal. Raises OutputError."""
    lines = _read_lines(folder)
    return _parsed(lines[0]) if lines else None


def read_journal(folder: Path) -> tuple[Identity | None, list[Segment]]:
    """The identity and the pieces that are still whole, up to the first that is not; (None, []) if none.

    What a crash left half written is as if it had never been. Raises OutputError if it cannot be read.
    """
    entries = [_parsed(line) for line in _read_lines(folder)]
    if not entries or entries[0] is None:
        return None, []
    return entries[0], list(_whole_segments(entries[1:], folder))


def write_journal(folder: Path, identity: Identity, segments: Iterable[Segment]) -> None:
    """Replace the journal at one stroke; raises OutputError if it cannot be written."""
    text = "".join(_line(entry) for entry in (identity, *map(asdict, segments)))
    partial = folder / f"{FILE_NAME}.part"
    _write(partial, text, os.O_TRUNC)
    try:
        partial.replace(folder / FILE_NAME)
    except OSError as error:
        raise OutputError(f"cannot write {folder / FILE_NAME}: {error.strerror}") from error


def append_segment(folder: Path, segment: Segment) -> None:
    """Note a finished piece; it is on the disk when this returns. Raises OutputError if it is full."""
    _write(folder / FILE_NAME, _line(asdict(segment)), os.O_APPEND)


def differences(old: Identity, new: Identity, prefix: str = "") -> Iterator[str]:
    """What has changed between two identities, each as `name old -> new`; long hashes by name only."""
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from differences(before, after, f"{prefix}{key} ")
        elif isinstance(before, str) and len(before) == hashlib.sha256().digest_size * 2:
            yield f"{prefix}{key}"
        else:
            yield f"{prefix}{key} {before} -> {after}"


def _whole_segments(entries: Iterable[Identity | None], folder: Path) -> Iterator[Segment]:
    for index, entry in enumerate(entries):
        try:
            segment = Segment(**(entry or {}))
        except TypeError:
            return
        if segment.index != index or not segment.is_whole(folder):
            return
        yield segment


def _read_lines(folder: Path) -> list[str]:
    try:
        return (folder / FILE_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"cannot read {folder / FILE_NAME}: {error.strerror}") from error


def _parsed(line: str) -> Identity | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _line(entry: Identity) -> str:
    return json.dumps(entry, sort_keys=True) + "\n"


def _write(path: Path, text: str, flags: int) -> None:
    try:
        with os.fdopen(open_private(path, flags), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
