"""The terms of the objectives, each a scalar mean."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def precise(x: Tensor) -> Tensor:
    """`x` in float32 at least, as sums over a whole picture need; float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def least_squares(scores: list[Tensor], *, is_real: bool) -> Tensor:
    """LSGAN (Mao et al. 2017): mean squared distance of the scores from 1 (real) or 0 (fake).

    scores: one map a scale, any shape; the mean over scales of the mean over each.
    """
    target = 1.0 if is_real else 0.0
    return torch.stack([(precise(score) - target).square().mean() for score in scores]).mean()


def cross_entropy(scores: list[Tensor], *, is_real: bool) -> Tensor:
    """The original GAN loss on logits: mean -log sigmoid(s) for real, -log(1 - sigmoid(s)) for fake."""
    sign = -1.0 if is_real else 1.0
    return torch.stack([F.softplus(sign * precise(score)).mean() for score in scores]).mean()


def wasserstein(scores: list[Tensor], *, is_real: bool) -> Tensor:
    """The critic's loss of WGAN (Arjovsky et al. 2017): minus the mean score of real, the mean of fake."""
    mean = torch.stack([precise(score).mean() for score in scores]).mean()
    return -mean if is_real else mean


GAN_LOSSES = {"lsgan": least_squares, "vanilla": cross_entropy, "wgangp": wasserstein}


def gradient_penalty(critic: Callable[[Tensor], list[Tensor]], real: Tensor, fake: Tensor) -> Tensor:
    """Mean squared distance from 1 of the critic's gradient between real and fake (Gulrajani et al. 2017).

    real, fake: N,3,H,W; the points between are drawn from torch's generator.
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
    total = torch.stack([precise(score).sum() for score in critic(between)]).sum()
    (gradient,) = torch.autograd.grad(total, between, create_graph=True)
    # The root has no slope at 0.
    length = (precise(gradient).square().flatten(1).sum(1) + 1e-12).sqrt()
    return (length - 1).square().mean()


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference; the negative log-likelihood of a Laplacian decoder, up to a constant."""
    return (precise(x) - precise(y)).abs().mean()


def kl_to_unit_normal(code: Tensor) -> Tensor:
    """Mean squared code: KL of a unit-variance Gaussian to N(0, I), up to a constant and a factor of 2.

    code: N,C,H,W.  UNIT (Liu et al. 2017, arXiv:1703.00848), the KL terms.
    """
    return precise(code).square().mean()
