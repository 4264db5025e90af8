"""Colour: the tags of a video, and the arithmetic between its planes and RGB that they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from i2itool.errors import InputError
from i2itool.frames import Pixels

# The numbers are those of ITU-T H.273, which FFmpeg uses too.
RGB, BT709, UNSPECIFIED, FCC, BT470BG, SMPTE170M, SMPTE240M, BT2020 = 0, 1, 2, 4, 5, 6, 7, 9
LIMITED_RANGE, FULL_RANGE = 1, 2
PQ, HLG = 16, 18

# Weights of red and blue in luma, H.273 table 4.
_LUMA_WEIGHTS = {
    BT709: (0.2126, 0.0722),
    FCC: (0.30, 0.11),
    BT470BG: (0.299, 0.114),
    SMPTE170M: (0.299, 0.114),
    SMPTE240M: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
}

# Without the last three, swscale truncates: a whole level is lost on the way to RGB and back.
_SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


@dataclass(frozen=True, slots=True)
class ColorTags:
    """What a video says about its colours, in the numbers of ITU-T H.273; 2 is "unspecified".

    color_range: 1 limited, 2 full, 0 unspecified.
    """

    matrix: int = UNSPECIFIED
    color_range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


def matrix_for_size(width: int, height: int) -> int:
    """The matrix that players assume of an untagged video: BT.709 for high definition, else BT.601."""
    return BT709 if width >= 1280 or height >= 720 else SMPTE170M


def check_color(tags: ColorTags, name: str) -> None:
    """Raise InputError if the colours of the video `name` cannot be turned into 8-bit RGB and back."""
    if tags.transfer in (PQ, HLG):
        raise InputError(
            f"{name} is HDR ({'PQ' if tags.transfer == PQ else 'HLG'})",
            hint="networks know SDR pictures only; tone-map it to SDR first",
        )
    if tags.matrix not in (RGB, UNSPECIFIED, *_LUMA_WEIGHTS):
        raise InputError(f"{name} has colour matrix {tags.matrix} of H.273, which is not supported")


class RgbReader:
    """Turns decoded frames into RGB; keeps the scaler between frames."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, tags: ColorTags) -> Pixels:
        """H,W,3 uint8 RGB of `frame`; what `tags` leave open is guessed as players do."""
        matrix = _resolved_matrix(tags, frame.width, frame.height)
        converted = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=BT470BG if matrix == SMPTE170M else matrix,
            src_color_range=tags.color_range or LIMITED_RANGE,
            dst_color_range=FULL_RANGE,
            interpolation=_SCALING,
        )
        return np.ascontiguousarray(converted.to_ndarray(), dtype=np.uint8)


class RgbWriter:
    """Turns RGB into frames for an encoder, by the same arithmetic backwards."""

    def __init__(self, pixel_format: str, tags: ColorTags, *, is_left_sited: bool = False) -> None:
        self._pixel_format = pixel_format
        self._tags = tags
        self._is_left_sited = is_left_sited
        self._reformatter = VideoReformatter()

    def __call__(self, pixels: Pixels) -> av.VideoFrame:
        """A frame of this writer's pixel format from H,W,3 uint8 RGB."""
        height, width = pixels.shape[:2]
        matrix = _resolved_matrix(self._tags, width, height)
        color_range = self._tags.color_range or LIMITED_RANGE
        # Not swscale: it rounds down the chroma of full-range pictures, half a level on average, and
        # PyAV cannot tell it where chroma samples lie.
        planes = cv2.transform(pixels, rgb_to_yuv(matrix, full_range=color_range == FULL_RANGE))
        subsampling = self._pixel_format[:6] + "p"
        frame = av.VideoFrame(width, height, subsampling)
        for i, plane in enumerate(frame.planes):
            samples = planes[..., i]
            if i > 0:
                samples = subsample(samples, subsampling, is_left_sited=self._is_left_sited)
            # Planes are writable buffers, though PyAV's stub does not say so.
            np.frombuffer(cast(bytearray, plane), np.uint8).reshape(plane.height, -1)[:, : plane.width] = (
                samples
            )
        if subsampling == self._pixel_format:
            return frame
        swscale_matrix = BT470BG if matrix == SMPTE170M else matrix
        return self._reformatter.reformat(
            frame,
            format=self._pixel_format,
            src_colorspace=swscale_matrix,
            dst_colorspace=swscale_matrix,
            src_color_range=color_range,
            dst_color_range=color_range,
            interpolation=_SCALING,
        )


def subsample(
    chroma: NDArray[np.integer[Any] | np.floating[Any]], pixel_format: str, *, is_left_sited: bool
) -> NDArray[np.uint8]:
    """Fewer chroma samples from H,W uint8: at the left of those that they stand for, or in their middle."""
    rows, columns = {"yuv420p": (2, 2), "yuv422p": (1, 2)}.get(pixel_format, (1, 1))
    weights = np.array([[1.0, 2.0, 1.0] if is_left_sited and columns == 2 else [1.0] * columns])
    kernel = np.tile(weights, (rows, 1))
    anchor = (weights.size // 3, 0)
    smooth = cv2.filter2D(chroma, -1, kernel / kernel.sum(), anchor=anchor, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth[::rows, ::columns], dtype=np.uint8)


def rgb_to_yuv(matrix: int, *, full_range: bool) -> NDArray[np.float64]:
    """The 3x4 matrix from (R, G, B, 1) to (Y, Cb, Cr), all in levels of 0-255; H.273, 8.3."""
    red, blue = _LUMA_WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    chroma_blue = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    chroma_red = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    luma_scale, chroma_scale, black = (1.0, 1.0, 0.0) if full_range else (219 / 255, 224 / 255, 16.0)
    rows = np.stack([luma * luma_scale, chroma_blue * chroma_scale, chroma_red * chroma_scale])
    return np.column_stack([rows, [black, 128.0, 128.0]])


def _resolved_matrix(tags: ColorTags, width: int, height: int) -> int:
    return matrix_for_size(width, height) if tags.matrix in (RGB, UNSPECIFIED) else tags.matrix
