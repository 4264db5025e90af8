"""Whether the frames of a video come at a constant rate, told by the stamps of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Stream

from i2itool.video.clock import Clock
from i2itool.video.input import demux, open_input, video_stream

# By which NTSC's rates are slower than whole ones.
_NTSC = Fraction(1001, 1000)


def constant_rate(path: Path) -> Fraction | None:
    """The frames per second of a video of which each frame is where it should be; None if it varies.

    Counted from 0, frame for frame, each within a tick of the file's clock. Reads all packets.
    Raises InputError if the file cannot be read.
    """
    with open_input(path) as container:
        stream = video_stream(container)
        tick = Fraction(stream.time_base or Fraction(1, 1000))
        stated = [Fraction(rate) for rate in (stream.guessed_rate, stream.average_rate) if rate]
        stamps = sorted(
            stamp
            for packet in Clock(path).mended(demux(container))
            if packet.stream.index == stream.index
            and packet.size
            and not packet.is_discard
            and (stamp := _stamp(packet)) is not None
        )
    return next((rate for rate in [*stated, *_usual_rates(stamps, tick)] if _fits(stamps, tick, rate)), None)


def _stamp(packet: av.Packet[Stream]) -> int | None:
    return packet.dts if packet.pts is None else packet.pts


def _usual_rates(stamps: Sequence[int], tick: Fraction) -> list[Fraction]:
    """The nearest whole rate, and the nearest of those of NTSC; none of fewer than two frames."""
    if len(stamps) < 2 or stamps[-1] == stamps[0]:
        return []
    rate = (len(stamps) - 1) / ((stamps[-1] - stamps[0]) * tick)
    return [item for item in (Fraction(round(rate)), Fraction(round(rate * _NTSC), 1) / _NTSC) if item]


def _fits(stamps: Sequence[int], tick: Fraction, rate: Fraction) -> bool:
    places = [stamp * tick * rate for stamp in stamps]
    first = round(places[0]) if places else 0
    return all(abs(place - first - i) <= tick * rate for i, place in enumerate(places))
