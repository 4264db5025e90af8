"""Counting what passes while a file is read: the frames of a video, the packets of other streams."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import cast

import av
import numpy as np
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

_LARGEST_TICK = 2**63 - 1
_ADTS_BYTES, _ADTS_BYTES_WITH_CHECKSUM = 7, 9


@dataclass(frozen=True, slots=True)
class Times:
    """Instants in order, in units of `time_base` seconds; 8 bytes each."""

    ticks: array[int]
    time_base: Fraction

    @classmethod
    def of(cls, ticks: array[int], time_base: Fraction) -> Times:
        """Put `ticks` in order, in place: some files mix up frames stored out of order, but lose no stamp."""
        if any(later < earlier for earlier, later in pairwise(ticks)):
            np.frombuffer(ticks, np.int64).sort()
        return cls(ticks, time_base)

    def seconds(self, index: int) -> Fraction:
        """One of the instants."""
        return self.ticks[index] * self.time_base


@dataclass(frozen=True, slots=True)
class Track:
    """A stream that a conversion copies.

    kind: "audio", "subtitle", "data", "attachment", "cover", "unknown", or "video" for those after the first.
    sha256: hexadecimal, over the bytes of all its packets.  times: when packets begin; of subtitles, and
    when they end.
    """

    kind: str
    codec: str
    metadata: Mapping[str, str]
    disposition: Disposition
    num_packets: int
    sha256: str
    times: Times


class FrameTally:
    """The frames of a video so far.

    first: the first decoded frame; the only one decoded unless `is_decoding`, when packets are counted.
    """

    def __init__(self, stream: VideoStream, *, is_decoding: bool) -> None:
        self.first: av.VideoFrame | None = None
        self._stream = stream
        self._is_decoding = is_decoding
        self._time_base = Fraction(stream.time_base or Fraction(1, 1000))
        self._ticks = array("q")
        self._duration = 0
        # Stamp and duration of the frame that is shown last.
        self._last = (0, 0)
        self._last_packet: int | None = None
        self._is_reordered = False

    @property
    def last_seconds(self) -> Fraction:
        """The time of the frame that came last, 0 before the first."""
        return self._ticks[-1] * self._time_base if self._ticks else Fraction(0)

    def last_frame_seconds(self, *, is_mov: bool) -> Fraction | None:
        """How long the frame that is shown last is shown; None if the file does not tell.

        QuickTime stores the time to the next frame of the file, which with B-frames is not the next shown.
        """
        is_told = self._last[1] > 0 and not (is_mov and self._is_reordered)
        return self._last[1] * self._time_base if is_told else None

    def add(self, packet: av.Packet[Stream]) -> int:
        """Count the frames of a packet, and give their number."""
        before = len(self._ticks)
        self.see(packet)
        if self._is_decoding or self.first is None:
            for frame in self._stream.decode(packet):
                self.first = self.first or frame
                if self._is_decoding:
                    self.note(frame.pts if frame.pts is not None else frame.dts, frame.duration)
        if not self._is_decoding and packet.size and not packet.is_discard:
            self.note(packet.pts if packet.pts is not None else packet.dts, packet.duration)
        return len(self._ticks) - before

    def times(self) -> Times:
        """The stamps in order; where the file repeats one, a tick apart, for two cannot be shown at once."""
        times = Times.of(self._ticks, self._time_base)
        for i in range(1, len(times.ticks)):
            if times.ticks[i] <= times.ticks[i - 1]:
                times.ticks[i] = times.ticks[i - 1] + 1
        return times

    def see(self, packet: av.Packet[Stream]) -> None:
        """Take note of the order of packets, without counting any frame."""
        if packet.pts is not None:
            self._is_reordered |= self._last_packet is not None and packet.pts < self._last_packet
            self._last_packet = packet.pts

    def note(self, stamp: int | None, duration: int | None) -> None:
        """Count a frame, in the order of decoding."""
        if stamp is None:
            # A missing stamp goes on by the duration.
            stamp = self._ticks[-1] + max(self._duration, 1) if self._ticks else 0
        self._duration = duration or 0
        self._last = max(self._last, (stamp, self._duration)) if self._ticks else (stamp, self._duration)
        self._ticks.append(stamp)


class TrackTally:
    """What has come so far of a stream that is copied."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._codec = codec_name(stream)
        self._hash = hashlib.sha256(stream.data if isinstance(stream, AttachmentStream) else b"")
        self._ticks = array("q")
        self._num_packets = 0

    def add(self, packet: av.Packet[Stream]) -> None:
        """Count a packet."""
        data = bytes(packet)
        # QuickTime ends a text with an empty one; its muxer makes these anew.
        if self._codec == "mov_text" and data == b"\x00\x00":
            return
        self._num_packets += 1
        self._hash.update(_without_adts(data) if self._codec == "aac" else data)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            self._ticks.append(stamp)
            if self._stream.type == "subtitle":
                self._ticks.append(min(stamp + (packet.duration or 0), _LARGEST_TICK))

    def track(self) -> Track:
        """All of it, once the file is at its end."""
        is_cover = self._stream.disposition & Disposition.attached_pic
        return Track(
            kind="cover" if is_cover else self._stream.type,
            codec=self._codec,
            metadata=dict(self._stream.metadata),
            disposition=self._stream.disposition,
            num_packets=self._num_packets,
            sha256=self._hash.hexdigest(),
            times=Times.of(self._ticks, Fraction(self._stream.time_base or 1)),
        )


def codec_name(stream: Stream) -> str:
    """FFmpeg's name of the codec, whatever the decoder; of an attachment, its media type."""
    if isinstance(stream, AttachmentStream):
        return stream.mimetype or "unknown"
    if stream.codec_context is None:
        # Data streams are named by their codec.
        return cast("str | None", getattr(stream, "name", None)) or "unknown"
    return str(stream.codec_context.codec.canonical_name)


def _without_adts(data: bytes) -> bytes:
    """An AAC packet without the header that MPEG-TS puts before each, while others keep one for the file."""
    if len(data) <= _ADTS_BYTES_WITH_CHECKSUM or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return data
    has_checksum, declared_bytes = not data[1] & 1, (int.from_bytes(data[3:6], "big") >> 5) & 0x1FFF
    if declared_bytes != len(data):
        return data
    return data[_ADTS_BYTES_WITH_CHECKSUM if has_checksum else _ADTS_BYTES :]
