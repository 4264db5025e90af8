"""How differently a network of features sees two pictures: the perceptual loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2itool.metrics.features import DEVIATION, MEAN, MobileNetV2

# Layers of MobileNetV2 at a half, a quarter, an eighth and a sixteenth of the size.
_LAYERS = (1, 3, 6, 10)


class PerceptualLoss(nn.Module):
    """Mean distance of features at four depths (Johnson et al. 2016, arXiv:1603.08155).

    Each depth counts alike: its distance is told in units of what the features themselves are.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: MobileNetV2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(list(network.features)[: _LAYERS[-1] + 1])
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x, y: N,3,H,W in [-1, 1]; a scalar, 0 where they are equal. No gradient for y."""
        with torch.no_grad():
            wanted = self._features(y)
        pairs = zip(self._features(x), wanted, strict=True)
        return torch.stack([F.l1_loss(seen, want) / want.abs().mean() for seen, want in pairs]).mean()

    def _features(self, pictures: Tensor) -> list[Tensor]:
        features, seen = (pictures * 0.5 + 0.5 - self.mean) / self.deviation, []
        for index, layer in enumerate(self.layers):
            features = layer(features)
            if index in _LAYERS:
                seen.append(features)
        return seen
