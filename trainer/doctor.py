"""Looks at two folders before a training: what would spoil it, and which sizes suit the pictures."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.errors import InputError
from i2itool.frames import Pixels
from i2itool.pictures import list_pictures, read_picture

# Below these deviations of luma, in levels, a picture is constant for InstanceNorm, or nearly so.
CONSTANT_LEVELS, FLAT_LEVELS = 1.0, 4.0
TINY_PX = 64
# Channels that differ by no more than this are gray; JPEG colours gray pictures a little.
GRAY_LEVELS = 6
# Pictures are compared by the signs of 16x16 horizontal differences; of 256 bits so many may differ.
HASH_PX, NEAR_BITS = 16, 12
# In the papers a crop of 256 px goes with a picture of 286; all generators but U-Nets take multiples of 8,
# and the usual critics no less than 32.
_MOST_LOAD_PX, _MOST_CROP_PX, _LEAST_CROP_PX, _CROP_STEP_PX = 286, 256, 32, 8

logger = logging.getLogger("i2itool.trainer")

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about some pictures that spoils a training (error) or may harm it (warning)."""

    severity: Severity
    problem: str
    paths: tuple[Path, ...]

    @property
    def is_pair(self) -> bool:
        """Whether `paths` are two pictures that look alike, not any number that share a fault."""
        return "the same picture" in self.problem


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found in A and B.

    counts: pictures of A and of B.  sizes: the commonest (width, height) of both with their number.
    load_px, crop_px: suggested for training.
    """

    counts: tuple[int, int]
    findings: tuple[Finding, ...]
    sizes: tuple[tuple[tuple[int, int], int], ...]
    load_px: int
    crop_px: int

    @property
    def has_errors(self) -> bool:
        """Whether training must not start."""
        return any(finding.severity == "error" for finding in self.findings)


def refuse_or_warn(checkup: Checkup) -> None:
    """Before a training: raise InputError at the first error, log each kind of warning in a line."""
    for finding in checkup.findings:
        if finding.severity == "error":
            hint = "remove or replace it; `i2itool check` lists all"
            raise InputError(f"{finding.paths[0]}: {finding.problem}", hint=hint)
    kinds: Counter[str] = Counter()
    for finding in checkup.findings:
        kinds[f"{finding.problem} (pairs)" if finding.is_pair else finding.problem] += (
            1 if finding.is_pair else len(finding.paths)
        )
    for problem, count in kinds.items():
        logger.warning("%s: %d; `i2itool check` lists them", problem, count)


@dataclass(frozen=True, slots=True)
class Look:
    """A picture in brief; everything but the path is None or 0 where it cannot be read.

    size: width, height.  deviation: of luma, in levels.  bits: what it looks like, for comparisons.
    """

    path: Path
    size: tuple[int, int] = (0, 0)
    deviation: float = 0.0
    is_gray: bool = False
    bits: NDArray[np.uint8] | None = None


def check_folders(folder_a: Path, folder_b: Path) -> Checkup:
    """Read every picture of both folders once and report what stands out.

    Errors: unreadable and constant pictures. Warnings: tiny and nearly constant ones, equal and nearly
    equal ones, pictures that are in A and in B, gray ones in a set of colour. Raises InputError for a
    folder without pictures.
    """
    with ThreadPoolExecutor() as pool:
        looks_a, looks_b = (list(pool.map(_read, list_pictures(folder))) for folder in (folder_a, folder_b))
    return judge(looks_a, looks_b)


def judge(looks_a: Sequence[Look], looks_b: Sequence[Look]) -> Checkup:
    """What stands out among pictures that were looked at; as `check_folders`."""
    readable = [look for look in (*looks_a, *looks_b) if look.bits is not None]
    load_px, crop_px = _suggest(readable)
    findings = [
        *_findings_of_each([*looks_a, *looks_b]),
        *_gray_in_colour(looks_a),
        *_gray_in_colour(looks_b),
        *_lookalikes(readable, {look.path for look in looks_a}),
    ]
    sizes = Counter(look.size for look in readable).most_common(5)
    return Checkup((len(looks_a), len(looks_b)), tuple(findings), tuple(sizes), load_px, crop_px)


def _read(path: Path) -> Look:
    try:
        return look(path, read_picture(path))
    except InputError:
        return look(path, None)


def look(path: Path, picture: Pixels | None) -> Look:
    """A picture in brief: H,W,3 uint8 RGB, or None for one that cannot be read."""
    if picture is None:
        return Look(path)
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(luma, (HASH_PX + 1, HASH_PX), interpolation=cv2.INTER_AREA).astype(np.int16)
    return Look(
        path,
        size=(picture.shape[1], picture.shape[0]),
        deviation=float(luma.std()),
        is_gray=_is_gray(picture),
        bits=np.packbits(small[:, 1:] > small[:, :-1]),
    )


def _is_gray(picture: Pixels) -> bool:
    spread = cv2.subtract(picture.max(axis=2), picture.min(axis=2))
    return bool(np.percentile(spread, 99) <= GRAY_LEVELS)


def _findings_of_each(looks: Sequence[Look]) -> Iterator[Finding]:
    readable = [look for look in looks if look.bits is not None]
    groups: list[tuple[Severity, str, list[Look]]] = [
        ("error", "cannot be read", [look for look in looks if look.bits is None]),
        ("error", "constant: InstanceNorm divides by its deviation", [
            look for look in readable if look.deviation < CONSTANT_LEVELS]),
        ("warning", "nearly constant", [
            look for look in readable if CONSTANT_LEVELS <= look.deviation < FLAT_LEVELS]),
        ("warning", f"smaller than {TINY_PX} px", [look for look in readable if min(look.size) < TINY_PX]),
    ]  # fmt: skip
    for severity, problem, found in groups:
        if found:
            yield Finding(severity, problem, tuple(look.path for look in found))


def _gray_in_colour(looks: Sequence[Look]) -> Iterator[Finding]:
    """Gray pictures are fine in a gray set and a few of them are odd in one of colour."""
    gray = [look.path for look in looks if look.is_gray and look.deviation >= FLAT_LEVELS]
    if 0 < len(gray) < len(looks) / 2:
        yield Finding("warning", "gray in a set of colour", tuple(gray))


def _lookalikes(looks: Sequence[Look], in_a: set[Path]) -> Iterator[Finding]:
    """Pairs that look alike; a constant picture has no look and is left out."""
    looks = [look for look in looks if look.deviation >= FLAT_LEVELS]
    for first, second, distance in _near_pairs(looks):
        pair = (looks[first].path, looks[second].path)
        across = (pair[0] in in_a) != (pair[1] in in_a)
        kind = "the same picture" if distance == 0 else "nearly the same picture"
        yield Finding("warning", f"{kind} {'in A and in B' if across else 'twice'}", pair)


def _near_pairs(looks: Sequence[Look]) -> Iterator[tuple[int, int, int]]:
    """(index, later index, bits that differ) of looks within NEAR_BITS; row by row, to bound memory."""
    if not looks:
        return
    codes = np.stack([look.bits for look in looks if look.bits is not None]).view(np.uint64)
    for index in range(len(codes) - 1):
        distances = np.bitwise_count(codes[index + 1 :] ^ codes[index]).sum(axis=1)
        for later in np.flatnonzero(distances <= NEAR_BITS):
            yield index, index + 1 + int(later), int(distances[later])


def _suggest(looks: Sequence[Look]) -> tuple[int, int]:
    """Load and crop size, px: as in the papers, or smaller where the smallest tenth of pictures is.

    The crop is the largest that has no larger share of the picture than theirs. Pictures are enlarged only
    where they are too small for any crop.
    """
    short_sides = [min(look.size) for look in looks] or [_MOST_LOAD_PX]
    least_load = -(-_LEAST_CROP_PX * _MOST_LOAD_PX // _MOST_CROP_PX)
    load = min(_MOST_LOAD_PX, max(least_load, int(np.percentile(short_sides, 10))))
    crop = load * _MOST_CROP_PX // _MOST_LOAD_PX
    return load, crop // _CROP_STEP_PX * _CROP_STEP_PX
