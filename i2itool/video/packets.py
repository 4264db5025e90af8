"""Encoded pictures on their way from an encoder to a container, and files of them that keep every stamp."""

from __future__ import annotations

import hashlib
import heapq
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from i2itool.errors import OutputError
from i2itool.partial import open_private

# What a file of packets begins with; the number is the version of the form.
_MAGIC = b"i2itool packets 1\n"
# Before each packet: pts, duration, whether it is a key frame, and how many bytes follow.
_HEAD = struct.Struct("<qq?I")


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded picture. pts and duration: in units of the video's time base."""

    data: bytes
    pts: int
    duration: int
    is_keyframe: bool


class PacketFile:
    """Writes packets to a file, in the order of decoding; `finish` it, or `discard` it.

    Raises OutputError if it cannot be written. A container would round the stamps to ticks of its own, or
    lose the durations.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        try:
            self._file = os.fdopen(open_private(path, os.O_TRUNC), "wb")
        except OSError as error:
            raise self._failure(error) from error
        self._put(_MAGIC)

    def write(self, packet: Encoded) -> None:
        """Add a packet."""
        self._put(_HEAD.pack(packet.pts, packet.duration, packet.is_keyframe, len(packet.data)))
        self._put(packet.data)

    @property
    def sha256(self) -> str:
        """Of the bytes so far, in hexadecimal."""
        return self._hash.hexdigest()

    def finish(self) -> None:
        """Bring everything to the disk, and close; raises OutputError if it has no room."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._failure(error) from error

    def discard(self) -> None:
        """Close and remove the file, whatever its state."""
        # Closing writes what is buffered, and the disk may be full.
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self._path}: {error.strerror}")


def read_packets(path: Path) -> Iterator[Encoded]:
    """The packets of a file, one at a time; raises OutputError if it is damaged."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise OutputError(f"not a file of packets: {path}")
            while head := file.read(_HEAD.size):
                pts, duration, is_keyframe, size = _HEAD.unpack(head)
                data = file.read(size)
                if len(data) < size:
                    raise OutputError(f"{path} is truncated")
                yield Encoded(data, pts, duration, is_keyframe)
    except struct.error as error:
        raise OutputError(f"{path} is truncated") from error
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reorder_depth(stamps: Iterable[int]) -> int:
    """By how many places the pictures with these stamps, in the order of decoding, come too late at most."""
    order = list(stamps)
    places = {pts: place for place, pts in enumerate(sorted(order))}
    return max((i - places[pts] for i, pts in enumerate(order)), default=0)


def with_decode_stamps(packets: Iterable[Encoded], depth: int) -> Iterator[tuple[Encoded, int]]:
    """Each packet with the time to decode it: the i-th least pts, `depth` places later.

    So stamps of decoding rise from one encoder's packets to the next one's, and never exceed pts, as long
    as `depth` is the largest `reorder_depth` of all. Looks ahead by 2 * depth + 1 packets at the beginning.
    """
    waiting = iter(packets)
    first = list(islice(waiting, 2 * depth + 1))
    earliest = sorted(packet.pts for packet in first)[: depth + 1]
    # Before the first picture there is none to take a stamp from: as long as those that come first last.
    leading = [pts - earliest[-1] + earliest[0] for pts in earliest[:-1]]
    pending: list[int] = []
    for i, packet in enumerate(chain(first, waiting)):
        heapq.heappush(pending, packet.pts)
        yield packet, leading[i] if i < depth else heapq.heappop(pending)
