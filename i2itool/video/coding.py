"""How a video stores its pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import av
from av.video.stream import VideoStream

from i2itool.video.color import RGB, UNSPECIFIED, ColorTags, is_hdr, matrix_for_size
from i2itool.video.mastering import Mastering, mastering_of
from i2itool.video.planes import num_bits


@dataclass(frozen=True, slots=True)
class PictureCoding:
    """How a video stores its pictures: what a writer repeats, so that only their content changes.

    pixel_format: FFmpeg's name of the planar format with the same chroma subsampling and depth (8, 10, 12
    or 16 bits).
    sample_aspect_ratio: width of an upright pixel by its height.
    mastering: what an HDR video says about the screen that it was made on.
    """

    pixel_format: str
    tags: ColorTags
    sample_aspect_ratio: Fraction
    mastering: Mastering | None = None


def coding_of(
    stream: VideoStream, image: av.VideoFrame, tags: ColorTags, *, transposed: bool
) -> PictureCoding:
    """How to store pictures like the decoded `image`, whose colours have come to be those of `tags`.

    transposed: whether they have changed rows for columns since.
    """
    # A player would guess by the size; once turned or no longer RGB, it would guess differently.
    if tags.matrix == RGB or (transposed and tags.matrix == UNSPECIFIED):
        tags = replace(tags, matrix=matrix_for_size(image.width, image.height))
    aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
    pixel_format = _yuv_format(image, transposed=transposed)
    mastering = mastering_of(image) if is_hdr(tags) else None
    return PictureCoding(pixel_format, tags, 1 / aspect if transposed else aspect, mastering)


def color_tags(stream: VideoStream, image: av.VideoFrame) -> ColorTags:
    """The tags of a picture; where it has none, those of the stream."""
    context = stream.codec_context
    full = image.format.name.startswith("yuvj")
    return ColorTags(
        matrix=RGB if image.format.is_rgb else _first_known(image.colorspace, context.colorspace),
        color_range=2 if full else int(image.color_range or context.color_range),
        primaries=_first_known(image.color_primaries, context.color_primaries),
        transfer=_first_known(image.color_trc, context.color_trc),
    )


def _first_known(*tags: int) -> int:
    return next((int(tag) for tag in tags if tag != UNSPECIFIED), UNSPECIFIED)


def _yuv_format(image: av.VideoFrame, *, transposed: bool) -> str:
    """The planar format with the subsampling of `image`, and as deep; RGB and palettes have none."""
    components = image.format.components
    bits = next((depth for depth in (8, 10, 12) if num_bits(image.format) <= depth), 16)
    if image.format.is_rgb or image.format.has_palette:
        subsampling = "444"
    elif len(components) < 3:  # gray
        subsampling = "420"
    else:
        narrow, low = components[1].width < image.width, components[1].height < image.height
        if transposed:
            narrow, low = low, narrow
        subsampling = {(True, True): "420", (True, False): "422"}.get((narrow, low), "444")
    return f"yuv{subsampling}p" + ("" if bits == 8 else f"{bits}le")
