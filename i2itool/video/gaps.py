"""Frames whose packets damage has removed whole: gaps in a constant rate, where the demuxer met damage."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.stream import Stream

from i2itool.video.clock import Clock
from i2itool.video.input import demux, open_input

# So many intervals alike make a constant rate.
_NUM_INTERVALS = 5
# A frame more or less late is no gap, and one of no whole number of frames is none that lost frames leave.
_LEAST_GAP, _OFF_THE_GRID = Fraction(3, 2), Fraction(1, 4)
# Decoders of H.264 and HEVC look ahead by so many frames, hence damage may lie so far from its gap.
_NUM_REORDERED = 16
# Beyond, stamps are wrong rather than frames lost.
_LONGEST_SECONDS = 10
# FFmpeg looks at so much of a file when it opens it.
_PROBED_SECONDS = 5.0
# In others an index tells of every frame (mp4), or no time is stored (avi).
_WITH_TRACES = ("matroska", "mpegts")


@dataclass(frozen=True, slots=True)
class _Span:
    """A part of a file, in seconds of its time, somewhere within which there is damage."""

    start: float
    end: float


class Gaps:
    """Finds the stamps of frames that are gone without a trace but a gap; where a rate varies, none.

    path, format_name: of the file, which is read once more if there is a gap in it.
    clock: of the packets that are seen.
    """

    def __init__(self, path: Path, format_name: str, time_base: Fraction, clock: Clock) -> None:
        self._path = path
        self._format_name = format_name
        self._time_base = time_base
        self._clock = clock
        self._stamps: deque[int] = deque(maxlen=_NUM_INTERVALS + 1)
        # Of transport streams packets tell; of others, who reads them.
        self._damage: list[_Span] | None = [] if format_name == "mpegts" else None

    def see(self, packet: av.Packet[Stream]) -> None:
        """Take note of a packet of any stream, on its way to the decoder."""
        if packet.is_corrupt and self._damage is not None and (time := _seconds(packet)) is not None:
            self._damage.append(_Span(time, time))

    def show(self, pts: int | None) -> None:
        """Take note of a picture that is shown, or of one that is shown in a gap."""
        if pts is None:
            self._stamps.clear()
        else:
            self._stamps.append(pts)

    def missing_before(self, pts: int | None) -> list[int]:
        """The stamps of the frames missing between the last picture shown and one at `pts`."""
        interval = self._interval()
        if pts is None or interval is None or not self._format_name.startswith(_WITH_TRACES):
            return []
        last = self._stamps[-1]
        length = pts - last
        count = round(length / interval)
        is_gap = (
            length >= interval * _LEAST_GAP and abs(length - count * interval) <= interval * _OFF_THE_GRID
        )
        if not is_gap or length * self._time_base > _LONGEST_SECONDS:
            return []
        reach = float(_NUM_REORDERED * interval * self._time_base)
        start, end = (float(stamp * self._time_base) for stamp in (last, pts))
        # What was joined there need not fit.
        if self._clock.is_joint_between(start, end):
            return []
        if not self._is_damaged_between(start - reach, end + reach):
            return []
        return [last + round(Fraction(i * length, count)) for i in range(1, count)]

    def _interval(self) -> Fraction | None:
        """Ticks between frames, if the last ones came at a constant rate, up to rounding; else None."""
        intervals = [later - earlier for earlier, later in pairwise(self._stamps)]
        if len(intervals) < _NUM_INTERVALS or min(intervals) < 1 or max(intervals) - min(intervals) > 1:
            return None
        return Fraction(sum(intervals), len(intervals))

    def _is_damaged_between(self, start: float, end: float) -> bool:
        if self._damage is None:
            self._damage = _damage_of(self._path)
        return any(span.start <= end and span.end >= start for span in self._damage)


def _damage_of(path: Path) -> list[_Span]:
    """Where reading a file meets damage, by what FFmpeg logs of it."""
    spans: list[_Span] = []
    with _logged_errors() as lines, suppress(av.FFmpegError), open_input(path) as container:
        num_lines, last = 0, None
        for packet in Clock(path).mended(demux(container)):
            time = _seconds(packet)
            if time is None:
                continue
            if len(lines) > num_lines:
                # Before the first packet, what was read to open the file.
                ends = (time, time + _PROBED_SECONDS) if last is None else (last, time)
                spans.append(_Span(min(ends), max(ends)))
            num_lines, last = len(lines), time
    return spans


@contextmanager
def _logged_errors() -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg has to complain of in this thread, as it comes; other threads' complaints go nowhere."""
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    # Or a second look at the same file would find nothing.
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=False), av.logging.Capture(local=True) as lines:
            yield lines
    finally:
        av.logging.set_skip_repeated(skips)
        av.logging.set_level(level)


def _seconds(packet: av.Packet[Stream]) -> float | None:
    stamp = packet.dts if packet.pts is None else packet.pts
    return None if stamp is None or packet.time_base is None else float(stamp * packet.time_base)
