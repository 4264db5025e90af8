from __future__ import annotations

from typing import cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from i2itool.video.color import ColorTags, matrix_for_size, rgb_to_yuv
from i2itool.video.planes import RgbReader, RgbWriter, subsample

BARS = np.array(
    [[255, 255, 255], [255, 255, 0], [0, 255, 255], [0, 255, 0], [255, 0, 0], [0, 0, 255]], np.uint8
)


# Y, Cb and Cr of the bars at 100 %, 8 bits, limited range.
BT709_LEVELS = [
    (235, 128, 128),
    (219, 16, 138),
    (188, 154, 16),
    (173, 42, 26),
    (63, 102, 240),
    (32, 240, 118),
]
BT601_LEVELS = [(235, 128, 128), (210, 16, 146), (170, 166, 16), (145, 54, 34), (81, 90, 240), (41, 240, 110)]


@pytest.mark.parametrize(("matrix", "expected"), [(1, BT709_LEVELS), (6, BT601_LEVELS)])
def test_colour_bars_have_their_published_levels(matrix: int, expected: list[tuple[int, int, int]]) -> None:
    rows = rgb_to_yuv(matrix, full_range=False)
    levels = BARS / 255 @ rows[:, :3].T + rows[:, 3]
    assert levels.round().astype(int).tolist() == [list(bar) for bar in expected]


@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("color_range", [0, 1, 2])
def test_rgb_to_planes_and_back_shifts_no_colour(matrix: int, color_range: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (33, 35, 3), dtype=np.uint8)
    tags = ColorTags(matrix=matrix, color_range=color_range)
    back = RgbReader()(RgbWriter("yuv444p", tags)(pixels), tags)
    error = back.astype(float) - pixels
    assert np.abs(error).max() <= 2
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.2


def test_untagged_videos_are_read_by_their_size() -> None:
    assert [matrix_for_size(*size) for size in [(1280, 720), (720, 1280), (720, 576), (640, 480)]] == [
        1,
        1,
        6,
        6,
    ]


def test_full_range_white_is_white() -> None:
    frame = av.VideoFrame(16, 16, "yuvj420p")
    for plane, level in zip(frame.planes, (255, 128, 128), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    assert (RgbReader()(frame, ColorTags(matrix=6, color_range=2)) == 255).all()


def deep_picture(pixel_format: str, planes: list[NDArray[np.uint16]]) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixel_format)
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(cast(bytearray, plane), np.uint16).reshape(plane.height, -1)
        rows[:, : plane.width] = samples
    return frame


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("bits", [10, 12])
def test_deep_pictures_are_read_as_the_standard_says(matrix: int, is_full: bool, bits: int) -> None:
    # ITU-T H.273, equations 20 to 25 and 38 to 40, in double precision.
    red, blue = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    levels = np.random.default_rng(2).uniform(size=(3, 16, 18))
    y, cb, cr = levels[0], levels[1] - 0.5, levels[2] - 0.5
    scale, step = (1 << bits) - 1, 1 << (bits - 8)
    luma, chroma, black = (scale, scale, 0) if is_full else (219 * step, 224 * step, 16 * step)
    planes = [y * luma + black, cb * chroma + 128 * step, cr * chroma + 128 * step]
    stored = [plane.round().clip(0, scale) for plane in planes]
    y, cb, cr = (stored[0] - black) / luma, *((plane - 128 * step) / chroma for plane in stored[1:])
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    expected = np.stack([r, g, b], axis=-1).clip(0, 1) * 65535

    frame = deep_picture(f"yuv444p{bits}le", [plane.astype(np.uint16) for plane in stored])
    pixels = RgbReader()(frame, ColorTags(matrix=matrix, color_range=2 if is_full else 1))

    assert pixels.dtype == np.uint16
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize("color_range", [1, 2])
@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("subsampling", ["420", "422"])
def test_flat_chroma_of_deep_pictures_is_read_without_a_shift(
    subsampling: str, bits: int, color_range: int
) -> None:
    luma = np.linspace(1 << (bits - 4), (1 << bits) - 200, 32 * 34).round().astype(np.uint16).reshape(32, 34)
    narrow, low = 17, 16 if subsampling == "420" else 32
    blue, red = (np.full((low, narrow), (1 << (bits - 1)) + shift, np.uint16) for shift in (30, -40))
    tags = ColorTags(matrix=1, color_range=color_range)
    small = RgbReader()(deep_picture(f"yuv{subsampling}p{bits}le", [luma, blue, red]), tags)
    whole = [np.full((32, 34), plane[0, 0], np.uint16) for plane in (blue, red)]
    large = RgbReader()(deep_picture(f"yuv444p{bits}le", [luma, *whole]), tags)
    assert np.abs(small.astype(int) - large).max() <= 1


@pytest.mark.parametrize("name", ["gray10le", "gray12le", "gray16le"])
@pytest.mark.parametrize("color_range", [1, 2])
def test_deep_gray_is_gray_from_black_to_white(name: str, color_range: int) -> None:
    bits = int(name[4:6])
    black, white = (0, (1 << bits) - 1) if color_range == 2 else (16 << (bits - 8), 235 << (bits - 8))
    luma = np.array([[black, (black + white + 1) // 2, white] * 6] * 16, np.uint16)
    pixels = RgbReader()(deep_picture(name, [luma]), ColorTags(matrix=1, color_range=color_range))
    assert np.ptp(pixels.astype(int), axis=2).max() <= 16
    assert np.abs(pixels[0, :3, 1].astype(int) - [0, 32768, 65535]).max() <= 33


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("color_range", [1, 2])
@pytest.mark.parametrize("name", ["yuv444p10le", "yuv444p12le", "yuv444p"])
def test_deep_rgb_to_planes_and_back_shifts_no_colour(name: str, matrix: int, color_range: int) -> None:
    bits = int(name[7:9] or 8)
    pixels = np.random.default_rng(1).integers(0, 65536, (33, 35, 3)).astype(np.uint16)
    tags = ColorTags(matrix=matrix, color_range=color_range)
    back = RgbReader()(RgbWriter(name, tags)(pixels), tags).astype(float)
    if bits == 8:
        back *= 257
    error = (back - pixels) / (65535 / ((1 << bits) - 1))
    assert np.abs(error).max() <= 2.5
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.2


@pytest.mark.parametrize("name", ["yuv420p10le", "yuv422p10le"])
def test_eight_bits_become_the_same_levels_with_more(name: str) -> None:
    pixels = np.full((16, 18, 3), 255, np.uint8)
    picture = RgbWriter(name, ColorTags(matrix=1, color_range=1))(pixels)
    luma, blue, red = (np.frombuffer(cast(bytearray, plane), np.uint16) for plane in picture.planes)
    assert (luma[0], blue[0], red[0]) == (940, 512, 512)


@pytest.mark.parametrize("is_left_sited", [False, True])
@pytest.mark.parametrize("size", [(400, 30), (257, 31), (1, 2)])
def test_chroma_of_a_tall_picture_is_made_smaller_without_seams(
    size: tuple[int, int], is_left_sited: bool
) -> None:
    chroma = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    weights = [1, 2, 1] if is_left_sited else [1, 1]
    right = np.pad(chroma, ((0, size[0] % 2), (0, 2)), "edge").astype(float)
    left = np.pad(right, ((0, 0), (1, 0)), "edge") if is_left_sited else right
    across = np.sum([weight * left[:, i : i + size[1]] for i, weight in enumerate(weights)], axis=0)
    expected = (across[::2, ::2] + across[1::2, ::2]) / (2 * sum(weights))
    found = subsample(chroma, "420", is_left_sited=is_left_sited)
    np.testing.assert_array_equal(found, np.round(expected))
