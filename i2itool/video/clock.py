"""One time for all streams of a file, also where its stamps go back: joined recordings, damaged files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Stream

from i2itool.video.course import Course, move, stamp_of
from i2itool.video.input import PIPE
from i2itool.video.joints import Plan, plan_of

logger = logging.getLogger("i2itool.video")

# Ticks that are shorter tell packets apart.
_FINE_TICK = Fraction(1, 1000)
# FFmpeg's flag of muxers that take the same stamp twice.
_MAY_REPEAT = 0x20000


class Clock:
    """Moves stamps so that no stream goes back in time, and all stay in step.

    Where a stream jumps back, all that is stored behind it, of every stream, is moved by the same length,
    so that it begins where what was before has ended. A packet whose time is far from that of the one before
    and of the one behind it is put between them. A packet of sound, or of whatever else is no video,
    that lies a little before the one ahead of it is moved behind that one alone.
    Before a jump, to and fro, the file is read once more to see which of these it is.
    is_told: whether jumps are logged.  num_moved: packets of copied streams that lay a little before others.
    """

    def __init__(self, path: Path, *, is_told: bool = False) -> None:
        self._path = path
        self._is_told = is_told
        self._courses: dict[int, Course] = {}
        self._last: dict[int, int] = {}
        self._plan: Plan | None = None
        self.num_moved = 0

    def mended(self, packets: Iterator[av.Packet[Stream]]) -> Iterator[av.Packet[Stream]]:
        """All packets of the file, from the first on, with their stamps in order; to be used once."""
        for packet in packets:
            if self._path != PIPE and stamp_of(packet) is not None:
                self._mend(packet)
            yield packet

    def is_joint_between(self, start: float, end: float) -> bool:
        """Whether the file jumps back somewhere between two instants, in seconds as mended."""
        joints = [] if self._plan is None else self._plan.joints
        return any(start < joint.latest and joint.earliest <= end for joint in joints)

    def _mend(self, packet: av.Packet[Stream]) -> None:
        course = self._courses.setdefault(packet.stream.index, Course(packet.stream))
        if self._plan is None and course.is_odd(packet):
            self._plan = plan_of(self._path)
            if self._is_told:
                self._tell(self._plan)
        course.see(packet)
        if self._plan is not None:
            move(packet, self._plan.shift(packet.stream.index, course.num_packets))
        if packet.stream.type != "video":
            self._put_in_order(packet)

    def _put_in_order(self, packet: av.Packet[Stream]) -> None:
        stamp, tick = stamp_of(packet), Fraction(packet.time_base)
        assert stamp is not None
        last = self._last.get(packet.stream.index)
        is_sound = packet.stream.type == "audio"
        if last is not None and (stamp < last or (stamp == last and is_sound and tick < _FINE_TICK)):
            # Sound by so much that no container rounds the two to one.
            least = last + (max(1, round(_FINE_TICK / tick)) if is_sound else 0)
            move(packet, least - stamp)
            self.num_moved, stamp = self.num_moved + 1, least
        self._last[packet.stream.index] = stamp

    def _tell(self, plan: Plan) -> None:
        if plan.joints:
            logger.warning(
                "%s: its time jumps back, first at %.3f s, and what follows goes on from there; jumps: %d",
                self._path,
                plan.joints[0].latest,
                len(plan.joints),
            )
        if num_astray := sum(map(len, plan.astray.values())):
            logger.warning("%s: packets whose time is far from their neighbours': %d", self._path, num_astray)


class Order:
    """Keeps to what a muxer insists on, for otherwise a whole conversion would end in vain.

    In each stream stamps must rise, or not fall. num_moved: packets that had to be moved, by ticks.
    """

    def __init__(self) -> None:
        self.num_moved = 0
        self._last: dict[int, int] = {}

    def keep(self, packet: av.Packet[Stream], flags: int) -> None:
        """Move a packet, with its new stream and a stamp, if it has to be; flags: of the output's format."""
        stream, tick = packet.stream, Fraction(packet.time_base)
        new_tick = Fraction(stream.time_base or tick)
        stamp = stamp_of(packet)
        assert stamp is not None
        ticks = round(stamp * tick / new_tick)
        must_rise = not flags & _MAY_REPEAT and stream.type in ("audio", "video")
        least = self._last.get(stream.index, ticks - 1) + must_rise
        if ticks < least:
            packet.pts = max(least, round((stamp if packet.pts is None else packet.pts) * tick / new_tick))
            packet.dts = ticks = least
            packet.duration = round((packet.duration or 0) * tick / new_tick)
            packet.time_base = new_tick
            self.num_moved += 1
        elif packet.pts is not None and packet.dts is not None:
            packet.pts = max(packet.pts, packet.dts)
        self._last[stream.index] = ticks
