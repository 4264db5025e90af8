"""A single picture with all that belongs to it: depth, alpha, EXIF, colour profile; read from a file."""

from __future__ import annotations

import io
import logging
import re
import struct
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from i2itool.errors import InputError
from i2itool.frames import AnyPixels, DeepPixels, Levels, Pixels
from i2itool.options import ConvertOptions

MAX_PIXELS = ConvertOptions().max_pixels

# Decoders of these formats only: Pillow has some that run other programs.
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
# What Pillow's decoders raise where a file is damaged.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error, zlib.error)
# How to turn stored rows and columns upright: transpose, flip rows, flip columns; by EXIF orientation.
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
# Tags of a TIFF that tell how its own pixels are stored; JPEG and PNG may carry them by mistake.
_STRUCTURE = (
    *(254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324),
    *(325, 330, 332, 338, 339, 347, 529, 530, 531, 532, 700, 33723, 34377, 34675),
)
# 32 bits, real numbers, and L*a*b* without a profile.
_UNSUPPORTED = ("I", "F", "LAB")
# What JPEG has room for.
_MOST_DPI = 65535
_OPENING = threading.Lock()

logger = logging.getLogger("i2itool.pictures")


@dataclass(frozen=True, slots=True)
class Still:
    """A picture, upright, and what its file says beside it.

    pixels: H,W,3 RGB, uint8 or uint16.  alpha: H,W of the same dtype; None if there is none.
    exif: as in a JPEG ("Exif", two zeros, a TIFF header, ...), orientation 1; b"" if there is none.
    icc_profile: of RGB; b"" if there is none.  xmp: a packet; b"" if there is none.
    dpi: across and down; None if unknown.
    """

    pixels: AnyPixels
    alpha: AnyPixels | None = None
    exif: bytes = b""
    icc_profile: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None


def read_still(path: Path, *, max_pixels: int = MAX_PIXELS) -> Still:
    """Read a picture: 16 bits stay 16 bits; gray, palettes and CMYK become RGB.

    Colours with a profile that is not of RGB are converted by it to sRGB; an RGB profile is kept, and so
    are the levels. Raises InputError if the file is missing, damaged, no picture, or of more than
    `max_pixels` pixels, which is seen before any is decoded.
    """
    try:
        with path.open("rb") as file, open_image(file) as image:
            check_size(path, image.width, image.height, max_pixels)
            if (num_pictures := getattr(image, "n_frames", 1)) > 1:
                logger.warning("%s holds %d pictures; only the first is read", path, num_pictures)
            return _read(path, file, image)
    except UnidentifiedImageError as error:
        raise InputError(f"not a readable picture: {path}") from error
    except (cv2.error, *_DAMAGE) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        reason = error.err if isinstance(error, cv2.error) else str(error) or type(error).__name__
        raise InputError(f"{path} is damaged or truncated: {reason}") from error


def open_image(file: IO[bytes] | Path, formats: Sequence[str] = _FORMATS) -> Image.Image:
    """Open an image without Pillow's own limit, which would print or be too low; `check_size` it."""
    with _OPENING:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=tuple(formats))
        finally:
            Image.MAX_IMAGE_PIXELS = before


def check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Raise InputError for a picture of more than `max_pixels` pixels."""
    if width * height > max_pixels:
        raise InputError(
            f"{path} has {width}x{height} pixels, more than the limit of {max_pixels}",
            hint="if you trust it, raise --max-pixels",
        )


def _read(path: Path, file: IO[bytes], image: Image.Image) -> Still:
    icc_profile = image.info.get("icc_profile") or b""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    exif = _exif_without_orientation(path, image)
    if _is_deep(image, file):
        pixels, alpha = _decode_deep(path, file)
        if image.format == "TIFF":
            orientation = 1  # OpenCV has turned it, whatever it is told
        if not _is_of_rgb(icc_profile):
            icc_profile = b""
    else:
        rgb, icc_profile = _to_rgb(path, image, icc_profile)
        levels = np.array(rgb)  # a copy, for Pillow lends its own memory read-only
        pixels, alpha = levels[..., :3], levels[..., 3] if levels.shape[2] == 4 else None
    return Still(
        pixels=_upright(pixels, orientation),
        alpha=None if alpha is None else _upright(alpha, orientation),
        exif=exif,
        icc_profile=icc_profile,
        xmp=_xmp_without_orientation(image.info.get("xmp") or b""),
        dpi=_plausible(image.info.get("dpi")),
    )


def _exif_without_orientation(path: Path, image: Image.Image) -> bytes:
    exif = image.getexif()
    # TIFF keeps it among the tags of the picture itself.
    for tag in _STRUCTURE:
        exif.pop(tag, None)
    if not exif:
        return b""
    if ExifTags.Base.Orientation in exif:
        exif[ExifTags.Base.Orientation] = 1
    try:
        return exif.tobytes()
    except _DAMAGE as error:
        # Cameras write many a thing; the picture matters more.
        logger.warning("%s: its EXIF is damaged and left out: %s", path, error)
        return b""


def _plausible(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    if dpi is None or not all(1 <= value <= _MOST_DPI for value in dpi):
        return None
    return float(dpi[0]), float(dpi[1])


def _xmp_without_orientation(xmp: bytes | str) -> bytes:
    data = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    return re.sub(rb'tiff:Orientation(="|>)[2-8]', rb"tiff:Orientation\g<1>1", data)


def _is_deep(image: Image.Image, file: IO[bytes]) -> bool:
    """Whether the file stores gray or RGB of 16 bits, of which Pillow would keep 8."""
    if isinstance(image, TiffImageFile):
        return 16 in image.tag_v2.get(258, ()) and image.mode in (
            "RGB",
            "RGBA",
            "RGBX",
            "LA",
            "I;16",
            "I;16B",
        )
    if image.format != "PNG":
        return False
    file.seek(24)
    is_16_bit = file.read(1) == b"\x10"
    file.seek(0)
    return is_16_bit


def _decode_deep(path: Path, file: IO[bytes]) -> tuple[DeepPixels, NDArray[np.uint16] | None]:
    file.seek(0)
    data = file.read()
    # OpenCV would fill up a truncated PNG and say nothing.
    is_whole = not data.startswith(b"\x89PNG") or b"IEND" in data
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if is_whole else None
    if decoded is None or decoded.dtype != np.uint16:
        raise InputError(f"{path} is damaged or truncated, or stored in an unusual way")
    levels: DeepPixels = decoded.astype(np.uint16, copy=False)
    if levels.ndim == 2:
        return np.repeat(levels[..., None], 3, axis=2), None
    return levels[..., 2::-1], levels[..., 3] if levels.shape[2] == 4 else None


def _to_rgb(path: Path, image: Image.Image, icc_profile: bytes) -> tuple[Image.Image, bytes]:
    """8-bit RGB or RGBA, with the profile that goes with it."""
    if icc_profile and not _is_of_rgb(icc_profile):
        converted = _by_profile(image, icc_profile)
        if converted is not None:
            return converted, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        icc_profile = b""
    if image.mode in _UNSUPPORTED or image.mode.startswith("I;16"):
        raise InputError(f"{path} has pixels of a kind that is not supported: {image.mode}")
    return image.convert("RGBA" if image.has_transparency_data else "RGB"), icc_profile


def _by_profile(image: Image.Image, icc_profile: bytes) -> Image.Image | None:
    """sRGB by a profile of CMYK, gray or Lab; None where the profile does not fit the pixels."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError as error:
        logger.warning("a colour profile does not fit its picture and is left out: %s", error)
        return None


def _is_of_rgb(icc_profile: bytes) -> bool:
    return icc_profile[16:20] == b"RGB "


def to_8_bits(levels: AnyPixels) -> Pixels:
    """The nearest of 256 levels for each of 65536, in an array of any shape; 8 bits stay as they are."""
    if levels.dtype == np.uint8:
        return levels.astype(np.uint8, copy=False)
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _upright(pixels: NDArray[Levels], orientation: int) -> NDArray[Levels]:
    transpose, flip_rows, flip_columns = _TURNS.get(orientation, (False, False, False))
    if transpose:
        pixels = pixels.swapaxes(0, 1)
    if flip_rows:
        pixels = pixels[::-1]
    if flip_columns:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
