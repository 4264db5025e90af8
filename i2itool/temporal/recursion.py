"""The default smoother: a running mean along the motion, of what the input does not explain by itself.

Each output is locally an affine function of the input's brightness, P = A Y + b, and a residual. A and b are
averaged over time on a coarse grid and put onto today's input: what they carry cannot ghost, is never
resampled, and follows fades. Only the residual is averaged along the motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from i2itool.frames import AnyPixels
from i2itool.temporal.motion import Motion, pull
from i2itool.temporal.parts import Parts, Planes, apply, changed, color_change, take_apart, window_mean
from i2itool.temporal.scaling import Field, coarsen, luma, refine
from i2itool.temporal.tracking import Tracked

# Of the mean of the residual, and of that of the coefficients, which cannot ghost and may be longer.
_RESIDUAL_SECONDS, _AFFINE_SECONDS = 0.33, 0.67
# What averaging and resampling take from the fine structure is given back, up to this factor; a new gain
# counts by this share, or the sharpness itself would flicker.
_MOST_GAIN, _FINE_PX, _GAIN_SHARE = 1.5, 5, 0.2

_Places = tuple[Field, Field]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is carried from one frame to the next; all float32, in levels of 8 bits.

    affine: 6,gh,gw: A and b of Y, of R - Y and of B - Y.  affine_age: gh,gw seconds.
    brightness: H,W: the residual of Y.  color: 2,h,w: those of R - Y and B - Y, on the work grid.
    age: h,w seconds, of the residuals.  gain: gh,gw.
    """

    affine: Planes
    affine_age: Field
    brightness: Field
    color: Planes
    age: Field
    gain: Field


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A frame that was remembered, and the motion from the present one to it."""

    memory: Memory
    motion: Motion


class Recursion:
    """A `Smoother`. strength: times the lengths of the means."""

    def __init__(self, strength: float) -> None:
        self._affine_seconds = strength * _AFFINE_SECONDS
        self._residual_seconds = strength * _RESIDUAL_SECONDS

    def start(self, tracked: Tracked, output: AnyPixels) -> Memory:
        """What the first frame of a scene leaves behind."""
        parts = take_apart(tracked.seen.look, luma(tracked.frame.pixels), output)
        age = np.float32(tracked.seconds)
        ages = (np.full(plane.shape, age) for plane in (parts.affine[0], parts.color[0]))
        affine_age, residual_age = ages
        gain = np.ones_like(affine_age)
        return Memory(parts.affine, affine_age, parts.brightness, parts.color, residual_age, gain)

    def follow(self, tracked: Tracked, output: AnyPixels, memory: Memory) -> tuple[AnyPixels, Memory]:
        """Blend a frame with what is remembered, along its motion."""
        assert tracked.motion is not None
        return self.blend(tracked, output, [Neighbour(memory, tracked.motion)])

    def blend(
        self, tracked: Tracked, output: AnyPixels, neighbours: Sequence[Neighbour]
    ) -> tuple[AnyPixels, Memory]:
        """Blend a translated frame with its neighbours; also gives what it leaves behind."""
        look, brightness = tracked.seen.look, luma(tracked.frame.pixels)
        parts = take_apart(look, brightness, output)
        affine, affine_age = self._mean_affine(parts, neighbours, tracked.seconds)
        fine, color, age = self._mean_residual(parts, neighbours, tracked.seconds)

        smoothed = apply(affine[:2], brightness)
        cv2.add(smoothed, fine, dst=smoothed)
        structure = _structure(smoothed)
        gain = _gain(_structure(parts.luma), structure, neighbours)
        # Sharpen, and take the difference to what there is.
        cv2.multiply(structure, refine(gain - 1, structure.shape), dst=structure)
        cv2.add(smoothed, structure, dst=smoothed)
        change = np.asarray(cv2.subtract(smoothed, parts.luma, dst=smoothed), np.float32)
        tint = color_change(look, affine - parts.affine, color - parts.color)
        new = Memory(affine, affine_age, fine, color, age, gain)
        return changed(output, change, tint), new

    def _mean_affine(
        self, parts: Parts, neighbours: Sequence[Neighbour], seconds: float
    ) -> tuple[Planes, Field]:
        """The mean of the coefficients; it would be the same for a picture that is made of them alone."""
        grid = parts.affine[0].shape
        places = [neighbour.motion.places(grid) for neighbour in neighbours]
        ages = [pull(item.memory.affine_age, there) for item, there in zip(neighbours, places, strict=True)]
        sure = [coarsen(neighbour.motion.confidence, grid) for neighbour in neighbours]
        shares, age = _shares(ages, sure, seconds, self._affine_seconds)
        before = [neighbour.memory.affine for neighbour in neighbours]
        return _mean(parts.affine, before, places, shares), age

    def _mean_residual(
        self, parts: Parts, neighbours: Sequence[Neighbour], seconds: float
    ) -> tuple[Field, Planes, Field]:
        work, size = parts.color[0].shape, parts.brightness.shape
        places = [neighbour.motion.places(work) for neighbour in neighbours]
        ages = [pull(item.memory.age, there) for item, there in zip(neighbours, places, strict=True)]
        sure = [neighbour.motion.confidence for neighbour in neighbours]
        shares, age = _shares(ages, sure, seconds, self._residual_seconds)
        color = _mean(parts.color, [neighbour.memory.color for neighbour in neighbours], places, shares)
        fine = parts.brightness.copy()
        for neighbour, share in zip(neighbours, shares, strict=True):
            # Of all that is smoothed only this is large, and its sharpness is seen: work in place, and cubic.
            pulled = pull(neighbour.memory.brightness, neighbour.motion.places(size), is_cubic=True)
            cv2.subtract(pulled, parts.brightness, dst=pulled)
            cv2.multiply(pulled, refine(share, size), dst=pulled)
            cv2.add(fine, pulled, dst=fine)
        return fine, color, age


def _shares(
    ages: Sequence[Field], sure: Sequence[Field], seconds: float, longest: float
) -> tuple[list[Field], Field]:
    """The share of each neighbour in the mean, and the age of that: time is what is averaged over."""
    kept = [
        confidence * np.minimum(age, np.float32(longest)) for age, confidence in zip(ages, sure, strict=True)
    ]
    age = np.asarray(sum(kept, np.full_like(kept[0], seconds)), np.float32)
    return [one / age for one in kept], age


def _mean(
    today: Planes, before: Sequence[Planes], places: Sequence[_Places], shares: Sequence[Field]
) -> Planes:
    mean = today.copy()
    for planes, there, share in zip(before, places, shares, strict=True):
        for new, now, old in zip(mean, today, planes, strict=True):
            new += share * (pull(old, there) - now)
    return mean


def _gain(today: Field, smoothed: Field, neighbours: Sequence[Neighbour]) -> Field:
    """By how much the structure of the mean must grow to be that of what it is the mean of; gh,gw."""
    grid = neighbours[0].memory.gain.shape
    wanted, found = (window_mean(np.square(structure), grid) + 1e-3 for structure in (today, smoothed))
    gain = np.clip(np.sqrt(wanted / found), 1, _MOST_GAIN).astype(np.float32)
    motion, memory = neighbours[0].motion, neighbours[0].memory
    share = (1 - _GAIN_SHARE) * coarsen(motion.confidence, grid)
    gain += share * (pull(memory.gain, motion.places(grid)) - gain)
    return gain


def _structure(field: Field) -> Field:
    """The finest structure: what a blur takes away."""
    blurred = np.asarray(cv2.blur(field, (_FINE_PX, _FINE_PX)), np.float32)
    return np.asarray(cv2.subtract(field, blurred, dst=blurred), np.float32)
