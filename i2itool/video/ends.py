"""Where a file ends, and whether that is its end: what heads, indexes and the last bytes tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from i2itool.errors import InputError
from i2itool.video.input import end_seconds

# Of these the index tells how much should follow, or the head for how long.
_INDEXED_FORMATS = ("mov", "avi")
_TIMED_FORMATS = ("avi", "matroska", "flv")
# Of these neither does: recordings, which begin and end anywhere.
_ENDLESS_FORMATS = ("mpegts", "mpeg")
# Beyond this, frames are missing; within it, the container may have rounded.
_SLACK_SECONDS, _SLACK = 0.25, 0.005
# Sound and picture of one instant are stored less far apart.
_MOST_APART_SECONDS = 3.0
_EBML_ID, _SEGMENT_ID = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
# The first element is tens of bytes long.
_MATROSKA_HEAD_BYTES = 4096
# The longest head of an element, and what follows in a segment: what is known of it, and clusters.
_EBML_BYTES = 12
_IN_SEGMENT = tuple(
    bytes.fromhex(name)
    for name in (
        "1f43b675",
        "114d9b74",
        "1549a966",
        "1654ae6b",
        "1c53bb6b",
        "1254c367",
        "1043a770",
        "1941a469",
        "ec",
        "bf",
    )
)
_LEAST_BOX_BYTES = 8
_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"free", b"skip", b"wide", b"uuid"}
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
# Packets of a transport stream, with what may be put round each.
_TS_BYTES, _TS_SYNC, _TS_PROBES = (188, 192, 204), 0x47, 5
# A packet of a program stream is shorter.
_PS_TAIL_BYTES, _PS_PACK, _PS_END = 1 << 17, b"\x00\x00\x01\xba", 0xB9


def refuse_missing_bytes(container: InputContainer, stream: VideoStream, path: Path) -> None:
    """See by head, index or last bytes, before any work, that the end is missing; raises InputError."""
    end, name = 0, container.format.name
    if name.startswith(_INDEXED_FORMATS):
        end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if told_end := _TOLD_ENDS.get(name.split(",")[0]):
        end = max(end, told_end(path))
    # A pipe has no size, and no head that tells it.
    if end > (size := path.stat().st_size if end else 0):
        raise InputError(f"{path} is truncated: at least {end - size} bytes are missing")


def refuse_early_end(container: InputContainer, path: Path, last_seconds: float) -> None:
    """See by the declared duration that the end of the file is missing; raises InputError."""
    duration = container.duration
    if duration is None or not container.format.name.startswith(_TIMED_FORMATS):
        return
    # These containers count it from 0, wherever the first stream starts.
    declared_seconds = duration / av.time_base
    if last_seconds < declared_seconds - max(_SLACK_SECONDS, _SLACK * declared_seconds):
        raise InputError(f"{path} is truncated: it ends at {last_seconds:.3f} s of {declared_seconds:.3f} s")


class Ends:
    """How a file without a declared length ends: told by its last packets, once all have come."""

    def __init__(self, container: InputContainer, path: Path) -> None:
        self._path = path
        self._is_endless = container.format.name in _ENDLESS_FORMATS
        self._seconds: dict[str, float] = {}
        self._torn: dict[int, bool] = {}

    def see(self, packet: av.Packet[Stream]) -> None:
        """Take note of a packet of any stream."""
        kind = packet.stream.type
        if self._is_endless and packet.size and kind in ("audio", "video"):
            self._seconds[kind] = max(self._seconds.get(kind, 0.0), end_seconds(packet))
            self._torn[packet.stream.index] = packet.is_corrupt

    def complaint(self) -> str | None:
        """Why the end seems to be missing, in words; None if nothing tells of it."""
        if not self._is_endless:
            return None
        picture, sound = (self._seconds.get(kind, 0.0) for kind in ("video", "audio"))
        if sound and abs(sound - picture) > _MOST_APART_SECONDS:
            return f"its pictures end at {picture:.3f} s, its sound at {sound:.3f} s"
        if any(self._torn.values()) or _is_torn_transport_stream(self._path):
            return "its last packet is not whole"
        return None


def _end_of_matroska(path: Path) -> int:
    """Where the head, or of what was streamed the last cluster, says that it ends; 0 if neither does."""
    with path.open("rb") as file:
        head = file.read(_MATROSKA_HEAD_BYTES)
        size, width = _ebml_size(head, len(_EBML_ID))
        segment = len(_EBML_ID) + width + size
        if not head.startswith(_EBML_ID) or not head.startswith(_SEGMENT_ID, segment):
            return 0
        size, width = _ebml_size(head, segment + len(_SEGMENT_ID))
        end = segment + len(_SEGMENT_ID) + width
        if not _is_unknown(size, width):
            return end + size
        file_end = path.stat().st_size
        while end < file_end:
            file.seek(end)
            head = file.read(_EBML_BYTES)
            id_width = 9 - head[0].bit_length()
            size, width = _ebml_size(head, id_width)
            if _is_unknown(size, width) or not head.startswith(_IN_SEGMENT):
                return 0
            end += id_width + width + size
        return end


def _ebml_size(data: bytes, offset: int) -> tuple[int, int]:
    """The size of an element and the bytes that it is written in; RFC 8794, section 4."""
    first = data[offset] if offset < len(data) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(data[offset : offset + width], "big")
    return value & ((1 << 7 * width) - 1), width


def _is_unknown(size: int, width: int) -> bool:
    return size == (1 << 7 * width) - 1


def _end_of_riff(path: Path) -> int:
    """Where the head says that at least the first part of the file ends, in bytes."""
    with path.open("rb") as file:
        head = file.read(12)
    if not (head.startswith(b"RIFF") and head.endswith(b"AVI ")):
        return 0
    # Some count the head in.
    return int.from_bytes(head[4:8], "little") - len(head)


def _end_of_asf(path: Path) -> int:
    """Where the packets of a WMV end, in bytes; 0 if its head does not tell, as when it was streamed."""
    with path.open("rb") as file:
        head = file.read(24)
        start = int.from_bytes(head[16:24], "little")
        if not head.startswith(_ASF_HEADER) or start >= path.stat().st_size:
            return 0
        file.seek(start)
        head = file.read(24)
    return start + int.from_bytes(head[16:24], "little") if head.startswith(_ASF_DATA) else 0


def _end_of_program_stream(path: Path) -> int:
    """Where the last packet of an MPEG program stream says that it ends; 0 if it is not found."""
    start = max(0, path.stat().st_size - _PS_TAIL_BYTES)
    with path.open("rb") as file:
        file.seek(start)
        tail = file.read()
    pack = tail.find(_PS_PACK)
    while pack >= 0:
        place: int | None = pack
        while place is not None and place < len(tail):
            pack_end, place = place, _next_packet(tail, place)
        if place is not None:
            return start + place
        # Something else that looked like a packet: on behind where it was lost.
        pack = tail.find(_PS_PACK, max(pack + 1, pack_end))
    return 0


def _next_packet(data: bytes, place: int) -> int | None:
    """Where the packet or the head of a pack at a place ends; None if there is none."""
    head = data[place : place + 6].ljust(6, b"\xff")
    if head[:3] != _PS_PACK[:3] or head[3] < _PS_END:
        return None
    if head[3] == _PS_END:
        return place + 4
    if head[3] == _PS_PACK[3]:
        is_mpeg2 = head[4] >> 6 == 1
        stuffing = data[place + 13] & 7 if is_mpeg2 and place + 13 < len(data) else 0
        return place + (14 + stuffing if is_mpeg2 else 12)
    return place + 6 + int.from_bytes(head[4:6], "big")


def _is_torn_transport_stream(path: Path) -> bool:
    """Whether a transport stream ends within a packet."""
    with path.open("rb") as file:
        head = file.read(max(_TS_BYTES) * _TS_PROBES)
    for size in _TS_BYTES:
        # With a stamp of time before each packet in the second form.
        if head[size - 188 if size == 192 else 0 :: size][:_TS_PROBES] == bytes([_TS_SYNC]) * _TS_PROBES:
            return path.stat().st_size % size != 0
    return False


def _end_of_mp4(path: Path) -> int:
    """Where the last box says that it ends, in bytes: in a file of fragments no index tells of those to come.

    0 if it says nothing. What is no box ends the search: some files have something else behind the last.
    """
    end, file_end = 0, path.stat().st_size
    with path.open("rb") as file:
        while end < file_end:
            file.seek(end)
            head = file.read(16)
            size, name = int.from_bytes(head[:4], "big"), head[4:8]
            size = int.from_bytes(head[8:16], "big") if size == 1 else size
            if name not in _BOXES or size < _LEAST_BOX_BYTES:
                break
            end += size
    return end


# By the first of FFmpeg's names of the container.
_TOLD_ENDS: dict[str, Callable[[Path], int]] = {
    "mov": _end_of_mp4,
    "matroska": _end_of_matroska,
    "avi": _end_of_riff,
    "asf": _end_of_asf,
    "mpeg": _end_of_program_stream,
}
