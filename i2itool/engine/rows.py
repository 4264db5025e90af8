"""Layers a few rows at a time: each asks for the rows of its input that some rows of its output hang on.

What comes out is what the layer gives on the whole picture, so that rows put together have no seams. Only
normalisations look at more than a neighbourhood: their statistics are those of the whole picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2itool.networks.blocks import InstanceNorm, LayerNorm
from i2itool.networks.light import PeriodFilter

# Rows `first` to before `last` of a layer's input, 1,C,last-first,W.
Fetch = Callable[[int, int], Tensor]
# Mean and reciprocal deviation, each 1,C,1,1 or 1,1,1,1.
Statistics = tuple[Tensor, Tensor]

_PLAIN = (
    nn.ReflectionPad2d,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
    PeriodFilter,
    nn.ReLU,
    nn.LeakyReLU,
    nn.Tanh,
    nn.Dropout,
    nn.Identity,
    nn.BatchNorm2d,
)


def is_norm(layer: nn.Module) -> bool:
    """Whether a layer needs the statistics of the whole picture."""
    return isinstance(layer, InstanceNorm | nn.InstanceNorm2d | LayerNorm)


def complaint(layer: nn.Module) -> str | None:
    """Why a layer cannot be run by rows; None if it can."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        is_plain = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        return None if is_plain else f"{type(layer).__name__} with padding {layer.padding_mode}"
    if isinstance(layer, nn.Upsample):
        is_plain = layer.mode == "nearest" and layer.scale_factor == 2
        return None if is_plain else "enlarging in any other way than by nearest neighbour to the double"
    if isinstance(layer, nn.InstanceNorm2d) and layer.track_running_stats:
        return "InstanceNorm with running statistics"
    is_known = isinstance(layer, _PLAIN) or is_norm(layer)
    return None if is_known else type(layer).__name__


def shape_after(layer: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """N,C,H,W of what a layer gives for an input of such a shape; the layer is one without `complaint`."""
    count, channels, *sides = shape
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        assert not isinstance(layer.padding, str)
        channels = layer.out_channels
        for axis, side in enumerate(sides):
            reach, stride = layer.dilation[axis] * (layer.kernel_size[axis] - 1), layer.stride[axis]
            around = 2 * layer.padding[axis]
            if isinstance(layer, nn.ConvTranspose2d):
                sides[axis] = (side - 1) * stride - around + reach + layer.output_padding[axis] + 1
            else:
                sides[axis] = (side + around - reach - 1) // stride + 1
    elif isinstance(layer, nn.ReflectionPad2d):
        left, right, top, bottom = layer.padding
        sides = [sides[0] + top + bottom, sides[1] + left + right]
    elif isinstance(layer, nn.Upsample):
        sides = [2 * side for side in sides]
    elif isinstance(layer, nn.PixelShuffle):
        channels //= layer.upscale_factor**2
        sides = [side * layer.upscale_factor for side in sides]
    elif isinstance(layer, nn.PixelUnshuffle):
        channels *= layer.downscale_factor**2
        sides = [side // layer.downscale_factor for side in sides]
    return (count, channels, *sides)


def compute(layer: nn.Module, fetch: Fetch, height: int, first: int, last: int) -> Tensor:
    """Rows `first` to before `last` of what a layer gives; a norm's are computed by `normalise`.

    height: of the layer's whole input.
    """
    if isinstance(layer, nn.ConvTranspose2d):
        return _transposed(layer, fetch, height, first, last)
    if isinstance(layer, nn.Conv2d):
        return _convolved(layer, fetch, height, first, last)
    if isinstance(layer, nn.ReflectionPad2d):
        return _reflected(layer, fetch, height, first, last)
    if isinstance(layer, PeriodFilter):
        reach = layer.rows.shape[-1] // 2
        padded = _mirrored(fetch, height, first - reach, last + reach)
        return layer.filtered(F.pad(padded, (reach, reach, 0, 0), mode="reflect"))
    if isinstance(layer, nn.PixelUnshuffle):
        factor = layer.downscale_factor
        folded: Tensor = layer(fetch(first * factor, last * factor))
        return folded
    if isinstance(layer, nn.PixelShuffle):
        factor = layer.upscale_factor
        skipped = first % factor
        unfolded: Tensor = layer(fetch(first // factor, -(-last // factor)))
        return unfolded[:, :, skipped : skipped + last - first]
    if isinstance(layer, nn.Upsample):
        doubled: Tensor = layer(fetch(first // 2, (last + 1) // 2))
        return doubled[:, :, first % 2 : first % 2 + last - first]
    output: Tensor = layer(fetch(first, last))
    return output


def _convolved(layer: nn.Conv2d, fetch: Fetch, height: int, first: int, last: int) -> Tensor:
    assert not isinstance(layer.padding, str)
    stride, (pad, pad_columns) = layer.stride[0], layer.padding
    reach = layer.dilation[0] * (layer.kernel_size[0] - 1) + 1
    start, stop = first * stride - pad, (last - 1) * stride - pad + reach
    rows = fetch(max(0, start), min(height, stop))
    rows = F.pad(rows, (0, 0, max(0, -start), max(0, stop - height)))
    padding = (0, pad_columns)
    return F.conv2d(rows, layer.weight, layer.bias, layer.stride, padding, layer.dilation, layer.groups)


def _transposed(layer: nn.ConvTranspose2d, fetch: Fetch, height: int, first: int, last: int) -> Tensor:
    assert not isinstance(layer.padding, str)
    stride, (pad, pad_columns) = layer.stride[0], layer.padding
    reach = layer.dilation[0] * (layer.kernel_size[0] - 1) + 1
    start = max(0, math.ceil((first + pad - reach + 1) / stride))
    stop = min(height, (last - 1 + pad) // stride + 1)
    output = F.conv_transpose2d(
        fetch(start, stop),
        layer.weight,
        layer.bias,
        layer.stride,
        (0, pad_columns),
        (0, layer.output_padding[1]),
        layer.groups,
        layer.dilation,
    )
    skipped = first - (start * stride - pad)
    rows = output[:, :, skipped : skipped + last - first]
    # A kernel as small as its stride does not reach the rows that `output_padding` adds.
    missing = last - first - rows.shape[2]
    if missing:
        empty = torch.zeros_like(rows[:, :, :1]).expand(-1, -1, missing, -1)
        rows = torch.cat([rows, empty if layer.bias is None else empty + layer.bias.view(1, -1, 1, 1)], 2)
    return rows


def _reflected(layer: nn.ReflectionPad2d, fetch: Fetch, height: int, first: int, last: int) -> Tensor:
    left, right, top, _ = layer.padding
    rows = _mirrored(fetch, height, first - top, last - top)
    return F.pad(rows, (left, right, 0, 0), mode="reflect")


def _mirrored(fetch: Fetch, height: int, first: int, last: int) -> Tensor:
    """Rows from before the first or from behind the last are those on the other side of it."""
    index = torch.arange(first, last).abs()
    index = torch.where(index < height, index, 2 * (height - 1) - index)
    start, stop = int(index.min()), int(index.max()) + 1
    rows = fetch(start, stop)
    return rows[:, :, index.to(rows.device) - start]


class Sums:
    """Statistics of a picture, gathered from its rows in float64."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        # Of each channel alone, or of all together.
        self._axes = (1, 2, 3) if isinstance(layer, LayerNorm) else (2, 3)
        self._sum: Tensor | float = 0.0
        self._squares: Tensor | float = 0.0
        self._count = 0

    def add(self, rows: Tensor) -> None:
        """Count some rows in."""
        floats = rows.float()
        self._sum = self._sum + floats.sum(self._axes, keepdim=True, dtype=torch.float64)
        self._squares = self._squares + floats.square().sum(self._axes, keepdim=True, dtype=torch.float64)
        self._count += math.prod(rows.shape[axis] for axis in self._axes)

    def statistics(self) -> Statistics:
        """Of all rows counted in, as the layer takes them."""
        assert isinstance(self._sum, Tensor)
        assert isinstance(self._squares, Tensor)
        mean = self._sum / self._count
        variance = (self._squares / self._count - mean.square()).clamp(min=0)
        if isinstance(self._layer, LayerNorm):
            deviation = (variance * self._count / (self._count - 1)).sqrt() + self._layer.eps
        else:
            assert isinstance(self._layer, nn.InstanceNorm2d)
            deviation = (variance + self._layer.eps).sqrt()
        return mean.float(), (1 / deviation).float()


def normalise(layer: nn.Module, rows: Tensor, statistics: Statistics) -> Tensor:
    """Rows of what a norm gives, by the statistics of the whole picture."""
    mean, scale = statistics
    output = (rows - mean).mul_(scale)
    if isinstance(layer, LayerNorm):
        weight, bias = layer.gamma, layer.beta
    else:
        assert isinstance(layer, nn.InstanceNorm2d)
        weight, bias = layer.weight, layer.bias
    if weight is not None:
        output.mul_(weight.view(1, -1, 1, 1)).add_(bias.view(1, -1, 1, 1))
    return output
