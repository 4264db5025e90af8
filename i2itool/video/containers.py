"""Containers: what they can hold beside the video, and which of them can hold what another cannot."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, DataStream, Disposition, Stream

from i2itool.video.tally import codec_name

# Their muxers refuse nothing: what they do not know becomes private data, which no player finds.
_ONLY = {
    "mpegts": {
        *("mp1", "mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m"),
        *("dvb_subtitle", "dvb_teletext", "klv", "timed_id3", "scte_35"),
    },
}
# Refused only when the header is written, in words that nobody sees.
_NEVER = {"mov": {"flac", "opus", "truehd"}}
_WITH_COVERS = ("mp4", "ipod", "matroska")
_WITH_CHAPTERS = ("mp4", "mov", "ipod", "matroska", "webm")
_WITH_DATA = ("mpegts", "mp4", "mov")
_WITHOUT_TAGS = ("mpegts",)
_WITHOUT_TIME_CODES = ("mpegts", "avi", "webm")
_WITHOUT_LANGUAGES = ("avi",)
_UNKNOWN_LANGUAGE = ("und", "", None)
# QuickTime numbers its languages, and FFmpeg knows them by their older three letters; others it drops.
OLDER_LANGUAGES = {
    **{"deu": "ger", "fre": "fra", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "ces": "cze"},
    **{"ron": "rum", "slk": "slo", "sqi": "alb", "mkd": "mac", "hye": "arm", "kat": "geo", "fas": "per"},
    **{"mya": "bur", "msa": "may", "cym": "wel", "eus": "baq", "bod": "tib"},
}
# Offered in this order: suffix -> FFmpeg's name.
_OFFERED = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov", ".ts": "mpegts"}


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that a container cannot hold, in words. index: of the stream; None if it is none."""

    words: str
    index: int | None = None


def losses(format_name: str, source: InputContainer, streams: Collection[Stream]) -> list[Loss]:
    """What of `source`, beside its video, a container of FFmpeg's name `format_name` cannot hold.

    streams: those that are to be copied.
    """
    found = []
    # A container that is never written to: only to ask it.
    with av.open(io.BytesIO(), "w", format=format_name) as trial:
        for stream in streams:
            if not _can_hold(trial, stream, source.format.name):
                found.append(Loss(f"stream {stream.index} ({describe(stream)})", stream.index))
    if (num_chapters := len(source.chapters())) and format_name not in _WITH_CHAPTERS:
        found.append(Loss(f"{num_chapters} chapters"))
    return found


def lost_tags(format_name: str, source: InputContainer, streams: Collection[Stream]) -> list[str]:
    """What is said about `source` and its streams that the container has no place for, in words."""
    found = []
    languages = [stream.language for stream in streams if stream.language not in _UNKNOWN_LANGUAGE]
    if languages and format_name in _WITHOUT_LANGUAGES:
        found.append(f"the languages {', '.join(filter(None, languages))}")
    tags = [key for key in source.metadata if key.lower() in ("title", "artist", "album", "comment", "date")]
    if tags and format_name in _WITHOUT_TAGS:
        found.append(f"the tags {', '.join(tags)}")
    if format_name in _WITHOUT_TIME_CODES and any("timecode" in each.metadata for each in source.streams):
        found.append("the time code")
    return found


def alternatives(source: InputContainer, streams: Collection[Stream]) -> list[str]:
    """Suffixes of the usual containers that can hold all of `streams`, and the chapters."""
    return [suffix for suffix, name in _OFFERED.items() if not losses(name, source, streams)]


def describe(stream: Stream) -> str:
    """Its kind and its codec, as `audio, aac`."""
    if isinstance(stream, AttachmentStream):
        return f"attachment {stream.metadata.get('filename', stream.mimetype or 'without a name')}"
    if stream.disposition & Disposition.attached_pic:
        return f"cover picture, {codec_name(stream)}"
    name = stream.codec_context.name if stream.codec_context is not None else codec_name(stream)
    return f"{stream.type}, {name}"


def _can_hold(trial: OutputContainer, stream: Stream, source_name: str) -> bool:
    """Whether a muxer takes a stream of a source of FFmpeg's name `source_name`."""
    name = trial.format.name
    if isinstance(stream, AttachmentStream):
        return name == "matroska"
    if stream.disposition & Disposition.attached_pic:
        return name in _WITH_COVERS
    if isinstance(stream, DataStream):
        # What they mean is known to their own kind of container, if at all.
        return name in source_name.split(",") and name in _WITH_DATA
    if name in _ONLY:
        return codec_name(stream) in _ONLY[name]
    if codec_name(stream) in _NEVER.get(name, ()):
        return False
    try:
        trial.add_stream_from_template(stream, opaque=True)
    except ValueError:
        return False
    return True
