"""Moving pictures with a known motion, and a network that flickers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.frames import AnyPixels, Frame
from i2itool.temporal.stream import Smoothing, Steadied, open_smoothing
from i2itool.temporal.tracking import track_all

TICK = Fraction(1, 1200)
SIZE = 72, 96


def texture(seed: int = 0) -> NDArray[np.float32]:
    """A picture of many scales, larger than a frame; float32 from 0 to 255."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(
            random.normal(size=(side, side, 3)).astype(np.float32), (300, 300), interpolation=cv2.INTER_CUBIC
        )
        for side in (6, 20, 60)
    ]
    layers = [layer * weight for layer, weight in zip(layers, (40, 25, 12), strict=True)]
    return np.clip(sum(layers) + 120, 0, 255).astype(np.float32)


def scene(
    num_frames: int, *, speed: float = 1.5, seed: int = 0, size: tuple[int, int] = SIZE
) -> list[AnyPixels]:
    """Frames of a camera that moves over a texture, by so many pixels a frame."""
    canvas, (height, width) = texture(seed), size
    frames: list[AnyPixels] = []
    for i in range(num_frames):
        move = np.array([[1, 0, -20 - i * speed], [0, 1, -20 - i * speed / 2]], np.float32)
        moved = cv2.warpAffine(canvas, move, (width, height), borderMode=cv2.BORDER_REFLECT)
        frames.append(np.rint(moved).clip(0, 255).astype(np.uint8))
    return frames


def steady_truth(frames: Sequence[AnyPixels]) -> list[AnyPixels]:
    """A translation without flicker: a fixed map of colours, as of a night."""
    made = []
    for frame in frames:
        share = frame / np.iinfo(frame.dtype).max
        night = (0.55 * share**1.3 + 0.2 * share.mean(-1, keepdims=True) ** 2) * (0.7, 0.8, 1.1)
        made.append(np.rint(night.clip(0, 1) * np.iinfo(frame.dtype).max).astype(frame.dtype))
    return made


def with_flicker(truth: Sequence[AnyPixels], seed: int = 1) -> list[AnyPixels]:
    """The same with other brightness, other hues and other texture in each frame."""
    random, made = np.random.default_rng(seed), []
    for frame in truth:
        top = np.iinfo(frame.dtype).max
        height, width = frame.shape[:2]
        gain, hue = 1 + 0.06 * random.normal(), 1 + 0.03 * random.normal(size=3)
        cloud = cv2.resize(
            random.normal(size=(4, 5, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        grain = random.normal(size=frame.shape)
        changed = frame * gain * hue + (4 * cloud.reshape(frame.shape) + 4 * grain) * (top / 255)
        made.append(np.rint(changed.clip(0, top)).astype(frame.dtype))
    return made


def as_frames(
    pixels: Sequence[AnyPixels], pts: Sequence[int] | None = None, duration: int = 48
) -> list[Frame]:
    """Frames at 25 a second, or at other stamps."""
    stamps = range(0, 48 * len(pixels), 48) if pts is None else pts
    return [Frame(one, stamp, TICK, duration) for one, stamp in zip(pixels, stamps, strict=True)]


def run(
    inputs: Sequence[Frame], outputs: Sequence[AnyPixels], smoothing: Smoothing | None = None, **keywords: Any
) -> list[Steadied]:
    """Smooth outputs; keywords: of `Smoothing.run`."""
    smoothing = smoothing or open_smoothing("recursion")
    assert smoothing is not None
    carry = keywords.get("carry")
    tracked = track_all(inputs, None if carry is None else carry.seen)
    return list(smoothing.run(zip(tracked, outputs, strict=True), **keywords))


def pixels_of(steadied: Sequence[Steadied]) -> NDArray[Any]:  # Any: of 8 or 16 bits
    return np.stack([item.frame.pixels for item in steadied])


def psnr(first: NDArray[Any], second: NDArray[Any]) -> float:
    """In dB, of pixels of 8 bits."""
    error = np.square(first.astype(np.float64) - second).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
