"""Conversions of what holds pictures only, or cannot be read twice: pipes, numbered pictures, animations."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from i2itool.console import Reporter
from i2itool.errors import InputError, OutputError
from i2itool.frames import Frame, Window, batches
from i2itool.locks import exclusive
from i2itool.options import ConvertOptions
from i2itool.partial import whole_file
from i2itool.pictures import is_picture
from i2itool.translator import Translator
from i2itool.trim import window_of
from i2itool.video.ahead import ReadAhead, WriteBehind
from i2itool.video.animation import (
    AnimationWriter,
    WebpReader,
    is_animation,
    is_animation_name,
    num_plays,
)
from i2itool.video.base import FrameSink
from i2itool.video.containers import describe
from i2itool.video.encoding import Encoding
from i2itool.video.input import PIPE, open_input
from i2itool.video.reader import VideoReader
from i2itool.video.segments import SEGMENT_FRAMES, Segment, SegmentWriter, read_segments
from i2itool.video.sequence import DEFAULT_RATE, SequenceReader, SequenceWriter, is_sequence
from i2itool.video.writer import VideoFile
from i2itool.video.y4m import Y4mWriter

logger = logging.getLogger("i2itool.streaming")

Source = VideoReader | SequenceReader | WebpReader

_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(\d+))?", re.ASCII)


def is_streamed(source: Path, target: Path) -> bool:
    """Whether a conversion goes in one run, frame by frame, and without other streams."""
    if source == PIPE or target == PIPE or is_sequence(source) or is_sequence(target):
        return True
    if is_animation(source):
        return source.suffix.lower() == ".webp" or is_animation_name(target)
    return not is_picture(source) and is_animation_name(target)


def stream_video(
    source: Path, target: Path, translator: Translator, options: ConvertOptions, reporter: Reporter
) -> tuple[int, int]:
    """Translate the frames of `source` into `target`; returns how many there were, and how many repeated.

    Either may be `-` for a pipe of YUV4MPEG2, a pattern of numbered pictures, an animation or a video file.
    The output appears when it is whole, but for a pipe. Raises InputError or OutputError.
    """
    num_frames = 0
    with _open_source(source, options) as opened:
        window = window_of(options.trim, opened.start_seconds)
        with (
            nullcontext() if target == PIPE or is_sequence(target) else exclusive(target),
            ReadAhead(opened.frames(window)) as frames,
            _open_sink(source, target, opened, options) as writer,
            WriteBehind(writer) as sink,
            ExitStack() as exits,
        ):
            reporter.start(source.name, opened.info.num_frames)
            exits.callback(reporter.finish)
            for batch in batches(frames, options.batch_size):
                for frame in batch.with_pixels(translator.translate(batch.pixels)).frames():
                    sink.write(frame)
                num_frames += len(batch.pts)
                reporter.advance(len(batch.pts))
            if num_frames == 0:
                raise InputError(f"no frame of {source} lies within --trim")
    return num_frames, opened.num_repeated if isinstance(opened, VideoReader) else 0


def parse_rate(text: str) -> Fraction:
    """Frames per second of `25`, `29.97` or `30000/1001`; raises InputError if it is none of these."""
    match = _RATE.fullmatch(text.strip())
    rate = Fraction(match[1]) / int(match[2] or 1) if match and int(match[2] or 1) else Fraction(0)
    if rate == 0:
        raise InputError(f"'{text}' is no frame rate", hint="for instance 25, 29.97 or 30000/1001")
    return rate


def _open_source(path: Path, options: ConvertOptions) -> Source:
    if is_sequence(path):
        rate = DEFAULT_RATE if options.rate is None else parse_rate(options.rate)
        return SequenceReader(path, rate, max_pixels=options.max_pixels)
    if path.suffix.lower() == ".webp" and is_animation(path):
        return WebpReader(path, max_pixels=options.max_pixels)
    return VideoReader(path, options)


def _open_sink(source: Path, target: Path, opened: Source, options: ConvertOptions) -> FrameSink:
    if target != PIPE and not is_sequence(target) and not is_animation_name(target):
        return _WholeVideo(target, Encoding.choose(target, opened.info, opened.coding, options))
    if isinstance(opened, VideoReader) and source != PIPE:
        _say_what_is_left(source, target, opened.stream_index)
    if target == PIPE:
        return Y4mWriter(opened.info, opened.coding)
    if is_sequence(target):
        numbers = {"first_number": opened.first_number} if isinstance(opened, SequenceReader) else {}
        return SequenceWriter(target, overwrite=options.overwrite, **numbers)
    if target.suffix.lower() == ".png" and not is_animation(source):
        raise OutputError(
            f"{target.name} would hold one picture",
            hint=f"{target.stem}_%05d.png for one of each frame, .apng for one that moves",
        )
    plays = num_plays(source) if source != PIPE else 0
    return AnimationWriter(target, opened.info, plays=plays, crf=options.crf)


def _say_what_is_left(source: Path, target: Path, video_index: int) -> None:
    with open_input(source) as container:
        left = [describe(stream) for stream in container.streams if stream.index != video_index]
    if left:
        name = "a pipe" if target == PIPE else target.name
        logger.warning("%s holds pictures only; left out: %s", name, "; ".join(left))


class _WholeVideo:
    """A video file of frames that come without any other stream; a `FrameSink`."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._file = VideoFile(path, None, 0, encoding)
        self._context = self._opened()

    def __enter__(self) -> Self:
        self._writer = self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def write(self, frame: Frame) -> None:
        """Encode a frame."""
        self._writer.write(frame)

    @contextmanager
    def _opened(self) -> Iterator[SegmentWriter]:
        """The packets wait in a folder beside the file, since it is to know how far they are out of order."""
        path = self._file.path
        with (
            whole_file(path) as partial,
            tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder,
        ):
            self._file.check(partial)
            log = _Log(Path(folder))
            with SegmentWriter(log, self._file.encoding, segment_frames=SEGMENT_FRAMES) as writer:
                yield writer
            depth = max((segment.reorder_depth for segment in log.segments), default=0)
            packets = read_segments(log.folder, log.segments)
            self._file.join(partial, packets, depth=depth, window=Window())


class _Log:
    """The pieces of a video, which nobody will go on with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.segments: list[Segment] = []

    def note(self, segment: Segment) -> None:
        """Remember a piece."""
        self.segments.append(segment)
