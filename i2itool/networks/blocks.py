"""The layers that several generators share."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["instance", "instance_affine", "batch"]
Upsample = Literal["transpose", "resize"]


class InstanceNorm(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d`, faster in training on a CPU, and right.

    PyTorch's own leaves the channels-last layout and so copies every tensor twice; and its gradient is wrong
    there (2.13, one picture) if what arrives from the next layer is in that layout. Batch normalisation of
    one picture at a time is the same function and does neither.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W; returns the same shape, each channel of each picture normalised."""
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        pictures = [
            F.batch_norm(picture, None, None, self.weight, self.bias, training=True, eps=self.eps)
            for picture in torch.split(x, 1)
        ]
        return pictures[0] if len(pictures) == 1 else torch.cat(pictures)


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """The normalisation layer called `norm` for N,C,H,W with `channels` channels."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return InstanceNorm(channels, affine=norm == "instance_affine")


def needs_bias(norm: Norm) -> bool:
    """Whether a convolution before `norm` has a bias; BatchNorm brings its own."""
    return norm != "batch"


class ResizeConv(nn.Sequential):
    """Double the size by nearest neighbour, then convolve: no checkerboard (Odena et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.ReflectionPad2d(1),
            nn.Conv2d(in_channels, out_channels, 3, bias=bias),
        )


def upsampling(kind: Upsample, in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Module:
    """A layer that doubles height and width: the papers' transposed convolution, or resize + convolution."""
    if kind == "resize":
        return ResizeConv(in_channels, out_channels, bias=bias)
    return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=bias)


class LayerNorm(nn.Module):
    """Normalise each picture over C,H,W, then scale and shift each channel (UNIT 2018).

    The unbiased deviation is taken, and `eps` is added to it, not to the variance. Statistics are
    float32 in every precision, written as a mean of squares: TensorRT then keeps the network in one engine.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.rand(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W; returns the same shape and dtype."""
        floats = x.float()
        count = x.shape[1] * x.shape[2] * x.shape[3]
        centred = floats - floats.mean((1, 2, 3), keepdim=True)
        variance = (centred * centred).mean((1, 2, 3), keepdim=True) * (count / (count - 1))
        normal = (centred / (variance.sqrt() + self.eps)).to(x.dtype)
        return normal * self.gamma.view(1, -1, 1, 1) + self.beta.view(1, -1, 1, 1)
