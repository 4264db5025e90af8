"""The default smoother: a running mean along the motion, of what the input does not explain by itself.

Each output is locally an affine function of the input's brightness, P = A Y + b, and a residual. A and b are
averaged over time on a coarse grid and put onto today's input: what they carry cannot ghost, is never
resampled, and follows fades. Only the residual is averaged along the motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from i2itool.frames import AnyPixels
from i2itool.temporal.by_opencv import ByOpenCv
from i2itool.temporal.motion import Motion, pull
from i2itool.temporal.parts import Parts, color_change, take_apart, window_mean
from i2itool.temporal.pixelwise import Pixelwise, Plane, Planes, Remembered
from i2itool.temporal.scaling import Field, coarsen, refine
from i2itool.temporal.tracking import Tracked

# Of the mean of the residual, and of that of the coefficients, which cannot ghost and may be longer.
_RESIDUAL_SECONDS, _AFFINE_SECONDS = 0.33, 0.67
# What averaging and resampling take from the fine structure is given back, up to this factor; a new gain
# counts by this share, or the sharpness itself would flicker.
_MOST_GAIN, _GAIN_SHARE = 1.5, 0.2

_Way = tuple[Field, Field]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is carried from one frame to the next; all float32, in levels of 8 bits.

    affine: 6,gh,gw: A and b of Y, of R - Y and of B - Y.  affine_age: gh,gw seconds.
    brightness: H,W: the residual of Y, wherever it is computed.  color: 2,h',w': those of R - Y and B - Y.
    age: h,w seconds, of the residuals, on the work grid.  gain: gh,gw.
    """

    affine: Planes
    affine_age: Field
    brightness: Plane
    color: Planes
    age: Field
    gain: Field


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A frame that was remembered, and the motion from the present one to it."""

    memory: Memory
    motion: Motion


class Recursion:
    """A `Smoother`. strength: times the lengths of the means.  pixelwise: the arithmetic at full size."""

    def __init__(self, strength: float, pixelwise: Pixelwise | None = None) -> None:
        self._affine_seconds = strength * _AFFINE_SECONDS
        self._residual_seconds = strength * _RESIDUAL_SECONDS
        self._at_full_size = pixelwise or ByOpenCv()

    def start(self, tracked: Tracked, output: AnyPixels) -> Memory:
        """What the first frame of a scene leaves behind."""
        parts = take_apart(tracked.seen.look, tracked.frame.pixels, output)
        _, _, residual = self._take_apart(tracked, output, parts)
        age = np.float32(tracked.seconds)
        affine_age, residual_age = (
            np.full(grid.shape, age) for grid in (parts.affine[0], tracked.seen.look.gray)
        )
        fine = self._at_full_size.mean_along(residual, [])
        return Memory(parts.affine, affine_age, fine, parts.color, residual_age, np.ones_like(affine_age))

    def follow(self, tracked: Tracked, output: AnyPixels, memory: Memory) -> tuple[AnyPixels, Memory]:
        """Blend a frame with what is remembered, along its motion."""
        assert tracked.motion is not None
        return self.blend(tracked, output, [Neighbour(memory, tracked.motion)])

    def blend(
        self, tracked: Tracked, output: AnyPixels, neighbours: Sequence[Neighbour]
    ) -> tuple[AnyPixels, Memory]:
        """Blend a translated frame with its neighbours; also gives what it leaves behind."""
        full = self._at_full_size
        parts = take_apart(tracked.seen.look, tracked.frame.pixels, output)
        given, made, residual = self._take_apart(tracked, output, parts)
        affine, affine_age = self._mean_affine(parts, neighbours, tracked.seconds)
        shares, age = self._residual_shares(neighbours, tracked.seconds)
        color = _mean_color(parts.color, neighbours, shares)
        fine = full.mean_along(residual, _remembered(neighbours, shares, output.shape))

        smoothed = full.plus_affine(fine, affine[:2], given)
        structures = full.structure(made), full.structure(smoothed)
        energies = [full.energy(structure, affine_age.shape) for structure in structures]
        gain = _gain(energies, neighbours)
        sharp = full.plus_product(smoothed, gain - 1, structures[1])
        tint = color_change(parts.given, affine - parts.affine, color - parts.color)
        shown = full.changed(output, made, sharp, tint)
        return shown, Memory(affine, affine_age, fine, color, age, gain)

    def _take_apart(self, tracked: Tracked, output: AnyPixels, parts: Parts) -> tuple[Plane, Plane, Plane]:
        """The brightness of a frame and of its translation, and what of that the input does not explain."""
        full = self._at_full_size
        full.begin()
        given, made = full.luma(tracked.frame.pixels), full.luma(output)
        return given, made, full.plus_affine(made, -parts.affine[:2], given)

    def _mean_affine(
        self, parts: Parts, neighbours: Sequence[Neighbour], seconds: float
    ) -> tuple[Planes, Field]:
        """The mean of the coefficients; it would be the same for a picture that is made of them alone."""
        grid = parts.affine[0].shape
        ways = [neighbour.motion.regridded(grid) for neighbour in neighbours]
        ages = [pull(item.memory.affine_age, there) for item, there in zip(neighbours, ways, strict=True)]
        sure = [coarsen(neighbour.motion.confidence, grid) for neighbour in neighbours]
        shares, age = _shares(ages, sure, seconds, self._affine_seconds)
        before = [neighbour.memory.affine for neighbour in neighbours]
        return _mean(parts.affine, before, ways, shares), age

    def _residual_shares(self, neighbours: Sequence[Neighbour], seconds: float) -> tuple[list[Field], Field]:
        """The share of each neighbour in the residuals, on the work grid, and the age of their means."""
        sure = [neighbour.motion.confidence for neighbour in neighbours]
        ages = [pull(item.memory.age, item.motion.regridded(item.memory.age.shape)) for item in neighbours]
        return _shares(ages, sure, seconds, self._residual_seconds)


def _shares(
    ages: Sequence[Field], sure: Sequence[Field], seconds: float, longest: float
) -> tuple[list[Field], Field]:
    """The share of each neighbour in the mean, and the age of that: time is what is averaged over."""
    kept = [
        confidence * np.minimum(age, np.float32(longest)) for age, confidence in zip(ages, sure, strict=True)
    ]
    age = np.asarray(sum(kept, np.full_like(kept[0], seconds)), np.float32)
    return [one / age for one in kept], age


def _mean(today: Planes, before: Sequence[Planes], ways: Sequence[_Way], shares: Sequence[Field]) -> Planes:
    mean = today.copy()
    for planes, there, share in zip(before, ways, shares, strict=True):
        for new, now, plane in zip(mean, today, planes, strict=True):
            old = pull(plane, there)
            old -= now
            old *= share
            new += old
    return mean


def _mean_color(color: Planes, neighbours: Sequence[Neighbour], shares: Sequence[Field]) -> Planes:
    size = color[0].shape
    ways = [neighbour.motion.regridded(size) for neighbour in neighbours]
    finer = [refine(share, size) for share in shares]
    return _mean(color, [neighbour.memory.color for neighbour in neighbours], ways, finer)


def _remembered(
    neighbours: Sequence[Neighbour], shares: Sequence[Field], size: tuple[int, ...]
) -> list[Remembered]:
    return [
        Remembered(neighbour.memory.brightness, *neighbour.motion.moves(size), share)
        for neighbour, share in zip(neighbours, shares, strict=True)
    ]


def _gain(energies: Sequence[Field], neighbours: Sequence[Neighbour]) -> Field:
    """By how much the structure of a mean must grow to be that of what it is the mean of.

    energies: gh,gw: of the picture of today and of the mean.  Returns the same shape.
    """
    motion, memory = neighbours[0].motion, neighbours[0].memory
    wanted, found = (window_mean(energy) + 1e-3 for energy in energies)
    gain = np.clip(np.sqrt(wanted / found), 1, _MOST_GAIN).astype(np.float32)
    share = (1 - _GAIN_SHARE) * coarsen(motion.confidence, gain.shape)
    gain += share * (pull(memory.gain, motion.regridded(gain.shape)) - gain)
    return gain
