"""Frames, batches of them, and what is known about a video: pixels that carry their own time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
DeepPixels = NDArray[np.uint16]
AnyPixels = NDArray[np.uint8 | np.uint16]
# The type of the levels: what goes in comes out.
Levels = TypeVar("Levels", bound=np.uint8 | np.uint16)


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A picture as most videos store it: brightness at full size, colours at half of both sides.

    luma: H,W uint8, both even.  blue, red: H/2,W/2 uint8, Cb and Cr.
    to_rgb: 3,4 float64, from levels (Y, Cb, Cr, 1) to R, G and B in [0, 1].  from_rgb: 3,4, the inverse.
    """

    luma: Pixels
    blue: Pixels
    red: Pixels
    to_rgb: NDArray[np.float64]
    from_rgb: NDArray[np.float64]

    @property
    def black_and_white(self) -> tuple[int, int]:
        """The levels of luma between which RGB lies."""
        black = self.from_rgb[0, 3]
        return round(black), round(black + self.from_rgb[0, :3].sum())


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a video.

    pixels: H,W,3 RGB, upright; uint8, or uint16 on a scale to 65535.  pts and duration: in units of
    `time_base` seconds.
    stored: where it was asked for, the picture as the video stores it; `pixels` are then a small copy.
    """

    pixels: AnyPixels
    pts: int
    time_base: Fraction
    duration: int = 0
    stored: Stored | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """What was wrong with a video, as far as it was read.

    num_repeated: frames that could not be decoded, in whose place the neighbour is shown.  num_damaged: those
    shown as far as they could be decoded.  is_cut_off: whether the end seems to be missing.
    """

    num_repeated: int = 0
    num_damaged: int = 0
    is_cut_off: bool = False

    def __str__(self) -> str:
        """In words; empty if nothing was wrong."""
        words = []
        if self.num_repeated:
            words.append(f"{self.num_repeated} frames could not be decoded, and repeat their neighbour")
        if self.num_damaged:
            words.append(f"{self.num_damaged} frames are shown as far as they could be decoded")
        if self.is_cut_off:
            words.append("its end seems to be missing")
        return "; ".join(words)


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """Frames of one size that travel together, in order of time.

    pixels: N,H,W,3 RGB, uint8 or uint16.  pts and durations: N integers in units of `time_base` seconds.
    """

    pixels: AnyPixels
    pts: tuple[int, ...]
    durations: tuple[int, ...]
    time_base: Fraction

    def frames(self) -> Iterator[Frame]:
        """The batch taken apart again."""
        for pixels, pts, duration in zip(self.pixels, self.pts, self.durations, strict=True):
            yield Frame(pixels, pts, self.time_base, duration)


def batches(frames: Iterable[Frame], batch_size: int) -> Iterator[FrameBatch]:
    """Group frames by `batch_size`; the last batch may be shorter."""
    waiting: list[Frame] = []
    for frame in frames:
        waiting.append(frame)
        if len(waiting) == batch_size:
            yield _stack(waiting)
            waiting = []
    if waiting:
        yield _stack(waiting)


def stacked(frames: Sequence[Frame]) -> AnyPixels:
    """The pixels of frames of one size, N,H,W,3; those of a single one, the usual case, are not copied."""
    return frames[0].pixels[None] if len(frames) == 1 else np.stack([frame.pixels for frame in frames])


def _stack(frames: list[Frame]) -> FrameBatch:
    return FrameBatch(
        pixels=stacked(frames),
        pts=tuple(frame.pts for frame in frames),
        durations=tuple(frame.duration for frame in frames),
        time_base=frames[0].time_base,
    )


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a container says about its first video stream.

    width, height: of the upright frames, in pixels.  rate: average frames per second, 0 if unknown.
    num_frames: as declared or estimated from the duration, None if unknown; for progress bars only.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    num_frames: int | None


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a file from `start` until before `end`, in seconds of the file's time.

    `start` becomes the new 0. None: the file's own beginning, which stays where it is; its own end.
    """

    start: Fraction | None = None
    end: Fraction | None = None

    def holds(self, seconds: Fraction) -> bool:
        """Whether an instant of the file lies within."""
        if self.start is not None and seconds < self.start:
            return False
        return self.end is None or seconds < self.end

    def shift(self, tick: Fraction) -> int:
        """By how many ticks of so many seconds everything moves towards 0."""
        return 0 if self.start is None else round(self.start / tick)


WHOLE = Window()


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a video: behind so many frames, the last of which is at `last_pts`, if that is known.

    Whoever knows it is told if it is no more so; who does not, gets no frames behind the last one.
    """

    num_frames: int
    last_pts: int | None = None
