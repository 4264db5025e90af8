"""What a file says at its head, from one file to another: tags and chapters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from fractions import Fraction
from typing import TYPE_CHECKING

from i2itool.frames import WHOLE, Window

if TYPE_CHECKING:
    from av.container.core import Chapter

# The muxer writes these itself; transparency is dropped.
_KEYS_OF_THE_MUXER = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "alpha_mode")
}
# Those that MP4 has a place of its own for.
_COMMON_KEYS = {
    *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright"),
    *("grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords"),
    *("creation_time", "location", "location-eng", "compilation", "media_type", "track", "disc", "timecode"),
}
# Matroska's statistics describe the packets of the old video stream.
_STATISTICS = ("BPS", "NUMBER_OF_", "_STATISTICS_", "DURATION")


def has_unusual_tags(tags: Mapping[str, str]) -> bool:
    """Whether there are any that MP4 has no place of its own for."""
    return any(key.lower() not in _COMMON_KEYS | _KEYS_OF_THE_MUXER for key in tags)


def copy_tags(
    source: Mapping[str, str], target: MutableMapping[str, str], *, without_statistics: bool = False
) -> None:
    """Copy the tags that are not the muxer's own. without_statistics: nor those that count packets."""
    for key, value in source.items():
        is_statistic = without_statistics and key.startswith(_STATISTICS)
        if key.lower() not in _KEYS_OF_THE_MUXER and not is_statistic:
            target[key] = value


def clipped(chapters: Iterable[Chapter], window: Window) -> list[Chapter]:
    """The chapters that reach into a window of their file, as far as they do, in its time."""
    kept = []
    for chapter in chapters:
        tick = Fraction(chapter["time_base"] or 1)
        shift = window.shift(tick)
        start, end = chapter["start"], chapter["end"]
        if window.start is not None:
            start = max(start, shift)
        if window.end is not None:
            end = min(end, round(window.end / tick))
        # One without a length, at a place of its own, is left as it is.
        if start < end or window == WHOLE:
            kept.append(chapter | {"start": start - shift, "end": end - shift})
    return kept
