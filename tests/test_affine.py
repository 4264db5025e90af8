"""Carrying a small translation to the full size: exact where maps are, sharp where the input is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from i2itool.affine import CAUTIOUS, OPEN, AffineGrid, fit_affine
from i2itool.carrying import apply_affine
from i2itool.frames import Pixels

Array = NDArray[Any]


def scene(height: int, width: int, seed: int = 0) -> Pixels:
    """Smooth colours with hard edges and some texture."""
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 216, (5, 7, 3)).astype(np.float32)
    picture: Array = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    picture[height // 3 : height // 2, width // 4 : width // 2] += 60
    picture = picture + rng.normal(0, 4, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def small(picture: Array, factor: int) -> Array:
    height, width = picture.shape[:2]
    return cv2.resize(picture, (width // factor, height // factor), interpolation=cv2.INTER_AREA)


def psnr(x: Array, y: Array, highest: float = 255) -> float:
    error = np.mean((x.astype(float) - y.astype(float)) ** 2)
    return float(10 * np.log10(highest**2 / max(error, 1e-9)))


def test_the_identity_stays_the_input() -> None:
    picture = scene(240, 320)
    little = small(picture, 4)
    assert psnr(apply_affine(fit_affine(little, little), picture), picture) > 50


def test_an_affine_map_of_colours_is_carried_over() -> None:
    picture = scene(240, 320)
    matrix = np.array([[0.5, 0.2, 0], [0.1, 0.6, 0.1], [0, -0.2, 0.7]], np.float32)

    def translate(x: Pixels) -> Pixels:
        return (x @ matrix.T + (20, 5, 60)).clip(0, 255).round().astype(np.uint8)

    little = small(picture, 4)
    assert psnr(apply_affine(fit_affine(little, translate(little)), picture), translate(picture)) > 38


def test_edges_stay_as_sharp_as_those_of_the_input() -> None:
    picture = np.full((240, 320, 3), 60, np.uint8)
    picture[:, 161:] = 200
    little = small(picture, 4)
    blurred = cv2.GaussianBlur(255 - (little // 2), (0, 0), 2)
    result = apply_affine(fit_affine(little, blurred), picture).astype(int)
    step = np.abs(np.diff(result[120, :, 0]))
    assert step[160] > 5 * np.delete(step, 160).max()


def test_a_lamp_that_the_input_does_not_hold_is_kept() -> None:
    picture = np.full((240, 320, 3), 90, np.uint8)
    little = small(picture, 4)
    night = little // 6
    cv2.circle(night, (40, 30), 3, (255, 220, 150), -1)
    result = apply_affine(fit_affine(little, night), picture)
    assert result[120, 160].min() > 100
    assert result[20, 20].max() < 25


def test_faint_ringing_is_left_out() -> None:
    picture = scene(240, 320)
    little = small(picture, 4)
    stripes = 6 * np.sin(np.arange(60) * np.pi)[:, None, None] + 6 * (np.arange(60) % 2 - 0.5)[:, None, None]
    ringing = (little + stripes).clip(0, 255).astype(np.uint8)
    assert psnr(apply_affine(fit_affine(little, ringing), picture), picture) > psnr(ringing, little) + 4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (97, 131), (64, 64)])
def test_any_size_and_depth_gives_the_same_shape(size: tuple[int, int], dtype: type[Any]) -> None:
    picture = scene(*size).astype(dtype) * (257 if dtype == np.uint16 else 1)
    little: Array = cv2.resize(picture, (max(1, size[1] // 3), max(1, size[0] // 3)))
    result = apply_affine(fit_affine(little, little), picture)
    assert result.shape == picture.shape
    assert result.dtype == dtype
    highest = np.iinfo(dtype).max
    assert psnr(result, picture, highest) > 45


def test_deep_and_shallow_pictures_are_mapped_alike() -> None:
    picture = scene(96, 128)
    little = small(picture, 2)
    grid = fit_affine(little, 255 - little)
    deep = apply_affine(grid, picture.astype(np.uint16) * 257)
    assert np.abs(deep / 257 - apply_affine(grid, picture)).max() <= 0.51


def test_lines_are_enlarged_as_whole_pictures_are() -> None:
    rng = np.random.default_rng(0)
    grid = AffineGrid(rng.uniform(-0.5, 0.5, (3, 4, 11, 17)).astype(np.float32))
    picture = scene(150, 230)
    maps = np.stack([cv2.resize(plane, (230, 150)) for plane in grid.maps.reshape(12, 11, 17)]).reshape(
        3, 4, 150, 230
    )
    expected = (maps[:, :3] * picture.transpose(2, 0, 1)).sum(1) + 255 * maps[:, 3]
    result = apply_affine(grid, picture).transpose(2, 0, 1)
    assert np.abs(result - expected.clip(0, 255)).max() <= 0.51


def test_faint_light_is_kept_of_a_network_that_is_trusted_with_it() -> None:
    picture = np.full((240, 320, 3), 90, np.uint8)
    little = small(picture, 4)
    night = little // 6
    cv2.circle(night, (40, 30), 3, (40, 36, 30), -1)
    carried = {
        trust: int(apply_affine(fit_affine(little, night, trust=trust), picture)[120, 160, 0])
        for trust in (CAUTIOUS, OPEN)
    }
    assert carried[CAUTIOUS] < 25
    assert carried[OPEN] > 30
