"""How pictures are varied while a classifier learns their names: what changes no name.

Each picture by its own draw from torch's generator, which the training loop seeds at every step.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor


def vary(x: Tensor, kinds: Iterable[str]) -> Tensor:
    """Vary N,3,H,W in [-1, 1] by each of `kinds` in turn; the same shape and range."""
    for kind in kinds:
        x = VARIATIONS[kind](x)
    return x


def warp(x: Tensor, *, strength: float = 0.1, share: float = 0.125) -> Tensor:
    """Turn, shear, stretch and shift each picture; what comes in from outside repeats the border.

    strength: deviation of each entry of the 2x2 matrix from the identity, as in French et al. 2018
    (arXiv:1706.05208).  share: of its sides, by which a picture is shifted at most.
    """
    matrix = torch.eye(2, device=x.device) + strength * torch.randn(len(x), 2, 2, device=x.device)
    # The grid is two units wide.
    shift = 2 * share * (2 * torch.rand(len(x), 2, 1, device=x.device) - 1)
    grid = F.affine_grid(torch.cat([matrix, shift], 2), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def vary_strokes(x: Tensor) -> Tensor:
    """Blur a quarter of the pictures, let what is light grow in another, and what is dark in a third.

    What four do not divide goes to the first of these.
    """
    varied = x.clone()
    blurred, grown, shrunk, _ = torch.randperm(len(x), device=x.device).tensor_split(4)
    varied[blurred] = _blur(_blur(x[blurred]))
    varied[grown] = F.max_pool2d(x[grown], 3, 1, 1)
    varied[shrunk] = -F.max_pool2d(-x[shrunk], 3, 1, 1)
    return varied


def _blur(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def vary_contrast(x: Tensor) -> Tensor:
    """Contrast from half to one and a half, then brightness by up to 0.3 either way."""
    gain, offset = torch.rand(2, len(x), 1, 1, 1, device=x.device)
    varied: Tensor = x * (0.5 + gain) + (0.6 * offset - 0.3)
    return varied.clamp(-1, 1)


def recolour(x: Tensor) -> Tensor:
    """Give black and white each a colour drawn at random, and what lies between the colours between."""
    black, white = 2 * torch.rand(2, len(x), 3, 1, 1, device=x.device) - 1
    recoloured: Tensor = black + (x + 1) / 2 * (white - black)
    return recoloured


def difference(x: Tensor) -> Tensor:
    """The absolute difference of each picture, 0 to 1, and a colour drawn at random.

    Black becomes the colour and white its negative; between them lies a dark edge where they are alike.
    """
    colour = torch.rand(len(x), 3, 1, 1, device=x.device)
    differing: Tensor = 2 * ((x + 1) / 2 - colour).abs() - 1
    return differing


VARIATIONS = {
    "warp": warp,
    "strokes": vary_strokes,
    "contrast": vary_contrast,
    "colours": recolour,
    "difference": difference,
}
