"""Critics that see pictures through a network which knows the world already.

Sauer et al. 2021 (Projected GANs, arXiv:2111.01007) and Kumari et al. 2022 (Vision-aided GANs,
arXiv:2112.09130): what a critic would have to learn from few pictures, features of ImageNet bring along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from .perceptual import FeaturePyramid

# Layers of MobileNetV2 at a quarter, an eighth, a sixteenth and a 32nd of the size, and their channels.
_CHANNELS = {3: 24, 6: 32, 13: 96, 17: 320}
_WIDTH = 64


class FeatureCritic(nn.Module):
    """For each depth of a pyramid a small head that learns, of spectral norm 1 a layer.

    Maps N,3,H,W in [-1, 1] to one map of unbounded scores a depth.
    """

    def __init__(self, see: Callable[[Tensor], list[Tensor]]) -> None:
        """see: gives the features of `_CHANNELS`; no part of this module, so that nothing trains it."""
        super().__init__()
        self._see = see
        self.heads = nn.ModuleList(_head(channels) for channels in _CHANNELS.values())

    def forward(self, x: Tensor) -> list[Tensor]:
        """x: N,3,H,W in [-1, 1]; the finest first."""
        return [head(features) for head, features in zip(self.heads, self._see(x), strict=True)]


class Jury(nn.Module):
    """Several critics of one picture, each with its scores."""

    def __init__(self, *critics: nn.Module) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x: N,3,H,W; all maps of scores, one critic after the other."""
        return [scores for critic in self.critics for scores in critic(x)]


def add_feature_critics(
    critics: Mapping[str, nn.Module], weights: str | None, device: torch.device
) -> dict[str, nn.Module]:
    """Give each critic one beside it that sees features; without weights leave them alone.

    weights: the file of a MobileNetV2; it has to be there when the run goes on, too.
    Raises InputError if it is none.
    """
    if weights is None:
        return dict(critics)
    pyramid = FeaturePyramid(Path(weights), tuple(_CHANNELS))
    pyramid.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
    return {name: Jury(critic, FeatureCritic(pyramid.forward)) for name, critic in critics.items()}


def _head(channels: int) -> nn.Sequential:
    return nn.Sequential(
        spectral_norm(nn.Conv2d(channels, _WIDTH, 3, padding=1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(_WIDTH, 1, 1)),
    )
