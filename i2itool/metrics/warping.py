"""How much a video flickers: the error that is left when each frame is warped onto the one before.

Lai et al. 2018 (arXiv:1808.00449), section 4. The flow is Farneback's, on the input, and none that a smoother
of ours uses, or a method could please its own judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.frames import AnyPixels

Floats = NDArray[np.float32]

# The flow is found on pictures of such a long side at most; errors are measured at full size.
FLOW_PX = 640
# Two frames are of different scenes with less than this to compare, or with a larger error of the input: 25
# levels in each channel.
_LEAST_SHARE, _MOST_ERROR = 0.2, 0.03


@dataclass(frozen=True, slots=True)
class Correspondence:
    """Where the pixels of a frame are in the next one.

    columns, rows: H,W float32.  mask: H,W float32, 1 where they are in sight and clear of the borders of
    motion.  error: E_warp of the input.
    """

    columns: Floats
    rows: Floats
    mask: Floats
    error: float

    @property
    def is_cut(self) -> bool:
        """Whether the frames are of different scenes, which says nothing of flicker."""
        return float(self.mask.mean()) < _LEAST_SHARE or self.error > _MOST_ERROR


def correspondence(first: AnyPixels, second: AnyPixels) -> Correspondence:
    """The way from a frame of the input to the next one; both H,W,3 RGB, uint8 or uint16."""
    height, width = first.shape[:2]
    scale = min(1.0, FLOW_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grays = [_gray(frame, size) for frame in (first, second)]
    forward, backward = _farneback(*grays), _farneback(*reversed(grays))
    columns, rows = _places(forward)
    there_and_back = np.dstack([_pull(backward[..., i], columns, rows) for i in (0, 1)])
    is_inside = (columns >= 0) & (columns <= size[0] - 1) & (rows >= 0) & (rows <= size[1] - 1)
    mask = is_inside & ~_is_hidden(forward, there_and_back) & ~_is_border(forward)
    full = np.asarray(cv2.resize(forward, (width, height)), np.float32)
    full *= np.array([width / size[0], height / size[1]], np.float32)
    large = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    places, shown = _places(full), np.asarray(large, np.float32)
    return Correspondence(*places, shown, _error(first, second, places, shown))


def warping_error(first: AnyPixels, second: AnyPixels, way: Correspondence) -> float:
    """Mean squared difference of a frame and the next one warped onto it; levels in [0, 1]."""
    return _error(first, second, (way.columns, way.rows), way.mask)


def gradient_energy(frame: AnyPixels) -> float:
    """Sum of the squared differences of neighbouring pixels; levels in [0, 1]."""
    unit = _unit(frame)
    return float(np.square(np.diff(unit, axis=0)).sum() + np.square(np.diff(unit, axis=1)).sum())


def color_jitter(scenes: Sequence[NDArray[np.float64]]) -> float:
    """Root mean square of the second difference of frames' mean colours.

    scenes: N,3 in levels of 8 bits each, of the frames between two cuts: a cut is no jitter.
    """
    differences = [np.diff(means, n=2, axis=0) for means in scenes if len(means) > 2]
    return float(np.sqrt(np.square(np.concatenate(differences)).mean())) if differences else 0.0


def _error(first: AnyPixels, second: AnyPixels, places: tuple[Floats, Floats], mask: Floats) -> float:
    before, after = _unit(first), _unit(second)
    squares = np.zeros_like(mask)
    for i in range(3):
        squares += np.square(_pull(after[..., i], *places) - before[..., i])
    return float((mask * squares).sum() / max(float(mask.sum()), 1.0))


def _is_hidden(forward: Floats, there_and_back: Floats) -> NDArray[np.bool_]:
    """Occlusion where the two flows do not cancel (Ruder et al. 2016, section 4)."""
    lengths = np.square(forward).sum(-1) + np.square(there_and_back).sum(-1)
    hidden: NDArray[np.bool_] = np.square(there_and_back + forward).sum(-1) > 0.01 * lengths + 0.5
    return hidden


def _is_border(forward: Floats) -> NDArray[np.bool_]:
    """The borders of motion, where flows are unreliable (the same)."""
    slopes = [
        np.gradient(forward[..., i], axis=axis) for i in (0, 1) for axis in (0, 1) if forward.shape[axis] > 1
    ]
    steep = sum(np.square(slope) for slope in slopes)
    border: NDArray[np.bool_] = steep > 0.01 * np.square(forward).sum(-1) + 0.002
    return border


def _farneback(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Floats:
    start = np.zeros((*first.shape, 2), np.float32)
    return np.asarray(
        cv2.calcOpticalFlowFarneback(first, second, start, 0.5, 5, 15, 3, 7, 1.5, 0), np.float32
    )


def _gray(frame: AnyPixels, size: tuple[int, int]) -> NDArray[np.uint8]:
    gray = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return (small if small.dtype == np.uint8 else np.rint(small / 257)).astype(np.uint8)


def _places(flow: Floats) -> tuple[Floats, Floats]:
    height, width = flow.shape[:2]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(flow[..., 0] + columns, np.float32), np.asarray(flow[..., 1] + rows, np.float32)


def _pull(plane: Floats, columns: Floats, rows: Floats) -> Floats:
    plane = np.ascontiguousarray(plane)
    pulled = cv2.remap(plane, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(pulled, np.float32)


def _unit(frame: AnyPixels) -> Floats:
    return np.asarray(frame, np.float32) / np.float32(np.iinfo(frame.dtype).max)
