"""Frames on their way through the network and the smoother, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from i2itool.errors import OptionError
from i2itool.frames import AnyPixels, Frame, stacked
from i2itool.options import ConvertOptions
from i2itool.temporal.base import Arrays, Carry
from i2itool.temporal.stream import Smoothing, open_smoothing
from i2itool.temporal.tracking import Tracked, track_all
from i2itool.translator import Translator
from i2itool.video.ahead import ReadAhead

Item = TypeVar("Item", Frame, Tracked)

# Translated frames that wait for the smoother: one that is at work, one that is next.
_DEPTH = 2


@dataclass(frozen=True, slots=True)
class Passed:
    """A frame that has been translated, and what those behind it depend on; None if they do not."""

    frame: Frame
    carry: Carry | None

    def state(self) -> Arrays:
        """What to keep, so that another run can go on behind this frame."""
        return {} if self.carry is None else self.carry.arrays()


@contextmanager
def passing(
    frames: Iterable[Frame],
    translator: Translator,
    options: ConvertOptions,
    state: Arrays | None = None,
) -> Iterator[Iterator[Passed]]:
    """Translate and smooth frames in order of time, with reading and the network in threads of their own.

    state: of the last frame before these, as `Passed.state` gave it.
    """
    smoothing = smoothing_of(options)
    if smoothing is None:
        with _translated(frames, translator, options.batch_size) as done:
            yield (Passed(replace(frame, pixels=pixels), None) for frame, pixels in done)
        return
    carry = smoothing.restored(state) if state else None
    tracked = track_all(frames, None if carry is None else carry.seen)
    with _translated(tracked, translator, options.batch_size) as done:
        yield (Passed(steadied.frame, steadied.carry) for steadied in smoothing.run(done, carry))


def smoothing_of(options: ConvertOptions) -> Smoothing | None:
    """What the options ask for; None if frames are to stay as the network gives them."""
    method = "recursion" if options.smooth == "auto" else options.smooth
    return open_smoothing(method, strength=options.smooth_strength, lookahead=options.smooth_lookahead)


def check_smoothing(options: ConvertOptions) -> None:
    """Raise OptionError for what cannot be."""
    if not 0 <= options.smooth_strength <= 1:
        raise OptionError(f"a smoothing strength of {options.smooth_strength} is impossible", hint="0 to 1")
    if options.smooth_lookahead < 0:
        raise OptionError(
            f"a look ahead of {options.smooth_lookahead} frames is impossible", hint="0 or more"
        )
    if options.smooth_lookahead and options.smooth not in ("auto", "recursion"):
        raise OptionError(f"--smooth {options.smooth} cannot look ahead", hint="recursion can")


@contextmanager
def _translated(
    items: Iterable[Item], translator: Translator, batch_size: int
) -> Iterator[Iterable[tuple[Item, AnyPixels]]]:
    """Each item with the translation of its frame."""
    with (
        ReadAhead(items) as read,
        ReadAhead(_in_batches(read, translator, batch_size), depth=_DEPTH, name="network") as translated,
    ):
        yield translated


def _in_batches(
    items: Iterable[Item], translator: Translator, batch_size: int
) -> Iterator[tuple[Item, AnyPixels]]:
    waiting = iter(items)
    while batch := list(islice(waiting, batch_size)):
        frames = [item if isinstance(item, Frame) else item.frame for item in batch]
        yield from zip(batch, translator.translate(stacked(frames)), strict=True)
