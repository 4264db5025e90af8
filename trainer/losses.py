"""The terms of the objectives, each a scalar mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def least_squares(scores: list[Tensor], *, is_real: bool) -> Tensor:
    """LSGAN (Mao et al. 2017): mean squared distance of the scores from 1 (real) or 0 (fake).

    scores: one map a scale, any shape; the mean over scales of the mean over each.
    """
    target = 1.0 if is_real else 0.0
    return torch.stack([(score.float() - target).square().mean() for score in scores]).mean()


def cross_entropy(scores: list[Tensor], *, is_real: bool) -> Tensor:
    """The original GAN loss on logits: mean -log sigmoid(s) for real, -log(1 - sigmoid(s)) for fake."""
    sign = -1.0 if is_real else 1.0
    return torch.stack([F.softplus(sign * score.float()).mean() for score in scores]).mean()


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference; the negative log-likelihood of a Laplacian decoder, up to a constant."""
    return (x.float() - y.float()).abs().mean()


def kl_to_unit_normal(code: Tensor) -> Tensor:
    """Mean squared code: KL of a unit-variance Gaussian to N(0, I), up to a constant and a factor of 2.

    code: N,C,H,W.  UNIT (Liu et al. 2017, arXiv:1703.00848), the KL terms.
    """
    return code.float().square().mean()
