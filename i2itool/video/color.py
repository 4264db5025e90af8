"""Colour: the tags of a video, and the matrices between its planes and RGB that they ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2itool.errors import InputError

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


def is_hdr(tags: ColorTags) -> bool:
    """Whether levels are those of PQ or HLG, which no SDR screen shows rightly."""
    return tags.transfer in (PQ, HLG)


def check_color(tags: ColorTags, name: str, *, accepts_hdr: bool = False) -> None:
    """Raise InputError if the colours of the video `name` cannot be turned into SDR pictures and back."""
    if is_hdr(tags) and not accepts_hdr:
        raise InputError(
            f"{name} is HDR ({'PQ' if tags.transfer == PQ else 'HLG'}), and networks know SDR only",
            hint="--tonemap makes an SDR video of it; --assume-sdr leaves its levels as they are",
        )
    if tags.matrix not in (RGB, UNSPECIFIED, *_LUMA_WEIGHTS):
        raise InputError(f"{name} has colour matrix {tags.matrix} of H.273, which is not supported")


def rgb_to_yuv(matrix: int, *, full_range: bool, bits: int = 8) -> NDArray[np.float64]:
    """The 3x4 matrix from (R, G, B, 1), R to B in [0, 1], to Y, Cb and Cr in levels of `bits` bits.

    ITU-T H.273, 8.3.
    """
    red, blue = _LUMA_WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    chroma_blue = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    chroma_red = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    step, highest = 1 << (bits - 8), (1 << bits) - 1
    luma_scale, chroma_scale, black = (
        (highest, highest, 0) if full_range else (219 * step, 224 * step, 16 * step)
    )
    rows = np.stack([luma * luma_scale, chroma_blue * chroma_scale, chroma_red * chroma_scale])
    return np.column_stack([rows, [black, 128 * step, 128 * step]])


def yuv_to_rgb(matrix: int, *, full_range: bool, bits: int = 8) -> NDArray[np.float64]:
    """The 3x4 matrix back, the inverse of `rgb_to_yuv`."""
    forth = rgb_to_yuv(matrix, full_range=full_range, bits=bits)
    back = np.linalg.inv(forth[:, :3])
    return np.column_stack([back, -back @ forth[:, 3]])


def resolved_matrix(tags: ColorTags, width: int, height: int) -> int:
    """The matrix that `tags` name, or that players assume of such pictures, in pixels."""
    return matrix_for_size(width, height) if tags.matrix in (RGB, UNSPECIFIED) else tags.matrix
