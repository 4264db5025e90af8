"""Single pictures, in and out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from i2itool.errors import InputError, OutputError
from i2itool.frames import Pixels
from i2itool.partial import whole_file

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})

# Above this, JPEG and WebP files grow faster than they get better.
_QUALITY = 95


def is_picture(path: Path) -> bool:
    """Whether the name says that this is a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


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
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise InputError(f"no pictures in {folder}", hint=f"looked for {kinds}")
    return pictures


def read_picture(path: Path) -> Pixels:
    """H,W,3 uint8 RGB, turned as its EXIF orientation says; alpha is dropped, 16 bits become 8.

    Raises InputError if the picture is missing, truncated or unreadable.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if _is_cut_short(data):
        raise InputError(f"{path} is truncated")
    try:
        # Decoded from memory, since cv2.imread fails on non-ASCII names on some systems.
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:
        raise InputError(f"{path} cannot be read: {error.err}") from error
    if decoded is None:
        raise InputError(f"not a readable picture: {path}")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def write_picture(path: Path, pixels: Pixels) -> None:
    """Write H,W,3 uint8 RGB in the format that the suffix names.

    The file takes its name when it is whole. Raises OutputError if it cannot be written.
    """
    if not is_picture(path):
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise OutputError(f"cannot write a picture as '{path.suffix}'", hint=f"one of {kinds}")
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_WEBP_QUALITY, _QUALITY]
    try:
        _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    except cv2.error as error:
        raise OutputError(f"cannot write {path}: {error.err}") from error
    with whole_file(path) as partial:
        try:
            partial.write_bytes(encoded.tobytes())
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_cut_short(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end; OpenCV would fill the rest with gray and say nothing."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    if not data.startswith(b"\xff\xd8"):
        return False
    # Previews have an end of their own, so look only behind the segments that may hold them.
    position = 2
    while data[position : position + 1] == b"\xff" and data[position + 1 : position + 2] != b"\xda":
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return b"\xff\xd9" not in data[position:]
