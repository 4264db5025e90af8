"""What finished pieces become: a video file, numbered pictures, or an animation."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from i2itool.errors import OutputError
from i2itool.frames import Frame, VideoInfo, Window
from i2itool.options import ConvertOptions
from i2itool.partial import hidden_name
from i2itool.stills import read_still
from i2itool.video.animation import AnimationWriter, is_animation, is_animation_name, num_plays
from i2itool.video.containers import describe
from i2itool.video.encoding import Encoding, FrameEncoder
from i2itool.video.input import PIPE, open_input
from i2itool.video.job import Job
from i2itool.video.reader import VideoReader
from i2itool.video.segments import PacketPiece, Piece, read_segments
from i2itool.video.sequence import (
    FIRST_NUMBER,
    PicturePiece,
    SequenceReader,
    is_sequence,
    publish_pictures,
    stamps_of,
)
from i2itool.video.sources import Source
from i2itool.video.writer import VideoFile

logger = logging.getLogger("i2itool.video")


class Product(Protocol):
    """An output to be, which is made of pieces."""

    @property
    def settings(self) -> Mapping[str, object]:
        """What it depends on beyond the options, by name."""
        ...

    def check(self) -> None:
        """See before any work whether it can be made; raises OutputError."""
        ...

    def open_piece(self, folder: Path, index: int) -> Piece:
        """Begin the piece `index` in the folder of a job."""
        ...

    def join(self, job: Job) -> None:
        """Make the output of all pieces of a job, and end the job. Raises OutputError."""
        ...


def choose_product(
    path: Path, source: Source, info: VideoInfo, target: Path, options: ConvertOptions, window: Window
) -> Product:
    """What `target` is to be, from a `window` of the `source` at `path`.

    Raises OutputError if nothing can be made under such a name.
    """
    is_file = isinstance(source, VideoReader) and path != PIPE
    if not is_sequence(target) and not is_animation_name(target):
        origin = path if is_file else None
        encoding = Encoding.choose(target, info, source.coding, options, source=origin)
        file = VideoFile(
            target,
            origin,
            source.stream_index if isinstance(source, VideoReader) else 0,
            encoding,
            drop_unsupported=options.drop_unsupported,
        )
        return VideoProduct(file, window, info.time_base)
    say_what_is_left(path, source, target)
    if is_sequence(target):
        first = source.first_number if isinstance(source, SequenceReader) else FIRST_NUMBER
        return PicturesProduct(target, first)
    if target.suffix.lower() == ".png" and not is_animation(path):
        raise OutputError(
            f"{target.name} would hold one picture",
            hint=f"{target.stem}_%05d.png for one of each frame, .apng for one that moves",
        )
    return AnimationProduct(target, info, num_plays(path) if path != PIPE else 0, options.quality)


def keep_stored(
    source: Source, product: Product, options: ConvertOptions, small_size: tuple[int, int]
) -> None:
    """Have a source give pictures as it stores them, if the product is to store them alike.

    Not for a comparison, which shows the pictures as they were, too, in RGB.
    small_size: height and width of the RGB copies beside; nothing is done if they are not small.
    """
    if options.compare != "off":
        return
    if isinstance(source, VideoReader) and isinstance(product, VideoProduct):
        is_small = small_size != (source.info.height, source.info.width)
        if is_small and source.can_keep_stored() and product.file.encoding.takes_stored(source.coding):
            source.keep_stored(small_size)


def say_what_is_left(path: Path, source: Source, target: Path) -> None:
    """Warn of the streams of a video file that a `target` without any other cannot take."""
    if not isinstance(source, VideoReader) or path == PIPE:
        return
    with open_input(path) as container:
        left = [describe(stream) for stream in container.streams if stream.index != source.stream_index]
    if left:
        name = "a pipe" if target == PIPE else target.name
        logger.warning("%s holds pictures only; left out: %s", name, "; ".join(left))


@dataclass(frozen=True, slots=True)
class VideoProduct:
    """A video file, of pieces that are packets.

    window: the part of the source that was asked for.  time_base: the length of the source's ticks.
    """

    file: VideoFile
    window: Window
    time_base: Fraction

    @property
    def settings(self) -> Mapping[str, object]:
        """The encoder, and what it encodes."""
        return {"codec": self.file.encoding.codec, "pixel_format": self.file.encoding.pixel_format}

    def check(self) -> None:
        """Try whether the container, the encoder and the streams go together."""
        path = self.file.path
        self.file.check(hidden_name(path, f"{os.getpid()}.part{path.suffix}"))

    def open_piece(self, folder: Path, index: int) -> Piece:
        """Packets of an encoder of their own."""
        return PacketPiece(folder, index, FrameEncoder(self.file.encoding))

    def join(self, job: Job) -> None:
        """Put the packets and all other streams into one file, and give it its name."""
        window = self.window
        if window.start is not None:
            # With sound from before the first frame, the picture would begin late.
            start = job.segments[0].first_pts * self.time_base
            window = Window(start, window.end)
        packets = read_segments(job.folder, job.segments)
        depth = max(segment.reorder_depth for segment in job.segments)
        self.file.join(job.partial, packets, depth=depth, window=window)
        job.publish()


@dataclass(frozen=True, slots=True)
class PicturesProduct:
    """Numbered pictures, of pieces that are folders of them. first_number: that of the first."""

    pattern: Path
    first_number: int

    @property
    def settings(self) -> Mapping[str, object]:
        """Where the numbers begin."""
        return {"first_number": self.first_number}

    def check(self) -> None:
        """Its name told already that it can be made."""

    def open_piece(self, folder: Path, index: int) -> Piece:
        """A folder of such pictures."""
        return PicturePiece(folder, index, self.pattern.suffix)

    def join(self, job: Job) -> None:
        """Give the pictures their names."""
        job.begin_publishing()
        publish_pictures(self.pattern, _pictures(job), self.first_number)
        job.discard()


@dataclass(frozen=True, slots=True)
class AnimationProduct:
    """An animation, of pieces that are folders of exact pictures. plays, crf: as for `AnimationWriter`."""

    path: Path
    info: VideoInfo
    plays: int
    crf: int

    @property
    def settings(self) -> Mapping[str, object]:
        """How often it is shown."""
        return {"plays": self.plays}

    def check(self) -> None:
        """Its name told already that it can be made."""

    def open_piece(self, folder: Path, index: int) -> Piece:
        """A folder of exact pictures."""
        return PicturePiece(folder, index, ".png")

    def join(self, job: Job) -> None:
        """Encode the pictures, which is quick beside their translation."""
        with AnimationWriter(self.path, self.info, plays=self.plays, crf=self.crf) as writer:
            for path in _pictures(job):
                pts, duration = stamps_of(path)
                pixels = read_still(path, max_pixels=self.info.width * self.info.height).pixels
                writer.write(Frame(pixels, pts, self.info.time_base, duration))
        job.discard()


def _pictures(job: Job) -> Iterator[Path]:
    """The pictures of all pieces, in order."""
    for segment in job.segments:
        yield from sorted(segment.path(job.folder).iterdir())
