"""HDR to SDR: ITU-R BT.2390's roll-off towards the white of an SDR screen, in light rather than in levels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.frames import AnyPixels, DeepPixels
from i2itool.video.color import BT709, LIMITED_RANGE, PQ, ColorTags

SDR_TAGS = ColorTags(matrix=BT709, color_range=LIMITED_RANGE, primaries=1, transfer=1)

# Luminance in cd/m2: what most HDR is graded for and BT.2100 takes for HLG; white of SDR by BT.2408, so
# that faces and paper keep their brightness; the end of PQ's scale.
SOURCE_PEAK, SDR_WHITE, PQ_PEAK = 1000.0, 203.0, 10000.0
# SMPTE ST 2084.
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# ARIB STD-B67 and its system gamma at 1000 cd/m2, BT.2100 table 5.
_A, _B, _C, _HLG_GAMMA = 0.17883277, 0.28466892, 0.55991073, 1.2
_LUMA_BT2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
# Linear light of BT.2020 to that of BT.709, BT.2087 annex 2 (rounded there to four digits, too).
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
# Of SDR screens, BT.1886.
_SDR_GAMMA = 2.4
_NUM_GAINS = 4096

Light = NDArray[np.float32]


class ToneMap:
    """Makes SDR pictures of HDR ones: RGB in BT.709, for a screen of gamma 2.4.

    transfer: 16 for PQ, 18 for HLG, as in H.273. Levels become light (cd/m2); each pixel is dimmed by the
    factor that BT.2390 gives for its brightest channel, so that hues stay; then BT.2020 becomes BT.709,
    what lies outside is clipped, and 203 cd/m2 becomes white.
    """

    def __init__(self, transfer: int) -> None:
        levels = np.arange(2**16) / (2**16 - 1)
        self._is_pq = transfer == PQ
        self._light = (pq_to_light(levels) if self._is_pq else hlg_to_scene(levels)).astype(np.float32)
        # Even steps of the fourth root follow the eye about as PQ does.
        steps = np.linspace(0, 1, _NUM_GAINS)
        light = np.maximum(steps**4 * PQ_PEAK, 1e-6)
        self._gains = (rolled_off(light) / light).astype(np.float32)

    def __call__(self, pixels: AnyPixels) -> DeepPixels:
        """H,W,3 uint16 RGB in SDR from H,W,3 RGB in HDR, uint8 or uint16."""
        deep = pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * np.uint16(257)
        light = self._light[deep]
        if not self._is_pq:
            # The system gamma works on the luminance of the scene.
            scene = np.maximum(light @ _LUMA_BT2020, 1e-6)[..., None]
            light *= SOURCE_PEAK * scene ** (_HLG_GAMMA - 1)
        brightest = np.sqrt(np.sqrt(light.max(axis=-1) / PQ_PEAK))
        gains = np.interp(brightest, np.linspace(0, 1, _NUM_GAINS), self._gains).astype(np.float32)
        linear = cv2.transform(light * (gains[..., None] / SDR_WHITE), _TO_BT709)
        screen = cv2.pow(np.clip(linear, 0, 1), 1 / _SDR_GAMMA)
        return np.rint(screen * (2**16 - 1)).astype(np.uint16)


def pq_to_light(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Luminance in cd/m2 of PQ levels in [0, 1]; SMPTE ST 2084, the EOTF."""
    root = np.power(levels, 1 / _M2)
    return PQ_PEAK * np.power(np.maximum(root - _C1, 0) / (_C2 - _C3 * root), 1 / _M1)


def light_to_pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ levels in [0, 1] of luminance in cd/m2; the inverse of `pq_to_light`."""
    root = np.power(light / PQ_PEAK, _M1)
    return np.power((_C1 + _C2 * root) / (1 + _C3 * root), _M2)


def hlg_to_scene(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of the scene in [0, 1] of HLG levels in [0, 1]; BT.2100 table 5, the inverse OETF."""
    return np.where(levels <= 0.5, levels**2 / 3, (np.exp((levels - _C) / _A) + _B) / 12)


def rolled_off(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Luminance on an SDR screen, up to `SDR_WHITE`, of luminance up to `SOURCE_PEAK`, both in cd/m2.

    BT.2390, 5.4.1: in PQ levels relative to the source's peak, nothing changes up to a knee; beyond it a
    Hermite spline leads to the screen's peak. What is brighter than the source's peak becomes white.
    """
    peak = float(light_to_pq(np.array(SOURCE_PEAK)))
    level = np.minimum(light_to_pq(light) / peak, 1.0)
    highest = float(light_to_pq(np.array(SDR_WHITE))) / peak
    knee = 1.5 * highest - 0.5
    t = np.maximum(level - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * highest
    )
    return pq_to_light(np.where(level < knee, level, spline) * peak)
