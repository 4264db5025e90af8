from __future__ import annotations

import numpy as np
import pytest
import torch

from i2itool.pixels import pad_to_multiple, padded_size, to_levels, to_network, to_pixels

ALL_LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)


def test_every_level_survives_the_way_there_and_back() -> None:
    floats = to_network(ALL_LEVELS)
    assert (floats.min().item(), floats.max().item()) == (-1, 1)
    np.testing.assert_array_equal(to_pixels(floats, height=16, width=16), ALL_LEVELS)


def test_every_level_of_16_bits_survives_in_the_same_range() -> None:
    pixels = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256, 1).repeat(3, axis=3)
    floats = to_network(pixels)
    assert (floats.min().item(), floats.max().item()) == (-1, 1)
    np.testing.assert_array_equal(to_levels(floats, np.uint16, height=256, width=256), pixels)
    # 257 of 65535 is 1 of 255.
    same = to_network(ALL_LEVELS.astype(np.uint16) * 257)
    torch.testing.assert_close(same, to_network(ALL_LEVELS), rtol=0, atol=1e-6)


def test_channels_stay_red_green_blue() -> None:
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    pixels[..., 0] = 255
    assert to_network(pixels)[0, :, 0, 0].tolist() == [1, -1, -1]


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 5), (13, 16), (33, 31)])
@pytest.mark.parametrize("multiple", [1, 4, 32])
def test_pad_then_crop_is_identity(size: tuple[int, int], multiple: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    floats = to_network(pixels, multiple_of=multiple)
    assert tuple(floats.shape[-2:]) == padded_size(*size, multiple)
    assert floats.shape[-2] % multiple == floats.shape[-1] % multiple == 0
    np.testing.assert_array_equal(to_pixels(floats, height=size[0], width=size[1]), pixels)


@pytest.mark.parametrize("size", [(3, 5), (17, 18), (20, 6)])
def test_padding_reflects_as_numpy_does(size: tuple[int, int]) -> None:
    picture = torch.rand(1, 1, *size)
    height, width = padded_size(*size, 16)
    expected = np.pad(picture[0, 0].numpy(), ((0, height - size[0]), (0, width - size[1])), mode="reflect")
    np.testing.assert_array_equal(pad_to_multiple(picture, 16)[0, 0].numpy(), expected)


def test_what_lies_outside_is_clipped_and_the_rest_rounded() -> None:
    floats = (
        torch.tensor([-1.5, 1.5, 0.4 / 127.5 - 1, 0.6 / 127.5 - 1]).reshape(1, 1, 2, 2).repeat(1, 3, 1, 1)
    )
    assert to_pixels(floats, height=2, width=2)[0, ..., 0].tolist() == [[0, 255], [0, 1]]


def test_the_input_is_left_alone() -> None:
    pixels = ALL_LEVELS.copy()
    floats = to_network(pixels)
    before = floats.clone()
    to_pixels(floats, height=16, width=16)
    np.testing.assert_array_equal(pixels, ALL_LEVELS)
    assert torch.equal(floats, before)
