"""Numbered pictures, as `frame_%05d.png`: a video in a folder, one file a frame."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from i2itool.errors import InputError, OutputError
from i2itool.frames import AnyPixels, Damage, Frame, Position, VideoInfo, Window
from i2itool.still_writer import FORMATS, write_still
from i2itool.stills import MAX_PIXELS, Still, read_still
from i2itool.video.coding import PictureCoding
from i2itool.video.color import ColorTags
from i2itool.video.segments import Segment, hash_piece, segment_path

DEFAULT_RATE = Fraction(25)
# As FFmpeg does.
FIRST_NUMBER = 1
_PLACEHOLDER = re.compile(r"%(?:0(\d+))?d")
_MOST_NAMED = 5


def is_sequence(path: Path) -> bool:
    """Whether the name stands for numbered pictures, by a `%d` or a `%05d` in it, and by its suffix."""
    return path.suffix.lower() in FORMATS and _PLACEHOLDER.search(path.name) is not None


class SequenceReader:
    """The frames of numbered pictures in order of their numbers; a `FrameSource`.

    pattern: a path with one `%d` or `%05d` in its name.  rate: frames per second.
    first_number: of the first picture.  Raises InputError if there is none, or if numbers are missing.
    """

    start_seconds = Fraction(0)
    damage = Damage()

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

    @property
    def files(self) -> Collection[Path]:
        """The pictures, in their order."""
        return self._files.values()

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


class PicturePiece:
    """A folder of pictures, under a temporary name until it is finished; a `Piece`.

    suffix: of the files, which says what they are.  Raises OutputError if they cannot be written.
    """

    def __init__(self, folder: Path, index: int, suffix: str) -> None:
        self._path = segment_path(folder, index, "pictures")
        self._partial = self._path.with_suffix(".part")
        self._index = index
        self._suffix = suffix
        self._first_pts = self._last_pts = 0
        self.num_frames = 0
        try:
            self._partial.mkdir()
        except OSError as error:
            raise OutputError(f"cannot write into {folder}: {error.strerror}") from error

    def write(self, frame: Frame) -> None:
        """Write the next picture."""
        if self.num_frames == 0:
            self._first_pts = frame.pts
        self._last_pts = frame.pts
        # `stamps_of` reads them again.
        name = f"{self.num_frames:06}_{frame.pts}_{frame.duration}{self._suffix}"
        write_still(self._partial / name, Still(frame.pixels))
        self.num_frames += 1

    def finish(self) -> Segment:
        """Give the folder its name."""
        try:
            sha256 = hash_piece(self._partial)
            self._partial.replace(self._path)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error
        return Segment(
            index=self._index,
            num_frames=self.num_frames,
            first_pts=self._first_pts,
            last_pts=self._last_pts,
            reorder_depth=0,
            sha256=sha256,
            kind="pictures",
        )

    def discard(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._partial, ignore_errors=True)


def stamps_of(path: Path) -> tuple[int, int]:
    """The pts and the duration of a picture of a `PicturePiece`, in ticks of the source."""
    _, pts, duration = path.stem.split("_")
    return int(pts), int(duration)


def publish_pictures(pattern: Path, pictures: Iterable[Path], first_number: int) -> None:
    """Give pictures their names, counted from `first_number`; others of the pattern go.

    They stay where they are as well, where the disk has links. Raises OutputError.
    """
    try:
        # Those of a longer sequence would seem to belong to this one.
        for path in numbered_files(pattern).values():
            path.unlink()
        for number, path in enumerate(pictures, start=first_number):
            name = _PLACEHOLDER.sub(_padded(number), pattern.name)
            try:
                os.link(path, pattern.with_name(name))
            except OSError:
                path.replace(pattern.with_name(name))
    except OSError as error:
        raise OutputError(f"cannot write {pattern}: {error.strerror}") from error


def _padded(number: int) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{number:0{match[1] or 1}}"


def _numbered(pattern: Path) -> dict[int, Path]:
    """Number -> file, in order; raises InputError if there are none or not all."""
    if not pattern.parent.is_dir():
        raise InputError(f"no such folder: {pattern.parent}")
    files = numbered_files(pattern)
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


def numbered_files(pattern: Path) -> dict[int, Path]:
    """Number -> file that the pattern stands for; none if there is no folder."""
    if not pattern.parent.is_dir():
        return {}
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
