"""Numbered pictures, as `frame_%05d.png`: a video in a folder, one file a frame."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from i2itool.errors import InputError, OutputError
from i2itool.frames import AnyPixels, Frame, Position, VideoInfo, Window
from i2itool.still_writer import FORMATS, write_still
from i2itool.stills import MAX_PIXELS, Still, read_still
from i2itool.video.coding import PictureCoding
from i2itool.video.color import ColorTags

DEFAULT_RATE = Fraction(25)
# As FFmpeg does.
_FIRST_NUMBER = 1
_PLACEHOLDER = re.compile(r"%(?:0(\d+))?d")
_MOST_NAMED = 5


def is_sequence(path: Path) -> bool:
    """Whether the name stands for numbered files, by a `%d` or a `%05d` in it."""
    return _PLACEHOLDER.search(path.name) is not None


class SequenceReader:
    """The frames of numbered pictures in order of their numbers; a `FrameSource`.

    pattern: a path with one `%d` or `%05d` in its name.  rate: frames per second.
    first_number: of the first picture.  Raises InputError if there is none, or if numbers are missing.
    """

    start_seconds = Fraction(0)

    def __init__(self, pattern: Path, rate: Fraction = DEFAULT_RATE, *, max_pixels: int = MAX_PIXELS) -> None:
        self.path = pattern
        self._max_pixels = max_pixels
        self._files = _numbered(pattern)
        self.first_number = next(iter(self._files))
        first = self._read(self.first_number)
        height, width = first.shape[:2]
        self._shape = first.shape
        self._time_base = 1 / rate
        self.info = VideoInfo(width, height, rate, self._time_base, len(self._files))
        bits = first.dtype.itemsize * 8
        # Nearly all players want 4:2:0; a deep picture goes into the 10 bits that encoders have.
        self.coding = PictureCoding("yuv420p" if bits == 8 else "yuv420p10le", ColorTags(), Fraction(1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    def __iter__(self) -> Iterator[Frame]:
        return self.frames(Window())

    def frames(self, window: Window, after: Position | None = None) -> Iterator[Frame]:
        """The frames within `window`, from the one behind `after` on.

        Raises InputError if a picture is unreadable, or of another size than the first.
        """
        pts = [i for i in range(len(self._files)) if window.holds(i * self._time_base)]
        for i in pts[after.num_frames if after else 0 :]:
            yield Frame(self._read(self.first_number + i), i, self._time_base, 1)

    def _read(self, number: int) -> AnyPixels:
        path = self._files[number]
        pixels = read_still(path, max_pixels=self._max_pixels).pixels
        if number != self.first_number and pixels.shape != self._shape:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (self._shape, pixels.shape)]
            raise InputError(f"{path} is of {sizes[1]} pixels, and those before of {sizes[0]}")
        return pixels


class SequenceWriter:
    """Writes each frame as a picture of its own; a `FrameSink`.

    pattern: a path with one `%d` or `%05d` in its name; its folder is made if need be.  The pictures
    appear when the block ends well. Raises OutputError if they cannot be written, or are there already.
    """

    def __init__(self, pattern: Path, *, first_number: int = _FIRST_NUMBER, overwrite: bool = False) -> None:
        if pattern.suffix.lower() not in FORMATS:
            kinds = ", ".join(sorted(FORMATS))
            raise OutputError(f"cannot write pictures as '{pattern.suffix}'", hint=f"one of {kinds}")
        self._pattern = pattern
        self._number = first_number
        self._overwrite = overwrite
        if not overwrite and pattern.parent.is_dir() and (there := _found(pattern)):
            raise OutputError(f"{there[min(there)]} is already there", hint="--overwrite replaces it")

    def __enter__(self) -> Self:
        folder = self._pattern.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._partial = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=folder))
        except OSError as error:
            raise OutputError(f"cannot write into {folder}: {error.strerror}") from error
        return self

    def write(self, frame: Frame) -> None:
        """Write the next picture."""
        name = _PLACEHOLDER.sub(lambda match: f"{self._number:0{match[1] or 1}}", self._pattern.name)
        write_still(self._partial / name, Still(frame.pixels))
        self._number += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def _publish(self) -> None:
        try:
            if self._overwrite:
                # Those of a longer sequence would seem to belong to this one.
                for path in _found(self._pattern).values():
                    path.unlink()
            for path in sorted(self._partial.iterdir()):
                path.replace(self._pattern.with_name(path.name))
        except OSError as error:
            raise OutputError(f"cannot write {self._pattern}: {error.strerror}") from error


def _numbered(pattern: Path) -> dict[int, Path]:
    """Number -> file, in order; raises InputError if there are none or not all."""
    if not pattern.parent.is_dir():
        raise InputError(f"no such folder: {pattern.parent}")
    files = _found(pattern)
    if not files:
        raise InputError(f"no pictures called {pattern}")
    numbers = sorted(files)
    gaps = [(low + 1, high - 1) for low, high in pairwise(numbers) if high > low + 1]
    if gaps:
        raise InputError(
            f"{pattern} lacks the numbers {_named(gaps)}",
            hint="without them the pictures would be shown too early; number them without gaps",
        )
    return {number: files[number] for number in numbers}


def _found(pattern: Path) -> dict[int, Path]:
    before, after = (re.escape(part) for part in _PLACEHOLDER.split(pattern.name, maxsplit=1)[::2])
    digits = _PLACEHOLDER.search(pattern.name)
    assert digits is not None  # `is_sequence` saw to it
    width = int(digits[1] or 1)
    # `%05d` makes 00007 and 123456, but neither 7 nor 0123456.
    number = rf"(\d{{{width}}}|[1-9]\d{{{width},}})"
    matches = ((re.fullmatch(before + number + after, path.name), path) for path in pattern.parent.iterdir())
    return {int(match[1]): path for match, path in matches if match and path.is_file()}


def _named(gaps: Iterable[tuple[int, int]]) -> str:
    """`3, 7-9`, and no more than a few of them."""
    names = [str(low) if low == high else f"{low}-{high}" for low, high in gaps]
    return ", ".join(names[:_MOST_NAMED]) + (" and more" if len(names) > _MOST_NAMED else "")
