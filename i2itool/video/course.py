"""The course of a stream's stamps: whether a packet goes on with it, goes back, or is astray."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av
from av.stream import Disposition, Stream

# What goes back by less is no joint.
_LEAST_JUMP_SECONDS = 0.1
# A stream that goes on within so much is not astray.
_LONGEST_STEP_SECONDS = 1.0
# A picture that is stored ahead of those before it lies less far from them.
_LEAST_LEAP_SECONDS = 10.0
# Matroska tells when pictures are shown and not their order in time, from which so many may depart.
_NUM_REORDERED = 16


class Stamped(Protocol):
    """What has the stamps of a packet."""

    @property
    def stream(self) -> Stream:
        """Where it belongs."""
        ...

    @property
    def pts(self) -> int | None:
        """When it is shown."""
        ...

    @property
    def dts(self) -> int | None:
        """When it is decoded."""
        ...

    @property
    def duration(self) -> int | None:
        """How long it is shown."""
        ...


@dataclass(slots=True)
class Stamps:
    """Those of a packet, without its content. next_seconds: of the one behind it in its stream."""

    stream: Stream
    pts: int | None
    dts: int | None
    duration: int | None
    is_settled: bool = False
    next_seconds: float | None = None


class Course:
    """What has come of a stream so far. part: the one that it is in, from 0."""

    def __init__(self, stream: Stream) -> None:
        self.part = self.num_packets = 0
        self.tick = Fraction(stream.time_base or 1)
        self._tick_seconds = float(self.tick)
        self.last_seconds = 0.0
        is_cover = bool(stream.disposition & Disposition.attached_pic)
        self.leads = stream.type in ("audio", "video") and not is_cover
        has_order = stream.type != "video" or not _is_matroska(stream)
        self._recent: deque[float] = deque(maxlen=1 if has_order else _NUM_REORDERED + 1)

    def seconds(self, packet: Stamped) -> float:
        """When a packet is to be decoded; of Matroska's pictures, when they are shown."""
        stamp = packet.pts if self._recent.maxlen != 1 and packet.pts is not None else stamp_of(packet)
        return (stamp or 0) * self._tick_seconds

    def is_odd(self, packet: Stamped) -> bool:
        """Whether a packet that is about to be seen lies before those that were, or far behind them."""
        if self.goes_back(packet):
            return True
        leap = _LONGEST_STEP_SECONDS if self._recent.maxlen == 1 else _LEAST_LEAP_SECONDS
        return self.leads and bool(self._recent) and self.seconds(packet) > max(self._recent) + leap

    def strays(self, packet: Stamps) -> int:
        """By how many ticks to move a packet that lies far from both its neighbours, to lie between them."""
        following = packet.next_seconds
        if following is None or not self.is_odd(packet):
            return 0
        latest = max(self._recent) + _LONGEST_STEP_SECONDS
        if not min(self._recent) - _LEAST_JUMP_SECONDS <= following <= latest:
            return 0
        between = (self.last_seconds + following) / 2
        return round((between - self.seconds(packet)) / self._tick_seconds)

    def goes_back(self, packet: Stamped) -> bool:
        """Whether a packet that is about to be seen lies before those that were."""
        if not self.leads or len(self._recent) < (self._recent.maxlen or 1):
            return False
        return self.seconds(packet) < min(self._recent) - _LEAST_JUMP_SECONDS

    def see(self, packet: Stamped) -> None:
        """Count a packet."""
        self.num_packets += 1
        self.last_seconds = self.seconds(packet)
        self._recent.append(self.last_seconds)

    def enter(self, part: int) -> None:
        """Begin anew behind a joint."""
        self.part = part
        self._recent.clear()


def stamp_of(packet: Stamped) -> int | None:
    """When a packet is to be decoded, or else shown, in its own ticks; None if that is unknown."""
    return packet.pts if packet.dts is None else packet.dts


def move(packet: av.Packet[Stream] | Stamps, ticks: int) -> None:
    """Make a packet come later, by so many of its ticks."""
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks


def _is_matroska(stream: Stream) -> bool:
    return stream.container.format.name.startswith("matroska")
