"""A generator that works at a fraction of the picture's size and lays its result over the picture.

Space is folded into channels and unfolded again (Shi et al. 2016, arXiv:1609.05158), so that no layer but a
small filter sees the full size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2itool.networks.blocks import Norm, make_norm, needs_bias
from i2itool.networks.cyclegan import ResnetBlock


class LightGenerator(nn.Module):
    """Fold by `factor`, residual trunk, unfold, smooth; the input is added, and with `gain` scaled before.

    A sum alone would have to know every texture to darken it; light is multiplied by what it falls on.
    Maps N,3,H,W in [-1, 1] to the same shape and range; H and W multiples of `factor`, and at least twice
    that.
    """

    def __init__(
        self,
        *,
        factor: int = 4,
        width: int = 64,
        blocks: int = 6,
        norm: Norm = "instance",
        gain: bool = False,
    ) -> None:
        super().__init__()
        self.multiple_of = factor
        folded = 3 * factor * factor
        self.fold = nn.PixelUnshuffle(factor)
        self.stem = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(folded, width, 3, bias=needs_bias(norm)),
            make_norm(norm, width),
            nn.ReLU(inplace=True),
        )
        self.trunk = nn.Sequential(*[ResnetBlock(width, norm=norm, dropout=False) for _ in range(blocks)])
        self.head = _head(width, factor)
        self.gain_head = _head(width, factor) if gain else None

    def forward(self, x: Tensor) -> Tensor:
        """x: N,3,H,W in [-1, 1]; returns the same size."""
        features = self.trunk(self.stem(self.fold(x)))
        # From -1 to 1 is a way of 2.
        output = x + 2 * self.head(features)
        if self.gain_head is not None:
            # Black stays black, and the rest becomes up to twice as light.
            output = output + (x + 1) * self.gain_head(features)
        return F.hardtanh(output)


def _head(width: int, factor: int) -> nn.Sequential:
    """From features to 3 planes in (-1, 1) at the full size."""
    convolution = nn.Conv2d(width, 3 * factor * factor, 3)
    return nn.Sequential(
        nn.ReflectionPad2d(1), convolution, nn.Tanh(), nn.PixelShuffle(factor), PeriodFilter(factor)
    )


class PeriodFilter(nn.Module):
    """Average over one period of unfolded pixels: nothing that repeats with it gets through.

    Sub-pixels of an unfolded picture come from different weights, and so make a pattern (Sugawara et al.
    2018, arXiv:1806.02658). An even mean has no middle; half a pixel at both ends gives it one.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, period: int, channels: int = 3) -> None:
        super().__init__()
        taps = torch.ones(period + 1 - period % 2)
        if period % 2 == 0:
            taps[0] = taps[-1] = 0.5
        kernel = (taps / taps.sum()).repeat(channels, 1, 1, 1)
        self.register_buffer("rows", kernel, persistent=False)
        self.register_buffer("columns", kernel.transpose(2, 3).contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: N,channels,H,W; returns the same shape."""
        return self.filtered(F.pad(x, (self.rows.shape[-1] // 2,) * 4, mode="reflect"))

    def filtered(self, padded: Tensor) -> Tensor:
        """The same of a picture that has been padded already; returns it without the padding."""
        channels = self.rows.shape[0]
        return F.conv2d(F.conv2d(padded, self.rows, groups=channels), self.columns, groups=channels)
