"""A smoother along a stream of translated frames: cuts, duplicates, and a look ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from i2itool.frames import AnyPixels, Frame
from i2itool.temporal.base import Arrays, Carry, Smoother
from i2itool.temporal.ema import Ema, EmaMemory
from i2itool.temporal.motion import find_motion
from i2itool.temporal.pixelwise import Pixelwise
from i2itool.temporal.recursion import Memory, Neighbour, Recursion
from i2itool.temporal.tracking import Tracked

# Pictures that stand still for long are not waited for: memory is limited.
_MOST_REPEATS = 8


@dataclass(frozen=True, slots=True)
class Steadied:
    """An output frame, and all that those behind it depend on."""

    frame: Frame
    carry: Carry


@dataclass(frozen=True, slots=True)
class Smoothing:
    """What is done to the frames of a video.

    smoother: how.  memory_type: what it remembers.  lookahead: by how many frames the output may wait.
    """

    smoother: Smoother
    memory_type: type[Any]  # Any: a dataclass of arrays
    lookahead: int = 0

    def restored(self, arrays: Arrays) -> Carry:
        """What `Carry.arrays` was made of; raises KeyError if anything is missing."""
        return Carry.restored(arrays, self.memory_type)

    def run(
        self, translated: Iterable[tuple[Tracked, AnyPixels]], carry: Carry | None = None
    ) -> Iterator[Steadied]:
        """Steady the outputs of frames in order of time, beginning behind `carry`.

        The first frame of a scene stays as it is, and a frame that repeats its input repeats its output.
        """
        waiting: deque[tuple[Tracked, AnyPixels]] = deque()
        for item in translated:
            waiting.append(item)
            while waiting and self._sees_enough(waiting):
                carry = self._next(waiting, carry)
                yield _steadied(waiting.popleft()[0], carry)
        while waiting:
            carry = self._next(waiting, carry)
            yield _steadied(waiting.popleft()[0], carry)

    def _sees_enough(self, waiting: Sequence[tuple[Tracked, AnyPixels]]) -> bool:
        """Whether so many other pictures are waiting behind the first one; not for ever, though."""
        num_behind = sum(tracked.kind != "same" for tracked, _ in waiting) - (waiting[0][0].kind != "same")
        return num_behind >= self.lookahead or len(waiting) > _MOST_REPEATS * self.lookahead

    def _next(self, waiting: Sequence[tuple[Tracked, AnyPixels]], carry: Carry | None) -> Carry:
        tracked, output = waiting[0]
        if tracked.kind == "same" and carry is not None:
            return carry
        if tracked.kind == "cut" or carry is None:
            return Carry(tracked.seen, output, self.smoother.start(tracked, output))
        smoothed, memory = self.smoother.follow(tracked, output, carry.memory)
        # What lies ahead changes the output only: remembered, it would count twice.
        if isinstance(self.smoother, Recursion) and (later := _later(waiting, self.smoother)) is not None:
            assert tracked.motion is not None
            earlier = Neighbour(carry.memory, tracked.motion)
            smoothed, _ = self.smoother.blend(tracked, output, [earlier, later])
        return Carry(tracked.seen, smoothed, memory)


def most_ahead(lookahead: int) -> int:
    """How many frames behind one may matter to it at most."""
    return _MOST_REPEATS * lookahead


def open_smoothing(
    method: str, *, strength: float = 1.0, lookahead: int = 0, pixelwise: Pixelwise | None = None
) -> Smoothing | None:
    """The smoothing of that name, "recursion" or "ema"; None for "off", or without strength.

    pixelwise: what does recursion's arithmetic at full size; OpenCV if none.
    """
    if method == "off" or strength == 0:
        return None
    if method == "ema":
        return Smoothing(Ema(strength), EmaMemory)
    assert method == "recursion"
    return Smoothing(Recursion(strength, pixelwise), Memory, lookahead)


def _later(waiting: Sequence[tuple[Tracked, AnyPixels]], smoother: Recursion) -> Neighbour | None:
    """What the first of `waiting` may learn of those behind it, gathered from the last one backwards."""
    scene = [waiting[0]]
    for item in list(waiting)[1:]:
        if item[0].kind == "cut":
            break
        if item[0].kind == "next":
            scene.append(item)
    neighbour: Neighbour | None = None
    for (here, _), (there, output) in reversed(list(pairwise(scene))):
        memory = (
            smoother.start(there, output)
            if neighbour is None
            else smoother.blend(there, output, [neighbour])[1]
        )
        motion = find_motion(here.seen.look, there.seen.look)
        neighbour = None if motion is None else Neighbour(memory, motion)
    return neighbour


def _steadied(tracked: Tracked, carry: Carry) -> Steadied:
    return Steadied(replace(tracked.frame, pixels=carry.shown), carry)
