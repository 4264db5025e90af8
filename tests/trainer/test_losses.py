"""Each loss against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from i2itool.trainer.losses import (
    cross_entropy,
    gradient_penalty,
    kl_to_unit_normal,
    l1,
    least_squares,
    wasserstein,
)

MAPS = [
    np.random.default_rng(seed).normal(size=shape) * 3
    for seed, shape in enumerate([(2, 1, 5, 4), (2, 1, 3, 2)])
]
SCORES = [torch.from_numpy(scores) for scores in MAPS]


@pytest.mark.parametrize(("is_real", "target"), [(True, 1.0), (False, 0.0)])
def test_least_squares_is_the_mean_squared_distance_from_the_target(is_real: bool, target: float) -> None:
    expected = np.mean([np.mean((scores - target) ** 2) for scores in MAPS])
    assert least_squares(SCORES, is_real=is_real).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("is_real", [True, False])
def test_cross_entropy_is_minus_the_log_probability_of_the_right_answer(is_real: bool) -> None:
    probability = [1 / (1 + np.exp(-scores)) for scores in MAPS]
    right = probability if is_real else [1 - p for p in probability]
    expected = np.mean([np.mean(-np.log(p)) for p in right])
    assert cross_entropy(SCORES, is_real=is_real).item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_stays_finite_for_a_critic_that_is_sure() -> None:
    assert cross_entropy([torch.full((1, 1, 2, 2), 500.0)], is_real=False).item() == pytest.approx(500.0)


def test_l1_and_kl_are_plain_means() -> None:
    x, y = MAPS[0], MAPS[0][::-1].copy()
    assert l1(torch.from_numpy(x), torch.from_numpy(y)).item() == pytest.approx(
        np.abs(x - y).mean(), rel=1e-5
    )
    assert kl_to_unit_normal(torch.from_numpy(x)).item() == pytest.approx((x**2).mean(), rel=1e-5)


def test_a_wasserstein_critic_wants_high_scores_for_real_and_low_ones_for_fake() -> None:
    mean = np.mean([scores.mean() for scores in MAPS])
    assert wasserstein(SCORES, is_real=True).item() == pytest.approx(-mean, rel=1e-5)
    assert wasserstein(SCORES, is_real=False).item() == pytest.approx(mean, rel=1e-5)


def test_the_penalty_is_the_squared_distance_of_the_slope_from_1() -> None:
    real, fake = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    slope = torch.full((3, 4, 4), 0.5, requires_grad=True)

    def critic(x: torch.Tensor) -> list[torch.Tensor]:
        return [(slope * x).sum((1, 2, 3)).view(-1, 1, 1, 1)]

    penalty = gradient_penalty(critic, real, fake)
    length = 0.5 * np.sqrt(3 * 4 * 4)
    assert penalty.item() == pytest.approx((length - 1) ** 2, rel=1e-5)
    # d/ds of (s sqrt(48) - 1)^2, spread over the 48 weights of the slope.
    (gradient,) = torch.autograd.grad(penalty, slope)
    assert gradient.sum().item() == pytest.approx(2 * (length - 1) * np.sqrt(48), rel=1e-4)
