"""Where a file was joined, or its stamps jump back for other reasons, and how its parts go end to end."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from i2itool.video.course import Course, Stamped, Stamps, move, stamp_of
from i2itool.video.input import demux, open_input

# A stream that goes on within so much is not yet behind a joint that another one has passed.
_LONGEST_STEP_SECONDS = 1.0


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


@dataclass(frozen=True, slots=True)
class Joint:
    """Where the streams begin anew: the first and the last of them, in seconds as mended."""

    earliest: float
    latest: float


@dataclass(slots=True)
class Plan:
    """By how much the packets of each stream are to be moved, and where that begins.

    steps: of a stream, the number of a packet and how many ticks to move it and those that follow.
    astray: of a stream, the number of a packet and how many ticks to move it besides.
    """

    astray: dict[int, dict[int, int]] = field(default_factory=dict)
    joints: list[Joint] = field(default_factory=list)
    steps: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def shift(self, index: int, number: int) -> int:
        """By how many ticks the packet of that number, from 1, of a stream is to be moved."""
        steps = self.steps.get(index, [])
        place = bisect_right(steps, number, key=lambda step: step[0])
        alone = self.astray.get(index, {}).get(number, 0)
        return alone + (steps[place - 1][1] if place else 0)


def plan_of(path: Path) -> Plan:
    """Read a file to its end, and lay its parts end to end."""
    courses: dict[int, Course] = {}
    parts: list[dict[int, _Run]] = [{}]
    clocks = [0.0]
    astray: dict[int, dict[int, int]] = {}
    with open_input(path) as container:
        for packet in _with_next(_all_stamps(container)):
            course = courses.setdefault(packet.stream.index, Course(packet.stream))
            if ticks := course.strays(packet):
                astray.setdefault(packet.stream.index, {})[course.num_packets + 1] = ticks
                move(packet, ticks)
            _enter_part(course, packet, parts, clocks)
            course.see(packet)
            _note(parts[course.part], course, packet)
    plan = _laid_end_to_end(parts, courses)
    plan.astray = astray
    return plan


def _all_stamps(container: InputContainer) -> Iterator[Stamps]:
    """Of all packets that have any, as far as the file can be read; who wants its content will say so."""
    with suppress(av.FFmpegError):
        for packet in demux(container):
            if stamp_of(packet) is not None:
                yield Stamps(packet.stream, packet.pts, packet.dts, packet.duration)


def _with_next(packets: Iterable[Stamps]) -> Iterator[Stamps]:
    """The same in their order, when it is known of each when the next of its stream comes."""
    waiting: deque[Stamps] = deque()
    last: dict[int, Stamps] = {}
    courses: dict[int, Course] = {}
    for packet in packets:
        index = packet.stream.index
        course = courses.setdefault(index, Course(packet.stream))
        if (before := last.get(index)) is not None:
            before.next_seconds, before.is_settled = course.seconds(packet), True
        # Others are never astray, and may be rare.
        packet.is_settled = not course.leads
        last[index] = packet
        waiting.append(packet)
        while waiting and waiting[0].is_settled:
            yield waiting.popleft()
    yield from waiting


def _enter_part(course: Course, packet: Stamped, parts: list[dict[int, _Run]], clocks: list[float]) -> None:
    """See to which part a packet belongs; with the first to jump back, another one begins."""
    now, latest = course.seconds(packet), len(parts) - 1
    goes_back = course.goes_back(packet)
    if goes_back and course.part == latest:
        parts.append({})
        clocks.append(now)
        course.enter(latest + 1)
    elif course.part < latest:
        is_next = 0 <= now - course.last_seconds <= _LONGEST_STEP_SECONDS and packet.stream.type != "subtitle"
        is_nearer = abs(now - clocks[latest]) < abs(now - clocks[course.part])
        if goes_back or (is_nearer and not is_next):
            course.enter(latest)
    if course.leads:
        clocks[course.part] = now


def _note(part: dict[int, _Run], course: Course, packet: Stamped) -> None:
    dts = stamp_of(packet) or 0
    pts = dts if packet.pts is None else packet.pts
    run = part.setdefault(packet.stream.index, _Run(course.num_packets, pts, pts, dts, dts))
    if pts >= run.last:
        run.last, run.last_duration = pts, packet.duration or 0
    run.begin, run.last_dts = min(run.begin, pts), max(run.last_dts, dts)
    run.num_packets += 1


def _laid_end_to_end(parts: list[dict[int, _Run]], courses: Mapping[int, Course]) -> Plan:
    plan = Plan()
    # Of each stream, as moved: when it has ended, and the last stamp of decoding.
    ends: dict[int, tuple[Fraction, Fraction]] = {}
    for number, part in enumerate(parts):
        leading = {i: run for i, run in part.items() if courses[i].leads}
        shift = Fraction(0)
        if number:
            for i, run in leading.items():
                tick = courses[i].tick
                end, last_dts = ends.get(i, (run.begin * tick, (run.first_dts - 1) * tick))
                shift = max(shift, end - run.begin * tick, last_dts - (run.first_dts - 1) * tick)
            begins = [float(run.begin * courses[i].tick + shift) for i, run in leading.items()]
            plan.joints.append(Joint(min(begins), max(begins)))
        for i, run in part.items():
            tick = courses[i].tick
            plan.steps.setdefault(i, []).append((run.first, round(shift / tick)))
            ends[i] = run.end * tick + shift, run.last_dts * tick + shift
    return plan
