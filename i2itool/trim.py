"""The part of a video that the user asks for: `--trim START:END`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from i2itool.errors import OptionError
from i2itool.frames import VideoInfo, Window

_DECIMALS = r"(?:\.\d+)?"
_SECONDS = rf"(\d+{_DECIMALS})?"
_CLOCK = rf"(\d+:\d\d:\d\d{_DECIMALS})?"
# Both sides in the same form: 1:02:03:04 could be read in two ways.
_TRIM = re.compile(rf"{_SECONDS}:{_SECONDS}|{_CLOCK}:{_CLOCK}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Trim:
    """From `start` until before `end`, in seconds from the beginning of a video; None: as it is."""

    start: Fraction | None = None
    end: Fraction | None = None


def parse_trim(text: str) -> Trim:
    """Read `START:END`, both as seconds or both as h:mm:ss, with decimals; either may be left out.

    Raises OptionError if it is no such thing, or empty.
    """
    match = _TRIM.fullmatch(text.strip())
    if match is None:
        raise OptionError(
            f"--trim {text!r} is not START:END", hint="for instance 2.5:10, 0:01:00:0:01:30 or 60:"
        )
    start, end = (
        _seconds(one or other) for one, other in zip(match.groups()[:2], match.groups()[2:], strict=True)
    )
    if end is not None and end <= (start or 0):
        raise OptionError(f"--trim {text!r} is empty", hint="END lies behind START")
    return Trim(start, end)


def window_of(text: str | None, zero: Fraction) -> Window:
    """The part of a file that `--trim` asks for, in the file's own time, which begins at `zero` seconds.

    None asks for all of it. Raises OptionError as `parse_trim` does.
    """
    trim = Trim() if text is None else parse_trim(text)
    return Window(*(None if side is None else zero + side for side in (trim.start, trim.end)))


def num_frames_within(info: VideoInfo, text: str | None) -> int | None:
    """About how many frames `--trim` leaves of a video, by its rate; None if that is unknown."""
    if text is None or info.num_frames is None or not info.rate:
        return info.num_frames
    trim = parse_trim(text)
    end = info.num_frames if trim.end is None else min(info.num_frames, round(trim.end * info.rate))
    return max(0, end - round((trim.start or 0) * info.rate))


def _seconds(text: str | None) -> Fraction | None:
    if not text:
        return None
    seconds = Fraction(0)
    for part in text.split(":"):
        seconds = seconds * 60 + Fraction(part)
    return seconds
