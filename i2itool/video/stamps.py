"""When each frame is shown, also where a file tells only when it was stored."""

from __future__ import annotations

import heapq

import av
from av.stream import Stream


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
