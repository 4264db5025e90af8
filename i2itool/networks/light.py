"""A generator that works at a fraction of the picture's size and adds its result to the picture.

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
    """Fold by `factor`, residual trunk, unfold, smooth, plus the input.

    Maps N,3,H,W in [-1, 1] to the same shape and range; H and W multiples of `factor`, and at least twice
    that.
    """

    def __init__(self, *, factor: int = 4, width: int = 64, blocks: int = 6, norm: Norm = "instance") -> None:
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
        self.head = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(width, folded, 3), nn.Tanh())
        self.unfold = nn.PixelShuffle(factor)
        self.smooth = PeriodFilter(factor)

    def forward(self, x: Tensor) -> Tensor:
        """x: N,3,H,W in [-1, 1]; returns the same size."""
        added: Tensor = self.smooth(self.unfold(self.head(self.trunk(self.stem(self.fold(x))))))
        # From -1 to 1 is a way of 2.
        return F.hardtanh(x + 2 * added)


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
