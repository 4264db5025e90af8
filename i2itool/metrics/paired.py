"""Scores of a picture against its true counterpart; both H,W,3 uint8 RGB of one size."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.frames import Pixels

# Wang et al. 2004: constants for 8 bits, and the window.
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW, _SIGMA = (11, 11), 1.5


def psnr(x: Pixels, y: Pixels) -> float:
    """Peak signal-to-noise ratio over all channels, in dB; infinite for equal pictures."""
    error = np.mean((x.astype(np.float64) - y.astype(np.float64)) ** 2)
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(x: Pixels, y: Pixels) -> float:
    """Structural similarity of luma (Wang et al. 2004), 1 for equal pictures."""
    a, b = _luma(x), _luma(y)
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a, variance_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    return float((luminance * structure).mean())


def map_accuracy(x: Pixels, y: Pixels, *, tolerance: int = 16) -> float:
    """Share of pixels whose largest channel difference is at most `tolerance` levels (UNIT, section 4)."""
    difference = np.abs(x.astype(np.int16) - y.astype(np.int16)).max(axis=2)
    return float((difference <= tolerance).mean())


def luma_correlation(x: Pixels, y: Pixels) -> float:
    """Correlation of the lumas, -1 to 1; 0 where one is constant. Negative: light and dark are swapped."""
    a, b = (luma - luma.mean() for luma in (_luma(x), _luma(y)))
    scale = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else 0.0


def _luma(picture: Pixels) -> NDArray[np.float64]:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64)


def _blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.GaussianBlur(x, _WINDOW, _SIGMA), np.float64)
