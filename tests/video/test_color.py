from __future__ import annotations

import av
import numpy as np
import pytest

from i2itool.video.color import ColorTags, RgbReader, RgbWriter, matrix_for_size, rgb_to_yuv

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
    levels = BARS @ rows[:, :3].T + rows[:, 3]
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
