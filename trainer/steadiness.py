"""A loss that makes generators steady: what differs between two frames of a video must not change the style.

Gupta et al. 2017 (arXiv:1705.02092) and ReReVST (Wang et al. 2020) train for video on pictures alone in this
manner: the picture is moved a little, made noisy and compressed, and its translation must only move.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from i2itool.frames import Pixels
from i2itool.pixels import to_network, to_pixels

from .losses import l1

# The noise of a camera in indoor light, of the range from -1 to 1; and JPEG's quality.
_NOISE, _LEAST_QUALITY, _MOST_QUALITY = 0.03, 50, 95
_MOST_SHIFT_PX = 4


def unsteadiness(translate: Callable[[Tensor], Tensor], pictures: Tensor, translated: Tensor) -> Tensor:
    """Mean absolute difference of a translation and that of the same pictures a moment later.

    pictures, translated: N,3,H,W in [-1, 1]; gradients go to both translations.
    Draws from torch's generator.
    """
    shift_x, shift_y = torch.randint(-_MOST_SHIFT_PX, _MOST_SHIFT_PX + 1, (2,)).tolist()
    later = translate(spoilt(shifted(pictures, shift_x, shift_y)))
    border = _MOST_SHIFT_PX
    return l1(
        *(x[..., border:-border, border:-border] for x in (later, shifted(translated, shift_x, shift_y)))
    )


def shifted(pictures: Tensor, x: int, y: int) -> Tensor:
    """N,C,H,W moved to the right and downwards by so many pixels, mirrored at the border."""
    height, width = pictures.shape[-2:]
    wide = F.pad(pictures, (_MOST_SHIFT_PX,) * 4, mode="reflect")
    top, left = _MOST_SHIFT_PX - y, _MOST_SHIFT_PX - x
    return wide[..., top : top + height, left : left + width]


def spoilt(pictures: Tensor) -> Tensor:
    """N,3,H,W in [-1, 1] as a camera and a codec might have had it: noisy, then compressed as JPEG."""
    noise = torch.randn(pictures.shape, dtype=torch.float32) * _NOISE
    height, width = pictures.shape[-2:]
    noisy = pictures.detach().to("cpu", torch.float32) + noise
    qualities = torch.randint(_LEAST_QUALITY, _MOST_QUALITY + 1, (len(pictures),)).tolist()
    levels = to_pixels(noisy, height=height, width=width)
    compressed = [_through_jpeg(one, quality) for one, quality in zip(levels, qualities, strict=True)]
    return to_network(np.stack(compressed)).to(pictures.device, pictures.dtype)


def _through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Of H,W,3 RGB; OpenCV takes and gives BGR, and its codec turns what it stores back."""
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded[..., ::-1], np.uint8)
