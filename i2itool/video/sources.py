"""Whatever holds frames, opened for reading: a video, a pipe, numbered pictures, an animation."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from i2itool.errors import OptionError
from i2itool.options import ConvertOptions
from i2itool.video.animation import is_animation
from i2itool.video.input import PIPE
from i2itool.video.journal import Identity, pictures_identity, source_identity
from i2itool.video.reader import VideoReader
from i2itool.video.sequence import DEFAULT_RATE, SequenceReader, is_sequence
from i2itool.video.webp import WebpReader

Source = VideoReader | SequenceReader | WebpReader

_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(\d+))?", re.ASCII)


def open_source(path: Path, options: ConvertOptions) -> Source:
    """The frames of a file, of a pattern of numbered pictures, or of `-`; a context manager.

    Raises InputError if it cannot be read.
    """
    if is_sequence(path):
        rate = DEFAULT_RATE if options.rate is None else parse_rate(options.rate)
        return SequenceReader(path, rate, max_pixels=options.max_pixels)
    if path.suffix.lower() == ".webp" and is_animation(path):
        return WebpReader(path, max_pixels=options.max_pixels)
    return VideoReader(path, options)


def identity_of(path: Path, source: Source) -> Identity:
    """What tells an opened source from another, for a journal; of a pipe, nothing does."""
    if path == PIPE:
        return {}
    return pictures_identity(source.files) if isinstance(source, SequenceReader) else source_identity(path)


def parse_rate(text: str) -> Fraction:
    """Frames per second of `25`, `29.97` or `30000/1001`; raises OptionError if it is none of these."""
    match = _RATE.fullmatch(text.strip())
    rate = Fraction(match[1]) / int(match[2] or 1) if match and int(match[2] or 1) else Fraction(0)
    if rate == 0:
        raise OptionError(f"'{text}' is no frame rate", hint="for instance 25, 29.97 or 30000/1001")
    return rate
