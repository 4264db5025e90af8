"""Is everything in a converted file but its pixels as it was? The answer, fact by fact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from av.stream import Disposition

from i2itool.console import Reporter, SilentReporter
from i2itool.errors import InputError
from i2itool.pictures import is_picture, read_picture
from i2itool.video.color import (
    BT470BG,
    BT709,
    LIMITED_RANGE,
    SMPTE170M,
    UNSPECIFIED,
    is_hdr,
    matrix_for_size,
)
from i2itool.video.comparison import (
    KEYS_OF_FILES,
    Check,
    check,
    compare_chapters,
    compare_dispositions,
    compare_durations,
    compare_languages,
    compare_offsets,
    compare_tags,
    compare_times,
    compare_tracks,
)
from i2itool.video.encoders import storable_tags
from i2itool.video.input import PIPE
from i2itool.video.inventory import Inventory, Picture, take_inventory
from i2itool.video.sequence import is_sequence
from i2itool.video.tonemap import SDR_TAGS

# What counts as the usual primaries and transfer of pictures that are shown with a matrix: those of 525 and
# 625 lines differ little, and the transfers of all three are one curve.
_USUAL = {BT709: (BT709,), SMPTE170M: (SMPTE170M, BT470BG)}
_CURVES_OF_BT709 = (BT709, SMPTE170M)
_RANGES = ("unspecified", "limited", "full")


@dataclass(frozen=True, slots=True)
class Verification:
    """All the facts that were compared, in the order in which they are shown."""

    input: Path
    output: Path
    checks: tuple[Check, ...]

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return all(item.verdict != "differs" for item in self.checks)


def verify(
    input: str | Path,
    output: str | Path,
    *,
    is_fast: bool = False,
    is_tonemapped: bool = False,
    is_told: bool = True,
    reporter: Reporter | None = None,
) -> Verification:
    """Compare all that a video and its conversion hold but the pixels; of two pictures, the size.

    Frames must be shown at the same times, within half a tick of the output's time base. What is copied must
    be the same byte for byte, at the same times within half a tick of the coarser time base.
    is_fast: count packets instead of frames where that comes to the same; the pictures are not decoded then.
    is_tonemapped: of an HDR video, expect the colour tags that its SDR version has.
    Of a damaged input the frames count that a conversion shows in the place of those lost.
    is_told: whether such damage is logged.
    Raises InputError if a file is missing or truncated, the output damaged, or a picture beside a video.
    """
    source, target = Path(input), Path(output)
    for path in (source, target):
        if path == PIPE or is_sequence(path):
            raise InputError(f"{path} is no file", hint="numbered pictures and pipes cannot be verified")
    if is_picture(source) != is_picture(target):
        raise InputError(f"{source} and {target} cannot be compared: only one is a picture")
    if is_picture(source):
        return Verification(source, target, (check("size", _size_of(source), _size_of(target)),))
    reports = reporter or SilentReporter()
    after = _inventory(target, is_fast=is_fast, reporter=reports)
    before = _inventory_before(source, after, is_fast=is_fast, is_told=is_told, reporter=reports)
    if is_tonemapped and is_hdr(before.picture.tags):
        before = replace(before, picture=replace(before.picture, tags=SDR_TAGS))
    return Verification(source, target, tuple(_compare(before, after)))


def _inventory_before(
    source: Path, after: Inventory, *, is_fast: bool, is_told: bool, reporter: Reporter
) -> Inventory:
    """What the input holds; if it is damaged, with the frames that stand in for those lost, and a word."""
    try:
        before = _inventory(source, is_fast=is_fast, reporter=reporter)
    except InputError:
        return _inventory(source, mends=True, is_told=is_told, reporter=reporter)
    # Of packets that are gone only a conversion notices.
    if len(before.frames.ticks) < len(after.frames.ticks):
        return _inventory(source, mends=True, is_told=is_told, reporter=reporter)
    return before


def _inventory(
    path: Path, *, is_fast: bool = False, mends: bool = False, is_told: bool = True, reporter: Reporter
) -> Inventory:
    reporter.start(f"reading {path.name}", None, unit="frames")
    try:
        return take_inventory(path, is_fast=is_fast, mends=mends, is_told=is_told, on_frames=reporter.advance)
    finally:
        reporter.finish()


def _size_of(picture: Path) -> str:
    height, width = read_picture(picture).shape[:2]
    return f"{width}x{height}"


def _compare(before: Inventory, after: Inventory) -> Iterator[Check]:
    yield check("frames", len(before.frames.ticks), len(after.frames.ticks))
    yield compare_times("frame times", before.frames, after.frames, within=after.frames.time_base / 2)
    yield compare_durations(before, after)
    yield compare_offsets(before, after)
    yield from _compare_pictures(before.picture, after.picture)
    yield compare_languages("video: language", before.video_metadata, after.video_metadata)
    # The first video is the one that is played, whether a container says so or not.
    flags = [item.video_disposition | Disposition.default for item in (before, after)]
    yield compare_dispositions("video: dispositions", *flags)
    tags = before.video_metadata, after.video_metadata
    # Transparency is dropped, with a word; a tag that tells of it would be false.
    yield compare_tags("video: tags", *tags, without=(*KEYS_OF_FILES, "alpha_mode"))
    yield from compare_tracks(before.tracks, after.tracks)
    yield compare_chapters(before.chapters, after.chapters)
    yield _compare_time_codes(before, after)
    yield compare_tags("file: tags", before.metadata, after.metadata)


def _compare_pictures(before: Picture, after: Picture) -> Iterator[Check]:
    yield check("size", f"{before.width}x{before.height}", f"{after.width}x{after.height}")
    yield check("pixel aspect", before.aspect, after.aspect)
    old, new = before.tags, after.tags
    old_matrix, new_matrix = (matrix_for_size(*picture.stored) for picture in (before, after))
    usual = _USUAL[old_matrix]
    is_untagged = old.matrix == new.matrix == UNSPECIFIED
    is_kept = old_matrix == new_matrix if is_untagged else _is_kept(old.matrix, new.matrix, usual)
    checks = [
        check("colour matrix", _code(old.matrix), _code(new.matrix), is_same=is_kept),
        check(
            "colour range",
            _RANGES[old.color_range],
            _RANGES[new.color_range],
            is_same=(old.color_range or LIMITED_RANGE) == (new.color_range or LIMITED_RANGE),
        ),
        _check_code("colour primaries", old.primaries, new.primaries, usual=usual),
        _check_code("transfer", old.transfer, new.transfer, usual=_CURVES_OF_BT709),
    ]
    is_storable = storable_tags(after.codec, old) == old
    yield from checks if is_storable else (_not_applicable_unless_ok(item) for item in checks)


def _check_code(name: str, old: int, new: int, *, usual: tuple[int, ...]) -> Check:
    return check(name, _code(old), _code(new), is_same=_is_kept(old, new, usual))


def _is_kept(old: int, new: int, usual: tuple[int, ...]) -> bool:
    """Whether a colour tag is the same, or states the usual where nothing was stated."""
    return old == new or (old == UNSPECIFIED and new in usual)


def _code(number: int) -> str:
    return "unspecified" if number == UNSPECIFIED else str(number)


def _not_applicable_unless_ok(item: Check) -> Check:
    return item if item.verdict == "ok" else replace(item, verdict="not applicable")


def _compare_time_codes(before: Inventory, after: Inventory) -> Check:
    """QuickTime keeps the time code in a track and in the video's tags, Matroska in those of the file."""
    old, new = (
        item.video_metadata.get("timecode") or item.metadata.get("timecode") for item in (before, after)
    )
    if old is None and new is None:
        return Check("time code", "none", "none", "not applicable")
    return check("time code", old or "none", new or "none")
