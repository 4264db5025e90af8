"""Two inventories side by side: a list of checks, each with what was there and what is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from typing import Literal

from av.stream import Disposition

from i2itool.video.containers import OLDER_LANGUAGES
from i2itool.video.inventory import Chapter, Inventory
from i2itool.video.tally import Times, Track

_DEFAULT = Disposition.default

Verdict = Literal["ok", "differs", "not applicable"]

# Muxers write these themselves, or keep them elsewhere.
_KEYS_OF_MUXERS = frozenset(
    {
        *("major_brand", "minor_version", "compatible_brands", "encoder", "encoder-eng", "creation_tool"),
        *("software", "duration", "handler_name", "vendor_id", "encoding_tool"),
        # Each of these has a check of its own.
        *("language", "timecode", "filename", "mimetype"),
    }
)
# Of a stream, muxers that have a place for it repeat what the file says.
KEYS_OF_FILES = ("creation_time",)
# The time 0 of a camera or a muxer that knew none.
_NO_CREATION_TIME = "1970-01-01T00:00:00"
# Matroska's statistics count packets, which are compared one by one.
_STATISTICS = ("bps", "number_of_", "_statistics_", "duration-")


@dataclass(frozen=True, slots=True)
class Check:
    """One fact of the input beside that of the output.

    verdict: "not applicable" where there is nothing to compare, or where the output cannot state it.
    """

    name: str
    expected: str
    found: str
    verdict: Verdict


def check(name: str, expected: object, found: object, *, is_same: bool | None = None) -> Check:
    """A check of two facts, the same if equal unless `is_same` says otherwise."""
    same = expected == found if is_same is None else is_same
    return Check(name, str(expected), str(found), "ok" if same else "differs")


def compare_times(name: str, before: Times, after: Times, *, within: Fraction) -> Check:
    """Whether the instants are the same, up to `within` seconds; else how many are not, and the first."""
    num_differing, first = 0, (0, 0)
    for i, j in _unpaired(before, after, within):
        first = first if num_differing else (i, j)
        num_differing += 1
    found = "the same"
    if num_differing:
        old, new = _seconds_at(before, first[0]), _seconds_at(after, first[1])
        found = f"{num_differing} differ, first {old} -> {new}"
    return check(name, f"{len(before.ticks)} times", found, is_same=not num_differing)


def compare_durations(before: Inventory, after: Inventory) -> Check:
    """From the start of the first frame to the end of the last; to its start, where a file tells no end."""
    lasts = before.last_frame_seconds, after.last_frame_seconds
    is_stated = None not in lasts
    old, new = (
        item.frames.seconds(-1) - item.frames.seconds(0) + ((last or 0) if is_stated else 0)
        for item, last in zip((before, after), lasts, strict=True)
    )
    # Three stamps are rounded.
    is_same = abs(new - old) <= 3 * _rounding(before.frames, after.frames)
    suffix = "" if is_stated else " to the last frame"
    return check("duration", _in_seconds(old) + suffix, _in_seconds(new) + suffix, is_same=is_same)


def compare_offsets(before: Inventory, after: Inventory) -> Check:
    """How much later than the pictures the sound begins."""
    name = "A/V offset"
    old, new = (_first_sound(item.tracks) for item in (before, after))
    if old is None or new is None:
        # A lost stream is reported by a check of its own.
        expected, found = ("none" if sound is None else "sound" for sound in (old, new))
        return Check(name, expected, found, "not applicable")
    old_offset = old.seconds(0) - before.frames.seconds(0)
    new_offset = new.seconds(0) - after.frames.seconds(0)
    within = _rounding(before.frames, after.frames) + _rounding(old, new)
    is_same = abs(new_offset - old_offset) <= within
    return check(name, _in_seconds(old_offset), _in_seconds(new_offset), is_same=is_same)


def compare_tracks(before: Sequence[Track], after: Sequence[Track]) -> Iterator[Check]:
    """The copied streams, kind by kind in order of appearance."""
    for kind in dict.fromkeys(track.kind for track in (*before, *after)):
        olds, news = ([track for track in tracks if track.kind == kind] for tracks in (before, after))
        for number, (old, new) in enumerate(_pairs(olds, news), 1):
            name = f"{kind} {number}"
            if old is None or new is None:
                yield check(
                    f"{name}: stream", *("none" if track is None else track.codec for track in (old, new))
                )
            else:
                yield from _compare_track(name, old, new)


def compare_tags(
    name: str, before: Mapping[str, str], after: Mapping[str, str], *, without: Collection[str] = ()
) -> Check:
    """The tags, but for those `without` and those that muxers write themselves."""
    old, new = (_common_tags(metadata, without) for metadata in (before, after))
    differing = [
        f"{key}: {old.get(key, 'none')} -> {new.get(key, 'none')}"
        for key in dict.fromkeys((*old, *new))
        if old.get(key) != new.get(key)
    ]
    return check(name, f"{len(old)} tags", "; ".join(differing) or "the same", is_same=not differing)


def compare_languages(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> Check:
    """The language tag; some containers say nothing instead of "undetermined", or use older letters."""
    old, new = (tags.get("language", "und") for tags in (before, after))
    return check(name, OLDER_LANGUAGES.get(old, old) if OLDER_LANGUAGES.get(old) == new else old, new)


def compare_dispositions(name: str, before: Disposition, after: Disposition) -> Check:
    """The flags of a stream: default, forced and so on."""
    return check(name, *(", ".join(flag.name or "" for flag in flags) or "none" for flags in (before, after)))


def compare_chapters(before: Sequence[Chapter], after: Sequence[Chapter]) -> Check:
    """Number, starts, ends and titles, within half a tick of the coarser time base."""
    differing = [
        f"{_describe(old)} -> {_describe(new)}"
        for old, new in zip_longest(before, after)
        if old is None or new is None or not _is_same_chapter(old, new)
    ]
    return check(
        "chapters", f"{len(before)} chapters", "; ".join(differing) or "the same", is_same=not differing
    )


def _compare_track(name: str, old: Track, new: Track) -> Iterator[Check]:
    yield check(f"{name}: codec", old.codec, new.codec)
    if old.kind == "attachment":
        yield check(f"{name}: name", old.metadata.get("filename"), new.metadata.get("filename"))
    elif old.kind != "cover":
        yield compare_languages(f"{name}: language", old.metadata, new.metadata)
        yield compare_dispositions(f"{name}: dispositions", old.disposition, new.disposition)
        yield compare_tags(f"{name}: tags", old.metadata, new.metadata, without=KEYS_OF_FILES)
        yield check(f"{name}: packets", old.num_packets, new.num_packets)
        within = max(old.times.time_base, new.times.time_base) / 2
        yield compare_times(f"{name}: times", old.times, new.times, within=within)
    yield check(f"{name}: SHA-256", old.sha256, new.sha256)


def _as_played(tracks: list[Track]) -> list[Track]:
    """Of sounds without a default, the first is played; some containers have no flags, some demand one."""
    if tracks[0].kind != "audio" or any(track.disposition & _DEFAULT for track in tracks):
        return tracks
    return [replace(tracks[0], disposition=tracks[0].disposition | _DEFAULT), *tracks[1:]]


def _pairs(olds: list[Track], news: list[Track]) -> Iterator[tuple[Track | None, Track | None]]:
    """Equally many go by order, else those of the same content: one that is lost leaves the others alone."""
    if len(olds) == len(news):
        yield from zip(_as_played(olds), _as_played(news), strict=True)
        return
    left = list(news)
    for old in olds:
        twin = next((new for new in left if new.sha256 == old.sha256), None)
        if twin is not None:
            left.remove(twin)
        yield old, twin
    yield from ((None, new) for new in left)


def _unpaired(before: Times, after: Times, within: Fraction) -> Iterator[tuple[int, int]]:
    """Where two lists differ: the places of an instant and of that which stands for it, or comes next."""
    # In whole numbers, which are many times faster than fractions.
    unit = Fraction(1, before.time_base.denominator * after.time_base.denominator * 2)
    old_ticks, new_ticks, most = (
        int(length / unit) for length in (before.time_base, after.time_base, within)
    )
    # As many are taken in pairs; else an instant that is missing should not spoil all that follow.
    is_in_pairs = len(before.ticks) == len(after.ticks)
    i = j = 0
    while i < len(before.ticks) and j < len(after.ticks):
        shift = after.ticks[j] * new_ticks - before.ticks[i] * old_ticks
        if abs(shift) > most:
            yield i, j
        i += is_in_pairs or shift >= -most
        j += is_in_pairs or shift <= most
    yield from ((rest, j) for rest in range(i, len(before.ticks)))
    yield from ((i, rest) for rest in range(j, len(after.ticks)))


def _first_sound(tracks: Sequence[Track]) -> Times | None:
    return next((track.times for track in tracks if track.kind == "audio" and track.times.ticks), None)


def _rounding(before: Times, after: Times) -> Fraction:
    """The most by which an instant moves, in seconds, when it is written in ticks of another length."""
    is_exact = (before.time_base / after.time_base).denominator == 1
    return Fraction(0) if is_exact else max(before.time_base, after.time_base) / 2


def _common_tags(metadata: Mapping[str, str], without: Collection[str]) -> dict[str, str]:
    tags = {key.lower(): value for key, value in metadata.items()}
    return {
        key: value
        for key, value in tags.items()
        if key not in _KEYS_OF_MUXERS
        and key not in without
        and not key.startswith(_STATISTICS)
        and not (key == "creation_time" and value.startswith(_NO_CREATION_TIME))
    }


def _is_same_chapter(old: Chapter, new: Chapter) -> bool:
    within = max(old.time_base, new.time_base) / 2
    shifts = (
        new.start * new.time_base - old.start * old.time_base,
        new.end * new.time_base - old.end * old.time_base,
    )
    return old.title == new.title and all(abs(shift) <= within for shift in shifts)


def _describe(chapter: Chapter | None) -> str:
    if chapter is None:
        return "none"
    start, end = (_in_seconds(ticks * chapter.time_base) for ticks in (chapter.start, chapter.end))
    return f"'{chapter.title}' {start} to {end}"


def _seconds_at(times: Times, index: int) -> str:
    return _in_seconds(times.seconds(index)) if index < len(times.ticks) else "none"


def _in_seconds(seconds: Fraction) -> str:
    return f"{float(seconds):.6f} s"
