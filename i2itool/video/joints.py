"""Where a file was joined, or its stamps jump back for other reasons, and how its parts go end to end."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition, Stream

from i2itool.video.input import demux, open_input

# What goes back by less is no joint.
_LEAST_JUMP_SECONDS = 0.1
# A stream that goes on within so much is not yet behind a joint that another one has passed.
_LONGEST_STEP_SECONDS = 1.0
# Matroska tells when pictures are shown and not their order in time, from which so many may depart.
_NUM_REORDERED = 16


@dataclass(slots=True)
class _Run:
    """The packets of a stream between two joints. first: the number of the first, from 1."""

    first: int
    begin: int
    last: int
    first_dts: int
    last_dts: int
    num_packets: int = 0
    last_duration: int = 0

    @property
    def end(self) -> int:
        """When what is shown last ends; where no duration is stored, they are taken for equally long."""
        usual = (self.last - self.begin) // max(1, self.num_packets - 1)
        return self.last + max(self.last_duration or usual, 1)


class Track:
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

    def seconds(self, packet: av.Packet[Stream]) -> float:
        """When a packet is to be decoded; of Matroska's pictures, when they are shown."""
        stamp = packet.pts if self._recent.maxlen != 1 and packet.pts is not None else stamp_of(packet)
        return (stamp or 0) * self._tick_seconds

    def goes_back(self, packet: av.Packet[Stream]) -> bool:
        """Whether a packet that is about to be seen lies before those that were."""
        if not self.leads or len(self._recent) < (self._recent.maxlen or 1):
            return False
        return self.seconds(packet) < min(self._recent) - _LEAST_JUMP_SECONDS

    def see(self, packet: av.Packet[Stream]) -> None:
        """Count a packet."""
        self.num_packets += 1
        self.last_seconds = self.seconds(packet)
        self._recent.append(self.last_seconds)

    def enter(self, part: int) -> None:
        """Begin anew behind a joint."""
        self.part = part
        self._recent.clear()


@dataclass(frozen=True, slots=True)
class Joint:
    """Where the streams begin anew: the first and the last of them, in seconds as mended."""

    earliest: float
    latest: float


@dataclass(slots=True)
class Plan:
    """By how much the packets of each stream are to be moved, and where that begins.

    steps: of a stream, the number of a packet and how many ticks to move it and those that follow.
    """

    joints: list[Joint] = field(default_factory=list)
    steps: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def shift(self, index: int, number: int) -> int:
        """By how many ticks the packet of that number, from 1, of a stream is to be moved."""
        steps = self.steps.get(index, [])
        place = bisect_right(steps, number, key=lambda step: step[0])
        return steps[place - 1][1] if place else 0


def plan_of(path: Path) -> Plan:
    """Read a file to its end, and lay its parts end to end."""
    tracks: dict[int, Track] = {}
    parts: list[dict[int, _Run]] = [{}]
    clocks = [0.0]
    with open_input(path) as container:
        try:
            for packet in demux(container):
                if stamp_of(packet) is not None:
                    track = tracks.setdefault(packet.stream.index, Track(packet.stream))
                    _enter_part(track, packet, parts, clocks)
                    track.see(packet)
                    _note(parts[track.part], track, packet)
        except av.FFmpegError:
            # As far as it can be read; who reads it for its content will say so.
            pass
    return _laid_end_to_end(parts, tracks)


def _enter_part(
    track: Track, packet: av.Packet[Stream], parts: list[dict[int, _Run]], clocks: list[float]
) -> None:
    """See to which part a packet belongs; with the first to jump back, another one begins."""
    now, latest = track.seconds(packet), len(parts) - 1
    goes_back = track.goes_back(packet)
    if goes_back and track.part == latest:
        parts.append({})
        clocks.append(now)
        track.enter(latest + 1)
    elif track.part < latest:
        is_next = 0 <= now - track.last_seconds <= _LONGEST_STEP_SECONDS and packet.stream.type != "subtitle"
        is_nearer = abs(now - clocks[latest]) < abs(now - clocks[track.part])
        if goes_back or (is_nearer and not is_next):
            track.enter(latest)
    if track.leads:
        clocks[track.part] = now


def _note(part: dict[int, _Run], track: Track, packet: av.Packet[Stream]) -> None:
    dts = stamp_of(packet) or 0
    pts = dts if packet.pts is None else packet.pts
    run = part.setdefault(packet.stream.index, _Run(track.num_packets, pts, pts, dts, dts))
    if pts >= run.last:
        run.last, run.last_duration = pts, packet.duration or 0
    run.begin, run.last_dts = min(run.begin, pts), max(run.last_dts, dts)
    run.num_packets += 1


def _laid_end_to_end(parts: list[dict[int, _Run]], tracks: Mapping[int, Track]) -> Plan:
    plan = Plan()
    # Of each stream, as moved: when it has ended, and the last stamp of decoding.
    ends: dict[int, tuple[Fraction, Fraction]] = {}
    for number, part in enumerate(parts):
        leading = {i: run for i, run in part.items() if tracks[i].leads}
        shift = Fraction(0)
        if number:
            for i, run in leading.items():
                tick = tracks[i].tick
                end, last_dts = ends.get(i, (run.begin * tick, (run.first_dts - 1) * tick))
                shift = max(shift, end - run.begin * tick, last_dts - (run.first_dts - 1) * tick)
            begins = [float(run.begin * tracks[i].tick + shift) for i, run in leading.items()]
            plan.joints.append(Joint(min(begins), max(begins)))
        for i, run in part.items():
            tick = tracks[i].tick
            plan.steps.setdefault(i, []).append((run.first, round(shift / tick)))
            ends[i] = run.end * tick + shift, run.last_dts * tick + shift
    return plan


def stamp_of(packet: av.Packet[Stream]) -> int | None:
    """When a packet is to be decoded, or else shown, in its own ticks; None if that is unknown."""
    return packet.pts if packet.dts is None else packet.dts


def _is_matroska(stream: Stream) -> bool:
    return stream.container.format.name.startswith("matroska")
