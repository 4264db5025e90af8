"""A generator whose normalisation remembers: statistics of InstanceNorm, smoothed over time.

A picture's own mean and variance change with whatever comes into sight, and with them the colours of the
whole frame. Smoothed statistics cannot ghost, for they have no place in the picture.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

Statistics = tuple[Tensor, ...]
"""What is remembered: for each normalisation layer 2,C float32, the means of x and of its square."""


class SteadyNorm(nn.Module):
    """InstanceNorm with statistics that follow those of the pictures.

    Takes `shares` and `remembered` from `SteadyGenerator`, and leaves what it remembers in `remembered`.
    """

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.shares: Sequence[float] = ()
        self.remembered: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W, in order of time; returns the same shape."""
        floats = x.float()
        now = torch.stack([floats.mean((2, 3)), floats.square().mean((2, 3))], dim=1)
        # Each picture's own statistics first, then along the batch: the batch size changes nothing.
        steady = []
        for share, own in zip(self.shares, now, strict=True):
            before = own if self.remembered is None else self.remembered
            self.remembered = own if share >= 1 else before + share * (own - before)
            steady.append(self.remembered)
        mean, square = torch.stack(steady).unbind(1)
        scale = (square - mean.square()).clamp_min(0).add(self.eps).rsqrt()
        shift = -mean * scale
        if self.weight is not None:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        return (floats * scale[..., None, None] + shift[..., None, None]).to(x.dtype)


class SteadyGenerator:
    """A copy of a generator in which every InstanceNorm is steady; state is passed in and returned."""

    def __init__(self, network: nn.Module, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self._network = copy.deepcopy(network).eval().requires_grad_(False).float().to(self._device)
        self._norms: list[SteadyNorm] = []
        for module in list(self._network.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.InstanceNorm2d):
                    steady = SteadyNorm(child)
                    setattr(module, name, steady)
                    self._norms.append(steady)

    @property
    def num_norms(self) -> int:
        """Normalisation layers that were made steady; with none, the generator is as it was."""
        return len(self._norms)

    def __call__(
        self, batch: Tensor, shares: Sequence[float], statistics: Statistics | None
    ) -> tuple[Tensor, Statistics]:
        """Translate pictures (N,3,H,W in [-1, 1]) in order of time.

        shares: of each picture's own statistics in the smoothed ones; 1 at a cut, 0 for one shown again.
        statistics: of the pictures before; None if there are none.
        """
        for place, norm in enumerate(self._norms):
            norm.shares = shares
            norm.remembered = None if statistics is None else statistics[place].to(self._device)
        with torch.inference_mode():
            output = cast(Tensor, self._network(batch.to(self._device)))
        # A tensor of inference cannot be altered in place outside; a clone can.
        return output.cpu().clone(), tuple(cast(Tensor, norm.remembered) for norm in self._norms)
