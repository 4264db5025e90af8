"""Differentiable augmentation of everything that a critic sees (Zhao et al. 2020, arXiv:2006.10738)."""

from __future__ import annotations

import torch
from torch import Tensor


def augment(x: Tensor) -> Tensor:
    """Jitter colour and position, each picture by its own draw from torch's generator.

    x: N,3,H,W in [-1, 1]; the result may leave that range by the change of brightness.
    """
    return translate(adjust_colour(x))


def adjust_colour(x: Tensor) -> Tensor:
    """Random brightness (+-0.5), saturation (0 to 2) and contrast (0.5 to 1.5) for N,3,H,W."""
    brightness, saturation, contrast = torch.rand(3, x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device)
    x = x + (brightness - 0.5)
    gray = x.mean(1, keepdim=True)
    x = (x - gray) * (saturation * 2) + gray
    mean = x.mean((1, 2, 3), keepdim=True)
    adjusted: Tensor = (x - mean) * (contrast + 0.5) + mean
    return adjusted


def translate(x: Tensor, share: float = 0.125) -> Tensor:
    """Shift each picture of N,3,H,W by up to `share` of its sides, zeros coming in."""
    count, _, height, width = x.shape
    rows, row_inside = _shifted(count, height, share, x.device)
    columns, column_inside = _shifted(count, width, share, x.device)
    picture = torch.arange(count, device=x.device)[:, None, None]
    moved = x.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    inside = row_inside[:, None, :, None] & column_inside[:, None, None, :]
    return moved * inside.to(x.dtype)


def _shifted(count: int, size: int, share: float, device: torch.device) -> tuple[Tensor, Tensor]:
    reach = round(size * share)
    shift = torch.randint(-reach, reach + 1, (count, 1), device=device)
    index = torch.arange(size, device=device) + shift
    return index.clamp(0, size - 1), (index >= 0) & (index < size)
