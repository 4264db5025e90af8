"""The critics: CycleGAN's PatchGAN and UNIT's, single and multi-scale."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from i2itool.networks.blocks import Norm, make_norm, needs_bias


class PatchDiscriminator(nn.Module):
    """PatchGAN with `depth` strided layers; 3 judge patches of 70x70 pixels (Isola et al. 2017).

    Maps N,channels,H,W to N,1,h,w, one unbounded score a patch.
    """

    def __init__(
        self, *, channels: int = 3, width: int = 64, depth: int = 3, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        widths = [width * min(2**layer, 8) for layer in range(depth + 1)]
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, True),
        ]
        for layer, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            stride = 2 if layer < depth else 1
            layers.append(nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=needs_bias(norm)))
            layers += [make_norm(norm, outputs), nn.LeakyReLU(0.2, True)]
        layers.append(nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x: N,C,H,W; returns one map of scores."""
        return [self.model(x)]


class UnitDiscriminator(nn.Module):
    """UNIT 2017: `depth` 3x3 convolutions of stride 2 with LeakyReLU, then 1x1; no normalisation.

    Maps N,channels,H,W to N,1,h,w logits.
    """

    def __init__(self, *, channels: int = 3, width: int = 64, depth: int = 6) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for layer in range(depth):
            outputs = width * 2**layer
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(inplace=True)]
            inputs = outputs
        self.model = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """x: N,C,H,W; returns one map of logits."""
        return [self.model(x)]


class MultiScaleDiscriminator(nn.Module):
    """UNIT 2018: the same critic at `scales` sizes, each half of the one before; no normalisation.

    Maps N,channels,H,W to `scales` maps of scores, the finest first.
    """

    def __init__(self, *, channels: int = 3, width: int = 64, depth: int = 4, scales: int = 3) -> None:
        super().__init__()
        self.cnns = nn.ModuleList(self._critic(channels, width, depth) for _ in range(scales))

    @staticmethod
    def _critic(channels: int, width: int, depth: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        inputs = channels
        for layer in range(depth):
            outputs = width * 2**layer
            convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, padding_mode="reflect")
            layers += [convolution, nn.LeakyReLU(0.2, True)]
            inputs = outputs
        return nn.Sequential(*layers, nn.Conv2d(inputs, 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """x: N,C,H,W; returns a map of scores for each scale."""
        scores = []
        for critic in self.cnns:
            scores.append(critic(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return scores
