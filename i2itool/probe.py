"""How long a frame takes and how many bytes it becomes, measured on a few frames; nothing is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from i2itool.frames import Frame, Position
from i2itool.juxtapose import Juxtaposition
from i2itool.options import ConvertOptions
from i2itool.pictures import is_picture
from i2itool.smoothing import passing
from i2itool.stills import read_still
from i2itool.translator import Translator
from i2itool.trim import window_of
from i2itool.video.ahead import WriteBehind
from i2itool.video.animation import is_animation
from i2itool.video.encoding import FrameEncoder
from i2itool.video.products import VideoProduct, choose_product, keep_stored
from i2itool.video.sources import open_source
from i2itool.video.spread import sampler_of

# The first frames find queues and caches empty; then enough are timed, or for long enough.
_UNTIMED, _LEAST_TIMED, _MOST_TIMED, _ENOUGH_SECONDS = 4, 6, 60, 6.0
# Many videos begin in the dark: go so far in, if they are longer than three times that.
_SKIPPED = 200


@dataclass(frozen=True, slots=True)
class Probe:
    """What a frame costs. num_bytes: that it becomes; None if that cannot be told beforehand."""

    seconds: float
    num_bytes: float | None


def probe(source: Path, target: Path, translator: Translator, options: ConvertOptions) -> Probe:
    """Convert some frames of a video, or a picture, as `convert` would, and throw them away.

    Raises InputError, EngineError or OutputError, as a conversion would.
    """
    if is_picture(source) and not is_animation(source):
        return _probe_picture(source, translator, options)
    with open_source(source, options) as reader:
        info, window = reader.info, window_of(options.trim, reader.start_seconds)
        beside = Juxtaposition(options.compare)
        translator.prepare(info.height, info.width, sampler_of(source, info, options))
        product = choose_product(source, reader, beside.info(info), target, options, window)
        keep_stored(reader, product, options, translator.work_size(info.height, info.width))
        encoder = FrameEncoder(product.file.encoding) if isinstance(product, VideoProduct) else None
        sink = _Scales(encoder)
        skipped = Position(min(_SKIPPED, (info.num_frames or 0) // 3))
        frames = islice(reader.frames(window, skipped), _UNTIMED + _MOST_TIMED)
        with passing(beside.watch(frames), translator, options) as passed, WriteBehind(sink) as behind:
            for one in passed:
                behind.write(beside.put(one.frame))
                if sink.has_enough:
                    break
    return Probe(sink.seconds, None if encoder is None else sink.num_bytes)


def _probe_picture(source: Path, translator: Translator, options: ConvertOptions) -> Probe:
    pixels = read_still(source, max_pixels=options.max_pixels).pixels[None]
    # The first one makes the engine ready.
    translator.translate(pixels)
    started = time.monotonic()
    translator.translate(read_still(source, max_pixels=options.max_pixels).pixels[None])
    return Probe(time.monotonic() - started, None)


class _Scales:
    """A `FrameSink` that encodes frames, weighs and times them, and throws them away."""

    def __init__(self, encoder: FrameEncoder | None) -> None:
        self._encoder = encoder
        self._stamps: list[float] = [time.monotonic()]
        self._num_bytes = 0

    def write(self, frame: Frame) -> None:
        """Take a frame."""
        if self._encoder is not None:
            self._num_bytes += sum(len(packet.data) for packet in self._encoder.encode(frame))
        self._stamps.append(time.monotonic())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    @property
    def has_enough(self) -> bool:
        """Whether more frames would tell no more."""
        num_timed = len(self._stamps) - 1 - _UNTIMED
        return num_timed >= _LEAST_TIMED and self._stamps[-1] - self._stamps[_UNTIMED] > _ENOUGH_SECONDS

    @property
    def seconds(self) -> float:
        """Of a frame, behind the first few; of all, if there are no more."""
        first = min(_UNTIMED, len(self._stamps) // 2)
        return (self._stamps[-1] - self._stamps[first]) / max(1, len(self._stamps) - 1 - first)

    @property
    def num_bytes(self) -> float:
        """Of a frame, with those that the encoder still holds back."""
        rest = 0 if self._encoder is None else sum(len(packet.data) for packet in self._encoder.finish())
        return (self._num_bytes + rest) / max(1, len(self._stamps) - 1)
