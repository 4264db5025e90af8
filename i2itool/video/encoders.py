"""Encoders: which one a container gets, and what it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
from av.codec import Codec

from i2itool.errors import OutputError
from i2itool.video.color import ColorTags

# AVI has no time stamps: FFmpeg guesses those of H.264 a frame late, and those of MPEG-4 right.
_DEFAULT_CODECS = {".webm": "libvpx-vp9", ".avi": "mpeg4"}
_DEFAULT_CODEC = "libx264"
# They have no rate control, or one that depends on the profile alone.
_WITHOUT_QUALITY = ("ffv1", "prores", "png", "rawvideo", "utvideo", "huffyuv", "ffvhuff", "dnxhd")
_MPEG4 = ("mpeg4", "libxvid")
_MPEG4_TICKS = 65535
_LAMBDA_PER_QP = 118  # FF_QP2LAMBDA


def choose_codec(output: Path, asked: str | None) -> str:
    """The encoder asked for, or the default of the container; raises OutputError if there is none such."""
    name = asked or _DEFAULT_CODECS.get(output.suffix.lower(), _DEFAULT_CODEC)
    try:
        is_video = Codec(name, "w").type == "video"
    except ValueError as error:
        raise OutputError(
            f"no such encoder: {name}", hint="for instance libx264, libx265, libsvtav1, libvpx-vp9 or ffv1"
        ) from error
    if not is_video:
        raise OutputError(f"{name} does not encode video", hint="for instance --codec libx264")
    return name


def is_left_sited(codec: str) -> bool:
    """Whether decoders take chroma samples to lie at the left of their pixels; else, in the middle."""
    return codec.startswith(("libx26", "h264", "hevc", "mpeg", "libxvid"))


def storable_tags(codec: str, tags: ColorTags) -> ColorTags:
    """The colour tags that a stream of `codec` can hold; without any, players guess by the size."""
    return ColorTags() if codec in _MPEG4 else tags


def quality_options(codec: str, crf: int) -> dict[str, str]:
    """The options that ask `codec` for the quality `crf`, in the way that it understands."""
    if codec.startswith(_WITHOUT_QUALITY):
        return {}
    if codec.endswith("_nvenc"):
        return {"rc": "vbr", "cq": str(crf)}
    if codec.endswith("_qsv"):
        return {"global_quality": str(crf)}
    if codec == "libx265":
        # It would log to stderr, past everybody.
        return {"crf": str(crf), "x265-params": "log-level=none"}
    if codec.startswith(("libx264", "libvpx", "libsvtav1", "libaom")):
        return {"crf": str(crf)}
    # MPEG-4 and its kin know quantisers from 1 to 31 only; halving takes 18 to a very good 9 / 3.
    return {"flags": "+qscale", "global_quality": str(max(1, crf // 6) * _LAMBDA_PER_QP)}


def encoder_time_base(codec: str, time_base: Fraction) -> Fraction:
    """The length of a tick as the encoder may know it, in seconds; it only steers the rate control."""
    if codec in _MPEG4:
        # 16 bits in the bitstream. Stamps are counted in ticks, so they stay exact.
        return max(time_base.limit_denominator(_MPEG4_TICKS), Fraction(1, _MPEG4_TICKS))
    return time_base


def choose_pixel_format(codec: str, like: str, *, width: int, height: int) -> str:
    """A format of the encoder with the subsampling of `like`; a finer one where the size is odd.

    With 4:2:0 and 4:2:2 most encoders refuse odd sizes, and cropping would lose a row of the picture.
    """
    subsamples_x, subsamples_y = like != "yuv444p", like == "yuv420p"
    fits = not ((subsamples_x and width % 2) or (subsamples_y and height % 2))
    wanted = [like, "yuv422p", "yuv444p", "yuv420p"] if fits else ["yuv444p", like, "yuv420p"]
    # Some encoders have but 10-bit formats, as ProRes.
    wanted += ["yuv422p10le", "yuv444p10le", "yuv420p10le"]
    offered = _formats(Codec(codec, "w"))
    for name in wanted:
        if name in offered:
            return name
    raise OutputError(f"encoder {codec} takes none of the usual pixel formats", hint="choose another --codec")


def _formats(codec: Codec) -> set[str]:
    formats: Iterable[av.VideoFormat] = codec.video_formats or ()
    return {item.name for item in formats}
