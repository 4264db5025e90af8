"""Pictures to network tensors and back: the only place that knows the range, the layout and the padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from i2itool.frames import AnyPixels, Levels, Pixels

HALF_RANGE_OF_BYTES = 127.5
"""Levels of 8 bits between -1 and 0: level / 127.5 - 1 is what a network eats."""

_TORCH_DTYPES = {np.uint8: torch.uint8, np.uint16: torch.uint16}


def to_network(pixels: AnyPixels, *, multiple_of: int = 1) -> Tensor:
    """Turn pictures into what a network eats.

    pixels: N,H,W,3 uint8 or uint16 RGB.  Returns N,3,H',W' float32, from -1 for level 0 to 1 for the
    highest level, where H' and W' are H and W reflect-padded at the bottom and the right to a multiple of
    `multiple_of`.
    """
    floats = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
    return pad_to_multiple(floats.div_(_half_range(pixels.dtype)).sub_(1.0), multiple_of)


def to_pixels(floats: Tensor, *, height: int, width: int) -> Pixels:
    """Turn a network's output into pictures of 8 bits; the inverse of `to_network`.

    floats: N,3,H',W' in [-1, 1]; what lies outside is clipped, and the padding beyond `height` and
    `width` is cropped away.  Returns N,H,W,3 uint8 RGB, rounded to the nearest level.
    """
    return to_levels(floats, np.uint8, height=height, width=width)


def to_levels(floats: Tensor, dtype: type[Levels], *, height: int, width: int) -> NDArray[Levels]:
    """Turn a network's output into pictures of 8 or 16 bits; as `to_pixels`, but for the dtype."""
    cropped = floats.detach()[:, :, :height, :width].float()
    half = _half_range(np.dtype(dtype))
    levels = cropped.add(1.0).mul_(half).round_().clamp_(0, 2 * half).to(_TORCH_DTYPES[dtype])
    pixels: NDArray[Levels] = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


class OnBytes(nn.Module):
    """A network that takes and gives N,H,W,3 uint8 RGB: as `to_network` and `to_pixels`, within one graph."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: N,H,W,3 uint8; returns the same."""
        half = HALF_RANGE_OF_BYTES
        output = self.network(pixels.permute(0, 3, 1, 2).float().div(half).sub(1.0))
        levels: Tensor = output.float().add(1.0).mul(half).round().clamp(0, 2 * half).to(torch.uint8)
        return levels.permute(0, 2, 3, 1)


class OnUnitRange(nn.Module):
    """A network that takes and gives N,3,H,W from 0 to 1 instead of -1 to 1: what other programs feed one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """x: N,3,H,W float; returns the same."""
        output: Tensor = self.network(x * 2 - 1)
        return (output + 1) / 2


def _half_range(dtype: np.dtype[Any]) -> float:
    """Levels between -1 and 0: half of the highest."""
    return float(np.iinfo(dtype).max) / 2


def padded_size(height: int, width: int, multiple_of: int) -> tuple[int, int]:
    """The smallest multiples of `multiple_of` that hold `height` and `width`, in pixels."""
    return -(-height // multiple_of) * multiple_of, -(-width // multiple_of) * multiple_of


def pad_to_multiple(floats: Tensor, multiple_of: int) -> Tensor:
    """Reflect-pad N,C,H,W at the bottom and the right, so that both sides are multiples of `multiple_of`.

    A picture smaller than its padding is reflected as often as it takes.
    """
    height, width = floats.shape[-2:]
    padded_height, padded_width = padded_size(height, width, multiple_of)
    if (padded_height, padded_width) == (height, width):
        return floats
    if padded_height - height < height and padded_width - width < width:
        return F.pad(floats, (0, padded_width - width, 0, padded_height - height), mode="reflect")
    rows = _reflected(torch.arange(padded_height, device=floats.device), height)
    columns = _reflected(torch.arange(padded_width, device=floats.device), width)
    return floats[:, :, rows][:, :, :, columns]


def pad_pixels(pixels: NDArray[Levels], multiple_of: int) -> NDArray[Levels]:
    """Reflect-pad N,H,W,3 pictures as `pad_to_multiple` does, before they are floats.

    Pictures that need none are given back as they are.
    """
    height, width = pixels.shape[1:3]
    padded_height, padded_width = padded_size(height, width, multiple_of)
    if (padded_height, padded_width) == (height, width):
        return pixels
    rows = _reflected(torch.arange(padded_height), height).numpy()
    columns = _reflected(torch.arange(padded_width), width).numpy()
    return pixels[:, rows][:, :, columns]


def _reflected(index: Tensor, size: int) -> Tensor:
    """Fold indices beyond `size` back and forth, without repeating the border."""
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    folded = index % period
    return torch.where(folded < size, folded, period - folded)
