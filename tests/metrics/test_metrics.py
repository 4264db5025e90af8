"""Metrics by their laws and against plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from i2itool.errors import InputError
from i2itool.frames import Pixels
from i2itool.metrics.features import MobileNetV2, extract_features, load_feature_network
from i2itool.metrics.kid import kernel_distance, squared_mmd
from i2itool.metrics.paired import luma_correlation, map_accuracy, psnr, ssim


@pytest.fixture
def picture() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def draw(seed: int, shift: float = 0.0, count: int = 40) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(shift, 1.0, (count, 16))


def test_mmd_equals_its_double_sum() -> None:
    x, y = draw(0, count=5), draw(1, 0.5, count=4)

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float((a @ b / 16 + 1) ** 3)

    within_x = [kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    within_y = [kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    between = [kernel(a, b) for a in x for b in y]
    expected = np.mean(within_x) + np.mean(within_y) - 2 * np.mean(between)
    assert squared_mmd(x, y) == pytest.approx(expected)


def test_kid_is_near_zero_for_one_kind_and_grows_with_the_distance() -> None:
    same = kernel_distance(draw(0), draw(1))
    near, far = kernel_distance(draw(0), draw(1, 0.5)), kernel_distance(draw(0), draw(1, 1.0))
    assert abs(same.mean) < 0.1
    assert same.mean + 0.2 < near.mean < far.mean


def test_the_deviation_of_kid_is_that_of_its_subsets_however_few_pictures_there_are() -> None:
    assert kernel_distance(draw(0, count=20), draw(1, count=20)).deviation > 0


def test_kid_of_a_seed_is_repeatable_and_takes_small_sets() -> None:
    assert kernel_distance(draw(0), draw(1, count=3)) == kernel_distance(draw(0), draw(1, count=3))


def test_equal_pictures_have_the_best_scores(picture: Pixels) -> None:
    assert psnr(picture, picture) == math.inf
    assert ssim(picture, picture) == pytest.approx(1.0)
    assert map_accuracy(picture, picture) == 1.0
    assert luma_correlation(picture, picture) == pytest.approx(1.0)


def test_psnr_is_that_of_its_formula() -> None:
    x = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(x, x + 10) == pytest.approx(20 * math.log10(255 / 10))


def test_ssim_falls_with_noise_and_ignores_hue(picture: Pixels) -> None:
    noise = np.random.default_rng(1).integers(0, 60, picture.shape, dtype=np.uint8)
    noisy = np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)
    assert ssim(picture, noisy) < 0.99
    gray = np.repeat(picture[..., :1], 3, axis=2)
    assert ssim(gray, gray) == pytest.approx(1.0)


def test_a_pixel_is_right_if_its_worst_channel_is_within_16_levels() -> None:
    x = np.zeros((1, 4, 3), np.uint8)
    y = np.array([[[16, 16, 16], [17, 0, 0], [0, 0, 16], [255, 0, 0]]], np.uint8)
    assert map_accuracy(x, y) == 0.5


def test_an_inverted_picture_has_a_negative_luma_correlation(picture: Pixels) -> None:
    assert luma_correlation(picture, 255 - picture) == pytest.approx(-1.0, abs=1e-3)
    assert luma_correlation(picture, np.zeros_like(picture)) == 0.0


def test_feature_network_has_the_parameters_of_the_paper_without_its_classifier() -> None:
    with torch.device("meta"):
        network = MobileNetV2()
    # 3,504,872 in all, of which the classifier has 1280 * 1000 + 1000.
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_504_872 - 1_281_000


def test_features_do_not_depend_on_the_neighbours_and_have_one_row_a_picture(picture: Pixels) -> None:
    torch.manual_seed(0)
    network = MobileNetV2().eval()
    both = extract_features(network, [picture, 255 - picture], size_px=32)
    assert both.shape == (2, 1280)
    np.testing.assert_array_equal(both[1], extract_features(network, [255 - picture], size_px=32)[0])


def test_weights_of_another_network_are_refused() -> None:
    state = MobileNetV2().state_dict()
    assert load_feature_network(state | {"classifier.1.bias": torch.zeros(1000)})
    state.pop("features.0.0.weight")
    with pytest.raises(InputError, match="not those of a MobileNetV2"):
        load_feature_network(state)
