"""Encoders: what they can store, and the pixel format for each."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from fractions import Fraction

import av
from av.codec import Codec

from i2itool.errors import OutputError
from i2itool.video.color import ColorTags

_MPEG4 = ("mpeg4", "libxvid")
_MPEG4_TICKS = 65535
# For each depth of the input: as deep, else deeper, else the deepest that there is. Some encoders have but
# 10-bit formats, as ProRes.
_DEPTHS_BY_PREFERENCE = {8: (8, 10), 10: (10, 12, 16, 8), 12: (12, 16, 10, 8), 16: (16, 12, 10, 8)}

_log = logging.getLogger("i2itool.video")


def is_left_sited(codec: str) -> bool:
    """Whether decoders take chroma samples to lie at the left of their pixels; else, in the middle."""
    return codec.startswith(("libx26", "h264", "hevc", "mpeg", "libxvid"))


def storable_tags(codec: str, tags: ColorTags) -> ColorTags:
    """The colour tags that a stream of `codec` can hold; without any, players guess by the size."""
    return ColorTags() if codec in _MPEG4 else tags


def encoder_time_base(codec: str, time_base: Fraction) -> Fraction:
    """The length of a tick as the encoder may know it, in seconds; it only steers the rate control."""
    if codec in _MPEG4:
        # 16 bits in the bitstream. Stamps are counted in ticks, so they stay exact.
        return max(time_base.limit_denominator(_MPEG4_TICKS), Fraction(1, _MPEG4_TICKS))
    return time_base


def choose_pixel_format(codec: str, like: str, *, width: int, height: int) -> str:
    """A format of the encoder as deep and as subsampled as `like`, or the nearest; says what is lost.

    Finer chroma where the size is odd: with 4:2:0 and 4:2:2 most encoders refuse such sizes, and cropping
    would lose a row of the picture.  Raises OutputError if the encoder has no planes of Y, Cb and Cr.
    """
    subsampling, bits = like[3:6], int(like[7:].removesuffix("le") or 8)
    is_even = not ((subsampling != "444" and width % 2) or (subsampling == "420" and height % 2))
    subsamplings = [subsampling, "422", "444", "420"] if is_even else ["444", subsampling, "420"]
    offered = _formats(Codec(codec, "w"))
    for depth in _DEPTHS_BY_PREFERENCE[bits]:
        for chosen in subsamplings:
            name = f"yuv{chosen}p" + ("" if depth == 8 else f"{depth}le")
            if name in offered:
                _say_what_is_lost(codec, like, bits_lost=depth < bits, chroma_lost=chosen < subsampling)
                return name
    raise OutputError(f"encoder {codec} takes none of the usual pixel formats", hint="choose another --codec")


def _say_what_is_lost(codec: str, like: str, *, bits_lost: bool, chroma_lost: bool) -> None:
    if bits_lost:
        _log.warning("%s has no format as deep as %s; the output has fewer bits", codec, like)
    if chroma_lost:
        _log.warning("%s has no format with the chroma of %s; the output has less", codec, like)


def _formats(codec: Codec) -> set[str]:
    formats: Iterable[av.VideoFormat] = codec.video_formats or ()
    return {item.name for item in formats}
