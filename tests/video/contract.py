"""Every container with every codec: what a conversion must keep, for the tests and for the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Stream

from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.options import ConvertOptions
from i2itool.translator import Translator
from tests.conftest import Clip, write_clip
from tests.video.combinations import Identity

CODECS = {
    ".mp4": ("h264", "hevc", "av1", "vp9"),
    ".mov": ("h264", "hevc", "prores"),
    ".mkv": ("h264", "hevc", "av1", "vp9", "prores", "ffv1"),
    ".webm": ("vp9", "av1"),
    ".avi": ("mpeg4", "ffv1"),
    ".ts": ("h264", "hevc"),
}
# The least that SVT-AV1 takes; no time to spend on quality.
_SIZE = 64, 64
_PRESETS = {"h264": "ultrafast", "hevc": "ultrafast", "av1": "12", "vp9": "8"}
_SOURCES = {".webm": "libvpx-vp9", ".avi": "mpeg4"}
_VARIABLE = (0, 1, 3, 4, 9, 10)
# Nothing that AVI stores has a time of its own.
_CONSTANT = range(6)
_TWO_TRACKS = {"audio_languages": ("eng", "fra")}
_CHAPTERS = {"chapters": ((0, 100, "one"), (100, 240, "two"))}
_SUBTITLES = {"subtitles": ((0, 80, "hello"), (120, 60, "world"))}
_TAGS = {"metadata": {"title": "A title", "comment": "A comment"}}
_FEATURES: dict[str, dict[str, Any]] = {  # Any: fields of Clip
    ".mp4": {**_TWO_TRACKS, **_CHAPTERS, **_SUBTITLES, **_TAGS, "has_cover": True},
    ".mov": {**_TWO_TRACKS, **_CHAPTERS, **_SUBTITLES, **_TAGS},
    ".mkv": {**_TWO_TRACKS, **_CHAPTERS, **_SUBTITLES, **_TAGS, "attachment": b"a font"},
    ".webm": {**_TWO_TRACKS, **_CHAPTERS, **_SUBTITLES, **_TAGS},
    ".avi": {**_TWO_TRACKS, **_TAGS},
    ".ts": {**_TWO_TRACKS},
}


@dataclass(frozen=True)
class Case:
    """A file that holds all that its container can, and what becomes of it.

    source, target: suffixes.  codec: of the target; None for the default.
    """

    source: str
    target: str
    codec: str | None

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.source} to {self.target}, {self.codec or 'default'}"


@dataclass(frozen=True)
class Track:
    """A stream other than the video. packets: time in seconds and bytes of each."""

    kind: str
    language: str | None
    disposition: int
    packets: tuple[tuple[Fraction, bytes], ...]


@dataclass(frozen=True)
class Facts:
    """What a file holds. times: of its frames, in seconds.  tick: of the video's time base.

    attachments: name and bytes.  chapters: start and end in seconds, and title.
    """

    times: list[Fraction]
    tick: Fraction
    codec: str
    tracks: list[Track]
    attachments: list[tuple[str, bytes]]
    chapters: list[tuple[Fraction, Fraction, str]]
    title: str | None


def same_container() -> list[Case]:
    """Every container with every codec that it can hold."""
    return [Case(suffix, suffix, codec) for suffix, codecs in CODECS.items() for codec in codecs]


def other_container() -> list[Case]:
    """Every pair of containers; AVI takes only what has the times of an AVI."""
    return [
        Case(source, target, None)
        for source in CODECS
        for target in CODECS
        if source != target and target != ".avi"
    ]


def convert(case: Case, folder: Path, translator: Translator, **options: Any) -> tuple[Path, Path]:
    """Make the source, and convert it; Any: fields of ConvertOptions."""
    source, target = folder / f"source{case.source}", folder / f"target{case.target}"
    is_avi = case.source == ".avi"
    write_clip(
        source,
        Clip(
            *_SIZE,
            # A transport stream begins at a time of its own unless there is room for its B-frames.
            pts=[pts + 40 for pts in _VARIABLE]
            if case.source == ".ts"
            else _CONSTANT
            if is_avi
            else _VARIABLE,
            codec=_SOURCES.get(case.source, "libx264"),
            options={} if case.source in _SOURCES else {"preset": "ultrafast", "bf": "2"},
            **_FEATURES[case.source],
        ),
    )
    preset = _PRESETS.get(case.codec or "")
    crf = None if case.codec in ("prores", "ffv1") else 30
    asked = ConvertOptions(codec=case.codec, encoder_preset=preset, crf=crf, **options)
    convert_video(source, target, translator, asked, SilentReporter())
    return source, target


def identity() -> Translator:
    """A translator that changes nothing."""
    return Translator(Identity(), engine="eager")


def read(path: Path) -> Facts:
    """Decode a whole file with PyAV alone."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert video.time_base is not None
        packets: dict[int, list[tuple[Fraction, bytes]]] = {stream.index: [] for stream in container.streams}
        times = []
        for packet in container.demux():
            if packet.stream == video:
                times += [(frame.pts or 0) * Fraction(video.time_base) for frame in video.decode(packet)]
            elif packet.size:
                time = (packet.pts or 0) * Fraction(packet.time_base)
                packets[packet.stream.index].append((time, bytes(packet)))
        return Facts(
            times=times,
            tick=Fraction(video.time_base),
            codec=video.codec_context.codec.canonical_name,
            tracks=list(_tracks(container, video, packets)),
            attachments=[(item.name or "", item.data or b"") for item in container.streams.attachments],
            chapters=[
                (
                    item["start"] * Fraction(item["time_base"] or 0),
                    item["end"] * Fraction(item["time_base"] or 0),
                    item["metadata"]["title"],
                )
                for item in container.chapters()
            ],
            title=container.metadata.get("title"),
        )


def _tracks(
    container: InputContainer, video: Stream, packets: dict[int, list[tuple[Fraction, bytes]]]
) -> Iterator[Track]:
    # QuickTime keeps chapters in a stream of texts too, whose bytes say nothing more.
    for stream in container.streams:
        if stream != video and stream.type in ("audio", "subtitle", "video"):
            yield Track(stream.type, stream.language, int(stream.disposition), tuple(packets[stream.index]))


def differences(before: Facts, after: Facts) -> dict[str, str]:
    """What a conversion has changed that it must not: fact -> in what way; {} if nothing.

    All may be later by the same time, where a container begins no earlier than at 0.
    """
    shift = after.times[0] - before.times[0]
    found = {}
    if len(after.times) != len(before.times):
        found["frames"] = f"{len(before.times)} -> {len(after.times)}"
    elif worst := _worst(before.times, after.times, shift, after.tick):
        found["times"] = f"off by {float(worst):.6f} s"
    for kind in ("audio", "subtitle", "video"):
        old, new = ([track for track in facts.tracks if track.kind == kind] for facts in (before, after))
        if problem := _track_problem(old, new, shift):
            found[kind] = problem
    for name in ("attachments", "chapters", "title"):
        if getattr(before, name) != getattr(after, name):
            found[name] = f"{getattr(before, name)} -> {getattr(after, name)}"
    return found


def _track_problem(old: list[Track], new: list[Track], shift: Fraction) -> str | None:
    if len(old) != len(new):
        return f"{len(old)} -> {len(new)} streams"
    for before, after in zip(old, new, strict=True):
        if _language(before) != _language(after):
            return f"language {before.language} -> {after.language}"
        if [_bare(data) for _, data in before.packets] != [_bare(data) for _, data in after.packets]:
            return "other packets"
        old_times, new_times = ([time for time, _ in track.packets] for track in (before, after))
        # Covers have no time.
        if before.kind != "video" and (worst := _worst(old_times, new_times, shift, Fraction(1, 1000))):
            return f"off by {float(worst):.6f} s"
    return None


def _language(track: Track) -> str:
    """In the newer three letters; QuickTime has the older ones."""
    language = track.language or "und"
    return {"ger": "deu", "fre": "fra"}.get(language, language)


def _worst(old: list[Fraction], new: list[Fraction], shift: Fraction, tick: Fraction) -> Fraction | None:
    """The largest distance, if it is more than half a tick for the time and as much for the shift."""
    distance = max((abs(b - a - shift) for a, b in zip(old, new, strict=True)), default=Fraction(0))
    return distance if distance > tick else None


def _bare(data: bytes) -> bytes:
    """An AAC packet without the header that MPEG-TS puts before each."""
    is_adts = len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0
    return data[7:] if is_adts else data
