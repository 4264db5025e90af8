"""Pictures of a decoder or for an encoder, to RGB and back, by the matrix and the range of a video."""

from __future__ import annotations

from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from i2itool.frames import AnyPixels, DeepPixels, Levels, Pixels
from i2itool.video.color import (
    BT470BG,
    FULL_RANGE,
    LIMITED_RANGE,
    SMPTE170M,
    ColorTags,
    resolved_matrix,
    rgb_to_yuv,
    yuv_to_rgb,
)

# Without the last three, swscale truncates: a whole level is lost on the way to RGB and back.
_SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
# Planes of more than 8 bits are handled as 16: a level is shifted up, so that its lowest bits are 0.
_DEEP_BITS = 16
# An even number, and too few for OpenCV to share among threads: calling them costs twice what they do here.
_STRIP_LINES = 128
# Between the levels of 8 and of 16 bits, 255 and 65535.
_DEEP_LEVELS_PER_LEVEL = 257


def num_bits(picture_format: av.VideoFormat) -> int:
    """Bits of a sample of the first component; 8 of a palette's colours."""
    return picture_format.components[0].bits


def is_transparent(picture: av.VideoFrame) -> bool:
    """Whether a picture may be seen through: it has a channel for that, which of RGB is in use, too."""
    if not any(component.is_alpha for component in picture.format.components):
        return False
    # GIF and PNG have the channel whether they need it or not.
    return not picture.format.is_rgb or bool((picture.to_ndarray(format="rgba")[..., 3] < 255).any())


class RgbReader:
    """Turns decoded pictures into RGB; keeps the scaler between pictures."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame, tags: ColorTags) -> AnyPixels:
        """H,W,3 RGB of `picture`: uint8, or uint16 on a scale to 65535 if it has more than 8 bits.

        What `tags` leave open is guessed as players do.
        """
        if num_bits(picture.format) > 8:
            return self._deep(picture, tags)
        is_rgb = picture.format.is_rgb or picture.format.has_palette
        converted = self._reformatter.reformat(
            picture,
            # swscale is four times as fast with planes than with packed pixels, and gives the same.
            format="rgb24" if is_rgb else "gbrp",
            src_colorspace=_swscale_number(resolved_matrix(tags, picture.width, picture.height)),
            src_color_range=tags.color_range or LIMITED_RANGE,
            dst_color_range=FULL_RANGE,
            interpolation=_SCALING,
        )
        if is_rgb:
            return np.ascontiguousarray(converted.to_ndarray(), dtype=np.uint8)
        green, blue, red = (samples_of(plane, np.uint8) for plane in converted.planes)
        return cast(Pixels, cv2.merge([red, green, blue]))

    def _deep(self, picture: av.VideoFrame, tags: ColorTags) -> DeepPixels:
        if picture.format.is_rgb:
            converted = self._reformatter.reformat(picture, format="rgb48le", interpolation=_SCALING)
            return np.ascontiguousarray(converted.to_ndarray(), dtype=np.uint16)
        matrix = resolved_matrix(tags, picture.width, picture.height)
        is_full = (tags.color_range or LIMITED_RANGE) == FULL_RANGE
        bits = num_bits(picture.format)
        rows = yuv_to_rgb(matrix, full_range=is_full, bits=bits)
        # The matrix takes levels of `bits` bits and gives 0 to 1.
        rows *= 2**_DEEP_BITS - 1
        rows[:, :3] /= 1 << (_DEEP_BITS - bits)
        return np.asarray(cv2.transform(self._deep_yuv(picture, tags, bits), rows), dtype=np.uint16)

    def _deep_yuv(self, picture: av.VideoFrame, tags: ColorTags, bits: int) -> DeepPixels:
        """H,W,3 uint16: Y, Cb and Cr, shifted up to 16 bits."""
        shift = _DEEP_BITS - bits
        if picture.format.name.startswith("gray"):
            luma = samples_of(picture.planes[0], np.uint16) << shift
            return cast(DeepPixels, cv2.merge([luma, *[np.full_like(luma, 1 << 15)] * 2]))
        if picture.format.name != f"yuv444p{bits}le":
            # With equal ranges this only moves chroma to where luma is, and shifts levels; of 4:4:4 in
            # full range it would repeat the upper bits instead.
            color_range = tags.color_range or LIMITED_RANGE
            picture = self._reformatter.reformat(
                picture,
                format=f"yuv444p{_DEEP_BITS}le",
                src_colorspace=BT470BG,
                dst_colorspace=BT470BG,
                src_color_range=color_range,
                dst_color_range=color_range,
                interpolation=_SCALING,
            )
            shift = 0
        planes = [samples_of(plane, np.uint16) << shift for plane in picture.planes]
        return cast(DeepPixels, cv2.merge(planes))


class RgbWriter:
    """Turns RGB into pictures for an encoder, by the same arithmetic backwards."""

    def __init__(self, pixel_format: str, tags: ColorTags, *, is_left_sited: bool = False) -> None:
        self._pixel_format = pixel_format
        self._tags = tags
        self._is_left_sited = is_left_sited
        self._reformatter = VideoReformatter()
        # What every picture is mixed and taken apart in.
        self._mixed: AnyPixels = np.empty((0, 0, 3), np.uint8)
        self._planes: list[AnyPixels] = []

    def __call__(self, pixels: AnyPixels) -> av.VideoFrame:
        """A picture of this writer's pixel format from H,W,3 RGB, uint8 or uint16."""
        height, width = pixels.shape[:2]
        wanted = av.VideoFormat(self._pixel_format, width, height)
        if wanted.is_rgb or wanted.has_palette:
            if pixels.dtype == np.uint16:
                packed = av.VideoFrame.from_ndarray(cast(DeepPixels, pixels), "rgb48le")
            else:
                packed = av.VideoFrame.from_ndarray(cast(Pixels, pixels), "rgb24")
            return packed.reformat(format=self._pixel_format)
        matrix = resolved_matrix(self._tags, width, height)
        color_range = self._tags.color_range or LIMITED_RANGE
        picture = self._planar(pixels, wanted, matrix, full_range=color_range == FULL_RANGE)
        if picture.format.name == self._pixel_format:
            return picture
        return self._reformatter.reformat(
            picture,
            format=self._pixel_format,
            src_colorspace=_swscale_number(matrix),
            dst_colorspace=_swscale_number(matrix),
            src_color_range=color_range,
            dst_color_range=color_range,
            interpolation=_SCALING,
        )

    def _planar(
        self, pixels: AnyPixels, wanted: av.VideoFormat, matrix: int, *, full_range: bool
    ) -> av.VideoFrame:
        """A picture with a plane for each of Y, Cb and Cr, with the depth and the subsampling of `wanted`."""
        # Not swscale: it rounds down the chroma of full-range pictures, half a level on average, and
        # PyAV cannot tell it where chroma samples lie.
        bits, subsampling = num_bits(wanted), _subsampling(wanted)
        rows = rgb_to_yuv(matrix, full_range=full_range, bits=bits)
        is_shallow = bits == 8 and pixels.dtype == np.uint8
        if is_shallow:
            rows[:, :3] /= 255
        else:
            pixels = _deepened(pixels)
            rows *= 1 << (_DEEP_BITS - bits)
            rows[:, :3] /= 2**_DEEP_BITS - 1
        name = f"yuv{subsampling}p" + ("" if bits == 8 else f"{bits}le")
        picture = av.VideoFrame(pixels.shape[1], pixels.shape[0], name)
        targets = [samples_of(plane, np.uint8 if bits == 8 else np.uint16) for plane in picture.planes]
        full = self._full_planes(pixels, luma=targets[0] if is_shallow else None)
        self._mixed = cast(AnyPixels, cv2.transform(pixels, rows, dst=self._mixed))
        for i, samples in enumerate(cast(list[AnyPixels], cv2.split(self._mixed, full))):
            if i > 0:
                samples = subsample(samples, subsampling, is_left_sited=self._is_left_sited)
            if not is_shallow:
                samples = _rounded_to(cast(DeepPixels, samples), bits)
            if samples is not targets[i]:
                targets[i][:] = samples
        return picture

    def _full_planes(self, pixels: AnyPixels, *, luma: AnyPixels | None) -> list[AnyPixels]:
        """Where to put all samples of Y, Cb and Cr; the same places for each picture, which saves a third."""
        size = pixels.shape[:2]
        if not self._planes or self._planes[0].shape != size or self._planes[0].dtype != pixels.dtype:
            self._planes = [np.empty(size, pixels.dtype) for _ in range(3)]
            self._mixed = np.empty_like(pixels)
        return self._planes if luma is None else [luma, *self._planes[1:]]


def subsample(chroma: NDArray[Levels], subsampling: str, *, is_left_sited: bool) -> NDArray[Levels]:
    """Fewer chroma samples from H,W: at the left of those that they stand for, or in their middle.

    subsampling: "420", "422" or "444".
    """
    if subsampling == "444":
        return chroma
    rows, columns = (2, 2) if subsampling == "420" else (1, 2)
    weights = np.array([[1.0, 2.0, 1.0] if is_left_sited else [1.0, 1.0]])
    kernel = np.tile(weights, (rows, 1))
    anchor = (weights.size // 3, 0)
    height, width = chroma.shape
    fewer = np.empty((-(-height // rows), -(-width // columns)), chroma.dtype)
    for top in range(0, height, _STRIP_LINES):
        strip = chroma[top : top + _STRIP_LINES]
        smooth = cv2.filter2D(
            strip, -1, kernel / kernel.sum(), anchor=anchor, borderType=cv2.BORDER_REPLICATE
        )
        fewer[top // rows : (top + _STRIP_LINES) // rows] = smooth[::rows, ::columns]
    return fewer


def _subsampling(picture_format: av.VideoFormat) -> str:
    """What a writer of this format makes: "420", "422" or "444"; of gray, the least."""
    if len(picture_format.components) < 3:
        return "420"
    chroma = picture_format.components[1]
    is_narrow, is_low = chroma.width < picture_format.width, chroma.height < picture_format.height
    return {(True, True): "420", (True, False): "422"}.get((is_narrow, is_low), "444")


def _deepened(pixels: AnyPixels) -> DeepPixels:
    """8 bits on the scale of 16."""
    if pixels.dtype == np.uint16:
        return cast(DeepPixels, pixels)
    return cast(Pixels, pixels).astype(np.uint16) * np.uint16(_DEEP_LEVELS_PER_LEVEL)


def _rounded_to(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """The upper `bits` of samples shifted up to 16, to the nearest level."""
    shift = _DEEP_BITS - bits
    if shift == 0:
        return samples
    # OpenCV's sum stops at 65535, so that the highest level does not become the lowest.
    half = np.full_like(samples, 1 << (shift - 1))
    return cast(DeepPixels, cv2.add(samples, half)) >> np.uint16(shift)


# Any: PyAV's stub hides that it is a buffer.
def samples_of(plane: Any, dtype: type[Levels]) -> NDArray[Levels]:
    """The samples of a plane, to read or to write; rows may be longer than the picture is wide."""
    rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    return rows[:, : plane.width]


def _swscale_number(matrix: int) -> int:
    return BT470BG if matrix == SMPTE170M else matrix
