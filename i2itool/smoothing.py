"""Frames on their way through the network and the smoother, each in a thread of its own."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

import torch

from i2itool.errors import EngineError, OptionError
from i2itool.frames import AnyPixels, Frame, stacked
from i2itool.networks.steady import Statistics
from i2itool.options import BatchSize, ConvertOptions
from i2itool.profile import stage
from i2itool.temporal.base import Arrays, Carry
from i2itool.temporal.by_opencv import ByOpenCv
from i2itool.temporal.by_torch import ByTorch
from i2itool.temporal.stream import Smoothing, open_smoothing
from i2itool.temporal.tracking import Tracked, track_all
from i2itool.translator import Translator
from i2itool.video.ahead import ReadAhead
from i2itool.work_size import carried, carried_stored

Item = TypeVar("Item", Frame, Tracked)

# Translated frames that wait for the smoother: one that is at work, one that is next.
_DEPTH = 2
# Over which the statistics inside the network are averaged.
_STATISTICS_SECONDS = 0.19


@dataclass(frozen=True, slots=True)
class Passed:
    """A frame that has been translated, and what those behind it depend on; None if they do not.

    statistics: of the network, behind the last frame of a batch.
    """

    frame: Frame
    carry: Carry | None = None
    statistics: Statistics | None = None

    def state(self) -> Arrays:
        """What to keep, so that another run can go on behind this frame, the last of its batch."""
        statistics = {f"statistics.{i:03}": one.cpu().numpy() for i, one in enumerate(self.statistics or ())}
        return statistics if self.carry is None else {**self.carry.arrays(), **statistics}


@contextmanager
def passing(
    frames: Iterable[Frame],
    translator: Translator,
    options: ConvertOptions,
    state: Arrays | None = None,
) -> Iterator[Iterator[Passed]]:
    """Translate and smooth frames in order of time, with reading, the network and the smoother in threads.

    What carries them to full size works in the thread that takes them.
    state: of the last frame before these, as `Passed.state` gave it.
    """
    smoothing = smoothing_of(options, translator.device)
    if smoothing is None:
        reduction = Reduction(translator)
        with (
            _ahead(reduction.reduced(frames), translator, lambda read: _in_batches(read, translator)) as done,
            stage("carry"),
        ):
            yield (Passed(reduction.enlarged(replace(frame, pixels=pixels))) for frame, pixels in done)
        return
    with _smoothed(frames, translator, options, smoothing, state) as passed, stage("carry"):
        yield passed


@contextmanager
def _smoothed(
    frames: Iterable[Frame],
    translator: Translator,
    options: ConvertOptions,
    smoothing: Smoothing,
    state: Arrays | None,
) -> Iterator[Iterator[Passed]]:
    carry = smoothing.restored(state) if state else None
    reduction = Reduction(translator)
    tracked = track_all(reduction.reduced(frames), None if carry is None else carry.seen)
    # As many as frames, in their order; they overtake those that wait for the smoother.
    statistics: deque[Statistics | None] = deque()

    def translate(read: Iterable[Tracked]) -> Iterator[tuple[Tracked, AnyPixels]]:
        if options.smooth == "norm-statistics":
            return _steadily(read, translator, options, statistics_of(state), statistics)
        return _in_batches(read, translator)

    with (
        _ahead(tracked, translator, translate) as done,
        ReadAhead(smoothing.run(done, carry), depth=_DEPTH, name="smooth") as steadied,
    ):
        yield (
            Passed(reduction.enlarged(one.frame), one.carry, statistics.popleft() if statistics else None)
            for one in steadied
        )


class Reduction:
    """Frames at the working size on their way in, and at their own on their way out.

    What is smoothed is then what the network makes, small: the maps that carry it to full size are fitted to
    it, and follow the input's edges in each frame anew.
    """

    def __init__(self, translator: Translator) -> None:
        self._translator = translator
        self._waiting: deque[tuple[Frame, AnyPixels]] = deque()

    def reduced(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Each frame as the network sees it; its own pixels are remembered."""
        for frame in frames:
            small = self._translator.reduced(frame.pixels)
            self._waiting.append((frame, small))
            yield replace(frame, pixels=small, stored=None)

    def enlarged(self, frame: Frame) -> Frame:
        """A translated frame at full size; they come in the order in which `reduced` gave them.

        One that came as its video stores it goes so; its pixels stay small.
        """
        whole, small = self._waiting.popleft()
        trust = self._translator.trust
        if whole.stored is not None:
            return replace(frame, stored=carried_stored(small, frame.pixels, whole.stored, trust))
        return replace(frame, pixels=carried(small, frame.pixels, whole.pixels, trust))


def engine_for(options: ConvertOptions) -> str:
    """The engine that is asked for; raises EngineError if it cannot run what the smoothing asks for."""
    if options.smooth != "norm-statistics" or options.smooth_strength == 0:
        return options.engine
    if options.engine not in ("auto", "eager"):
        raise EngineError(
            f"engine '{options.engine}' cannot smooth the statistics inside a network",
            hint="--engine eager, or --smooth recursion",
        )
    return "eager"


def batch_size_for(options: ConvertOptions) -> BatchSize:
    """The batch size that is asked for; "auto" tries engines, and none runs a network that remembers."""
    is_steady = options.smooth == "norm-statistics" and options.smooth_strength > 0
    return 1 if is_steady and options.batch_size == "auto" else options.batch_size


def statistics_of(state: Arrays | None) -> Statistics | None:
    """What `Passed.state` kept of the network; None if nothing."""
    names = sorted(name for name in state or {} if name.startswith("statistics."))
    return tuple(torch.from_numpy((state or {})[name]) for name in names) or None


def smoothing_of(options: ConvertOptions, device: torch.device) -> Smoothing | None:
    """What the options ask for; None if frames are to stay as the network gives them.

    device: where the network computes; on a CUDA device the smoother does its arithmetic at full size, too.
    """
    method = "recursion" if options.smooth in ("auto", "norm-statistics") else options.smooth
    return open_smoothing(
        method,
        strength=options.smooth_strength,
        lookahead=options.smooth_lookahead,
        pixelwise=ByTorch(device) if device.type == "cuda" else ByOpenCv(),
    )


def check_smoothing(options: ConvertOptions) -> None:
    """Raise OptionError for what cannot be."""
    if not 0 <= options.smooth_strength <= 1:
        raise OptionError(f"a smoothing strength of {options.smooth_strength} is impossible", hint="0 to 1")
    if options.smooth_lookahead < 0:
        raise OptionError(
            f"a look ahead of {options.smooth_lookahead} frames is impossible", hint="0 or more"
        )
    if options.smooth_lookahead and options.smooth in ("ema", "off"):
        raise OptionError(f"--smooth {options.smooth} cannot look ahead", hint="recursion can")


@contextmanager
def _ahead(
    items: Iterable[Item],
    translator: Translator,
    translate: Callable[[Iterable[Item]], Iterator[tuple[Item, AnyPixels]]],
) -> Iterator[Iterable[tuple[Item, AnyPixels]]]:
    """Items with their translations: reading is one thread, the network another."""
    with (
        ReadAhead(items) as read,
        # A batch that had to wait until most of it is taken would keep the next one from beginning.
        ReadAhead(translate(read), depth=max(_DEPTH, translator.batch_size), name="network") as translated,
    ):
        yield translated


def _in_batches(items: Iterable[Item], translator: Translator) -> Iterator[tuple[Item, AnyPixels]]:
    waiting = iter(items)
    while batch := list(islice(waiting, translator.batch_size)):
        frames = [item if isinstance(item, Frame) else item.frame for item in batch]
        yield from zip(batch, translator.translate(stacked(frames)), strict=True)


def _steadily(
    items: Iterable[Tracked],
    translator: Translator,
    options: ConvertOptions,
    before: Statistics | None,
    kept: deque[Statistics | None],
) -> Iterator[tuple[Tracked, AnyPixels]]:
    """The same with a network that remembers; what it does behind each batch is put into `kept`."""
    waiting, longest = iter(items), options.smooth_strength * _STATISTICS_SECONDS
    while batch := list(islice(waiting, translator.batch_size)):
        shares = [_share(tracked, longest) for tracked in batch]
        pixels = stacked([tracked.frame for tracked in batch])
        translated, before = translator.translate_steadily(pixels, shares, before)
        kept.extend([None] * (len(batch) - 1) + [before])
        yield from zip(batch, translated, strict=True)


def _share(tracked: Tracked, longest: float) -> float:
    """Of a frame's own statistics in those that the network goes by."""
    if tracked.kind == "next":
        return -math.expm1(-tracked.seconds / longest)
    return 1.0 if tracked.kind == "cut" else 0.0
