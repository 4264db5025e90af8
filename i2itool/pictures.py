"""Pictures as plain arrays of 8 bits, and where to find them; `stills` keeps all of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from i2itool.errors import InputError
from i2itool.frames import Pixels
from i2itool.still_writer import FORMATS, write_still
from i2itool.stills import MAX_PIXELS, Still, read_still, to_8_bits

Item = TypeVar("Item")


def is_picture(path: Path) -> bool:
    """Whether the name says that this is a picture."""
    return path.suffix.lower() in FORMATS


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder and of the folders in it, in order of name; hidden files are left out.

    Raises InputError if there is none.
    """
    pictures = sorted(
        path
        for path in folder.rglob("*")
        if is_picture(path) and path.is_file() and not _is_hidden(path.relative_to(folder))
    )
    if not pictures:
        kinds = ", ".join(sorted(FORMATS))
        raise InputError(f"no pictures in {folder}", hint=f"looked for {kinds}")
    return pictures


def spread(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most so many of `items`, spread evenly over them, with the first and the last; None for all."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, most).round().astype(int)]


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """H,W,3 uint8 RGB, turned as its EXIF orientation says; alpha is dropped, 16 bits become 8.

    Raises InputError if the picture is missing, truncated, unreadable or larger than `max_pixels`.
    """
    return to_8_bits(read_still(path, max_pixels=max_pixels).pixels)


def resize_short_side(picture: Pixels, short_side_px: int) -> Pixels:
    """Resize H,W,3 uint8 so that its short side has `short_side_px`; the aspect stays."""
    height, width = picture.shape[:2]
    scale = short_side_px / min(height, width)
    size = (max(short_side_px, round(width * scale)), max(short_side_px, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=method), dtype=np.uint8)


def middle_square(picture: Pixels, side_px: int) -> Pixels:
    """The square of that side in the middle of H,W,3, which is no smaller."""
    top, left = ((size - side_px) // 2 for size in picture.shape[:2])
    return picture[top : top + side_px, left : left + side_px]


def write_picture(path: Path, pixels: Pixels) -> None:
    """Write H,W,3 uint8 RGB in the format that the suffix names.

    The file takes its name when it is whole. Raises OutputError if it cannot be written.
    """
    write_still(path, Still(pixels))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
