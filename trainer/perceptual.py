"""What a network of features sees in a picture, and how differently it sees two: the perceptual loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2itool.metrics.features import DEVIATION, MEAN, read_feature_network

# Layers of MobileNetV2 at a half, a quarter, an eighth and a sixteenth of the size.
_LAYERS = (1, 3, 6, 10)


class FeaturePyramid(nn.Module):
    """The features of a MobileNetV2 at several depths; none of its weights learns."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Path, layers: Sequence[int]) -> None:
        """Raises InputError for a file that holds no weights of a MobileNetV2.

        layers: numbers of the layers that are heard, in rising order.
        """
        super().__init__()
        network = read_feature_network(weights)
        self.layers = nn.ModuleList(list(network.features)[: layers[-1] + 1])
        self._heard = tuple(layers)
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """pictures: N,3,H,W in [-1, 1]; N,C,h,w of each depth."""
        features, seen = (pictures * 0.5 + 0.5 - self.mean) / self.deviation, []
        for index, layer in enumerate(self.layers):
            features = layer(features)
            if index in self._heard:
                seen.append(features)
        return seen


class PerceptualLoss(nn.Module):
    """Mean distance of features at four depths (Johnson et al. 2016, arXiv:1603.08155).

    Each depth counts alike: its distance is told in units of what the features themselves are.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.pyramid = FeaturePyramid(weights, _LAYERS)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x, y: N,3,H,W in [-1, 1]; a scalar, 0 where they are equal. No gradient for y."""
        with torch.no_grad():
            wanted = self.pyramid(y)
        pairs = zip(self.pyramid(x), wanted, strict=True)
        return torch.stack([F.l1_loss(seen, want) / want.abs().mean() for seen, want in pairs]).mean()
