"""When each frame is shown, also where a file tells only when it was stored, and which are not shown."""

from __future__ import annotations

import heapq
from fractions import Fraction

import av
from av.stream import Stream

# A second field has a packet of its own in some files, half a frame after the first.
_MOST_OF_A_FRAME = Fraction(3, 4)


class Stamps:
    """Presentation times of frames in the order in which they leave the decoder.

    Some writers give packets stored out of order (B-frames) one rising stamp instead of two, so that time
    would run backwards. As many stamps as frames are still right, so each frame takes the earliest left.
    """

    def __init__(self) -> None:
        self._unused: list[int] = []
        self._has_order_of_its_own = False

    def see(self, packet: av.Packet[Stream]) -> None:
        """Take note of a packet, before it goes to the decoder."""
        stamp = packet.dts if packet.pts is None else packet.pts
        if packet.dts is None or (packet.pts is not None and packet.pts != packet.dts):
            # Stamps of showing differ from those of storing: the file knows both. So do those without a
            # stamp of storing, but for the empty packet at the end.
            self._has_order_of_its_own |= packet.size > 0
        if stamp is not None and not packet.is_discard:
            heapq.heappush(self._unused, stamp)

    def of(self, frame: av.VideoFrame, *, is_reordered: bool) -> int | None:
        """When to show a frame, in its own time base; None if nothing is known."""
        if self._has_order_of_its_own or not is_reordered or not self._unused:
            self._unused.clear()
            return frame.pts if frame.pts is not None else frame.dts
        return heapq.heappop(self._unused)


def next_stamp(pts: int | None, previous: int | None, duration: int) -> int:
    """A stamp behind the previous one, whatever the file says; `duration` is the previous frame's."""
    if previous is None:
        return 0 if pts is None else pts
    if pts is None:
        return previous + max(duration, 1)
    # A repeated one goes on by a tick, since no container can hold two frames at the same instant.
    return max(pts, previous + 1)


class Shown:
    """Which of the stamps that packets had were shown.

    counts_from_start: whether to trust that each packet shows a picture. Otherwise, and before the first
    picture, none is missed until is_damaged is set: players show nothing there either.
    last: the latest stamp shown.
    """

    def __init__(self, *, counts_from_start: bool) -> None:
        self.is_damaged = False
        self.last: int | None = None
        self._last_image: av.VideoFrame | None = None
        self._counts_from_start = counts_from_start
        self._expected: list[int] = []
        self._missed: set[int] = set()

    def expect(self, packet: av.Packet[Stream]) -> None:
        """Take note of a packet, before it goes to the decoder."""
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is not None and packet.size and not packet.is_discard:
            heapq.heappush(self._expected, stamp)

    def was_missed(self, pts: int | None) -> bool:
        """Whether this stamp was taken for one that is not shown."""
        return pts in self._missed

    def missing_before(self, pts: int | None) -> list[int]:
        """The stamps not shown so far, of those before a picture that is about to be shown."""
        if pts is None:
            # Then packets have none either, or they cannot be told apart.
            self._expected.clear()
            return []
        return self._take(pts)

    def missing_at_end(self) -> list[int]:
        """The stamps never shown."""
        return self._take(None)

    def show(self, pts: int | None, image: av.VideoFrame) -> None:
        """Take note of a picture."""
        self.last = self.last if pts is None else pts
        self._last_image = image

    def _take(self, end: int | None) -> list[int]:
        missing: list[int] = []
        while self._expected and (end is None or self._expected[0] <= end):
            stamp = heapq.heappop(self._expected)
            is_old = stamp == end or (self.last is not None and stamp <= self.last)
            if not is_old and stamp not in missing[-1:] and not self._is_second_field(stamp):
                missing.append(stamp)
        if not self.is_damaged and (self._last_image is None or not self._counts_from_start):
            return []
        self._missed.update(missing)
        return missing

    def _is_second_field(self, stamp: int) -> bool:
        if self._last_image is None or self.last is None or not self._last_image.interlaced_frame:
            return False
        return stamp - self.last < (self._last_image.duration or 0) * _MOST_OF_A_FRAME
