"""The simplest smoother: an exponential mean of the outputs. It ghosts wherever something moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2itool.frames import AnyPixels
from i2itool.temporal.tracking import Tracked

# At 25 frames a second the newest frame weighs 0.3.
_SECONDS = 0.112


@dataclass(frozen=True, slots=True)
class EmaMemory:
    """mean: H,W,3 float32, in levels of the output."""

    mean: NDArray[np.float32]


class Ema:
    """A `Smoother`. strength: times the length of the mean."""

    def __init__(self, strength: float) -> None:
        self._seconds = strength * _SECONDS

    def start(self, tracked: Tracked, output: AnyPixels) -> EmaMemory:  # noqa: ARG002 - as every smoother
        """What the first frame of a scene leaves behind."""
        return EmaMemory(output.astype(np.float32))

    def follow(self, tracked: Tracked, output: AnyPixels, memory: EmaMemory) -> tuple[AnyPixels, EmaMemory]:
        """Blend a frame with the mean of those before it."""
        share = np.float32(-math.expm1(-tracked.seconds / self._seconds))
        mean = memory.mean + share * (output - memory.mean)
        return np.rint(mean).astype(output.dtype), EmaMemory(mean)
