"""Frames as a smoother wants them: each with its way from the one before, and the time since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from i2itool.frames import AnyPixels, Frame
from i2itool.temporal.motion import Look, Motion, find_motion, look_at

# What a frame is to the one before: the first of a scene, the same picture again, or the next one.
Kind = Literal["cut", "same", "next"]
# Of a frame that does not tell how long it is shown: as in films.
_USUAL_SECONDS = 1 / 24


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest picture that tracking knows. pixels: H,W,3 RGB.  look: made of them.  seconds: its time."""

    pixels: AnyPixels
    look: Look
    seconds: float


@dataclass(frozen=True, slots=True)
class Tracked:
    """A frame of the input, and how it follows from the one before.

    seen: what was seen up to this frame, it included.  motion: the way back to the picture before, if `kind`
    is "next".  seconds: since that picture, above 0.
    """

    frame: Frame
    kind: Kind
    seen: Seen
    motion: Motion | None
    seconds: float


def track(frame: Frame, seen: Seen | None) -> Tracked:
    """Find how a frame follows from what was seen before it.

    Where time stands still or runs backwards, the frame's own duration counts.
    """
    stamp = float(frame.pts * frame.time_base)
    usual = float(frame.duration * frame.time_base)
    usual = usual if usual > 0 else _USUAL_SECONDS
    look = look_at(frame.pixels)
    now = Seen(frame.pixels, look, stamp)
    if seen is None or seen.pixels.shape != frame.pixels.shape:
        return Tracked(frame, "cut", now, None, usual)
    seconds = stamp - seen.seconds if stamp > seen.seconds else usual
    if np.array_equal(look.gray, seen.look.gray) and np.array_equal(frame.pixels, seen.pixels):
        # The clock waits: a picture that comes twice is one that is shown for longer.
        return Tracked(frame, "same", seen, None, seconds)
    motion = find_motion(look, seen.look)
    return Tracked(frame, "cut" if motion is None else "next", now, motion, seconds)


def track_all(frames: Iterable[Frame], seen: Seen | None = None) -> Iterator[Tracked]:
    """`track` over frames in order of time, beginning behind what was seen."""
    for frame in frames:
        tracked = track(frame, seen)
        seen = tracked.seen
        yield tracked
