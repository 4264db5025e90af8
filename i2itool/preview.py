"""A look at what a preset does to a video, before all of it is translated: `--preview N`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from i2itool.console import Reporter
from i2itool.frames import Frame, Pixels
from i2itool.options import ConvertOptions
from i2itool.pictures import is_picture, write_picture
from i2itool.stills import to_8_bits
from i2itool.translator import Translator
from i2itool.trim import window_of
from i2itool.video.reader import VideoReader
from i2itool.video.sequence import is_sequence
from i2itool.video.spread import spread_frames

# Wide enough to see what happens; two pairs of such pictures fill a screen.
_MOST_WIDTH_PX = 320
_CAPTION_PX, _GAP_PX = 18, 4
_ROWS_OF_ONE_COLUMN = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture before and after, both H,W,3 uint8 RGB, and its time in seconds from the beginning."""

    seconds: Fraction
    before: Pixels
    after: Pixels


def preview_path(target: Path, output: Path | None) -> Path:
    """Where the contact sheet of the video `target` goes.

    To the picture that the user has named as `output`, else to STEM_preview.png beside the video.
    """
    is_named = output == target and is_picture(target) and not is_sequence(target)
    return target if is_named else target.with_name(f"{target.stem}_preview.png")


def preview_video(
    source: Path, sheet: Path, translator: Translator, options: ConvertOptions, reporter: Reporter
) -> int:
    """Translate `options.preview` frames spread over a video, or over what --trim leaves of it.

    Writes them before and after, side by side, as the picture `sheet`, and nothing else. Returns their
    number: fewer, if the video has fewer. Raises InputError if the file does not tell how long it is.
    """
    assert options.preview is not None
    pairs = []
    reporter.start(source.name, options.preview, unit="frames")
    try:
        for seconds, frame, aspect in _frames_spread(source, options.preview, options):
            before = to_8_bits(frame.pixels)
            after = to_8_bits(translator.translate(frame.pixels[None])[0])
            pairs.append(Pair(seconds, _shrunk(before, aspect), _shrunk(after, aspect)))
            reporter.advance()
    finally:
        reporter.finish()
    write_picture(sheet, contact_sheet(pairs))
    return len(pairs)


def contact_sheet(pairs: Sequence[Pair]) -> Pixels:
    """Pictures of one size in pairs, each with its time below, in one column or two; H,W,3 uint8 RGB."""
    cells = [_cell(pair) for pair in pairs]
    num_columns = 1 if len(cells) <= _ROWS_OF_ONE_COLUMN else 2
    num_rows = math.ceil(len(cells) / num_columns)
    cells += [np.zeros_like(cells[0])] * (num_rows * num_columns - len(cells))
    rows = [np.hstack(cells[row * num_columns : (row + 1) * num_columns]) for row in range(num_rows)]
    return np.vstack(rows)


def _frames_spread(
    source: Path, count: int, options: ConvertOptions
) -> Iterator[tuple[Fraction, Frame, Fraction]]:
    """Frames spread over a video, with their times and the aspect of their pixels."""
    with VideoReader(source, options) as reader:
        zero = reader.start_seconds
        for frame in spread_frames(reader, window_of(options.trim, zero), count):
            yield frame.pts * frame.time_base - zero, frame, reader.coding.sample_aspect_ratio


def _shrunk(pixels: Pixels, aspect: Fraction) -> Pixels:
    """As a player shows it, with square pixels, and no wider than a cell."""
    height, width = pixels.shape[:2]
    shown_width = width * float(aspect)
    scale = min(1.0, _MOST_WIDTH_PX / shown_width)
    size = (max(1, round(shown_width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cell(pair: Pair) -> Pixels:
    height, width = pair.before.shape[:2]
    cell = np.zeros((height + _CAPTION_PX, 2 * width + 2 * _GAP_PX, 3), np.uint8)
    cell[:height, :width] = pair.before
    cell[:height, width + _GAP_PX : 2 * width + _GAP_PX] = pair.after
    place = (2, height + _CAPTION_PX - 5)
    white = (255, 255, 255)
    cv2.putText(cell, _clock(pair.seconds), place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, white, 1, cv2.LINE_AA)
    return cell


def _clock(seconds: Fraction) -> str:
    """`0:01:02.345`."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
