"""A single picture, with all that belongs to it, into a file."""

from __future__ import annotations

import logging
import struct
import zlib
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as _Tag
from PIL.PngImagePlugin import putchunk
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from i2itool.errors import OutputError
from i2itool.partial import whole_file
from i2itool.stills import Still, to_8_bits

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_WITH_ALPHA = ("PNG", "WEBP", "TIFF")
_WITH_16_BITS = ("PNG", "TIFF")

# Above this, JPEG and WebP files grow faster than they get better. Colours stay at full resolution.
_QUALITY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95, "exact": True},
}
_ROWS_PER_STRIP = 64
_UNASSOCIATED_ALPHA = 2
_XMP = 700
_PNG_HEAD = 8 + 25
_METRES_PER_INCH = 0.0254

logger = logging.getLogger("i2itool.pictures")


def write_still(path: Path, still: Still) -> None:
    """Write a picture in the format that the suffix names; the file takes its name when it is whole.

    JPEG and BMP lose alpha, and only PNG and TIFF keep 16 bits; that is logged. Raises OutputError if it
    cannot be written.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        kinds = ", ".join(sorted(FORMATS))
        raise OutputError(f"cannot write a picture as '{path.suffix}'", hint=f"one of {kinds}")
    still = _storable(path, still, form)
    with whole_file(path) as partial:
        try:
            with partial.open("wb") as file:
                _write(file, still, form)
        except (OSError, ValueError, cv2.error) as error:
            # Encoders tell in words what the system would tell by a number.
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(f"cannot write {path}: {reason}") from error


def _storable(path: Path, still: Still, form: str) -> Still:
    if still.alpha is not None and form not in _WITH_ALPHA:
        logger.warning("%s: %s has no transparency; it is dropped", path, form)
        still = replace(still, alpha=None)
    if still.pixels.dtype == np.uint16 and form not in _WITH_16_BITS:
        logger.warning("%s: %s holds 8 bits; of 16 bits the upper are kept", path, form)
        alpha = None if still.alpha is None else to_8_bits(still.alpha)
        still = replace(still, pixels=to_8_bits(still.pixels), alpha=alpha)
    return still


def _write(file: IO[bytes], still: Still, form: str) -> None:
    if form == "TIFF":
        _write_tiff(file, still)
    elif form == "PNG":
        _write_png(file, still)
    else:
        options = _QUALITY.get(form, {}) | ({"dpi": still.dpi} if still.dpi else {})
        described = {"exif": still.exif, "icc_profile": still.icc_profile, "xmp": still.xmp}
        Image.fromarray(_channels(still)).save(file, form, **options, **described)


def _channels(still: Still) -> NDArray[Any]:  # Any: 8 or 16 bits
    return still.pixels if still.alpha is None else np.dstack([still.pixels, still.alpha])


def _write_png(file: IO[bytes], still: Still) -> None:
    """OpenCV writes the pixels, for Pillow has no 16-bit RGB; the rest goes in between."""
    to_bgr = cv2.COLOR_RGB2BGR if still.alpha is None else cv2.COLOR_RGBA2BGRA
    encoded = cv2.imencode(".png", cv2.cvtColor(_channels(still), to_bgr))[1].tobytes()
    # The signature of eight bytes, and the header.
    file.write(encoded[:_PNG_HEAD])
    if still.icc_profile:
        putchunk(file, b"iCCP", b"ICC profile\0\0", zlib.compress(still.icc_profile))
    if still.dpi:
        per_metre = (round(dpi / _METRES_PER_INCH) for dpi in still.dpi)
        putchunk(file, b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if still.exif:
        putchunk(file, b"eXIf", still.exif.removeprefix(b"Exif\0\0"))
    if still.xmp:
        putchunk(file, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0", still.xmp)
    file.write(encoded[_PNG_HEAD:])


def _write_tiff(file: IO[bytes], still: Still) -> None:
    """Strips compressed by Deflate, each level stored as the difference from its left neighbour.

    By hand, for Pillow has no 16-bit RGB and OpenCV no tags. TIFF 6.0, sections 3, 6, 14 and 18.
    """
    levels = _channels(still)
    height, width, num_channels = levels.shape
    pixels = levels.copy()
    pixels[:, 1:] -= levels[:, :-1]
    strips = [
        zlib.compress(pixels[row : row + _ROWS_PER_STRIP].astype(pixels.dtype.newbyteorder("<")).tobytes())
        for row in range(0, height, _ROWS_PER_STRIP)
    ]
    tags = ImageFileDirectory_v2()
    _describe(tags, still)
    sizes = [len(strip) for strip in strips]
    tags[_Tag.ImageWidth], tags[_Tag.ImageLength] = width, height
    tags[_Tag.BitsPerSample] = (pixels.itemsize * 8,) * num_channels
    tags[_Tag.Compression], tags[_Tag.Predictor], tags[_Tag.PhotometricInterpretation] = 8, 2, 2
    tags[_Tag.SamplesPerPixel], tags[_Tag.PlanarConfiguration] = num_channels, 1
    tags[_Tag.RowsPerStrip] = _ROWS_PER_STRIP
    tags[_Tag.StripByteCounts] = tuple(sizes)
    # Counted from the end of the tags; Pillow adds where that is.
    tags[_Tag.StripOffsets] = tuple(accumulate(sizes[:-1], initial=0))
    if still.alpha is not None:
        tags[_Tag.ExtraSamples] = _UNASSOCIATED_ALPHA
    tags.save(file)
    file.writelines(strips)


def _describe(tags: ImageFileDirectory_v2, still: Still) -> None:
    """Put what is known beside the pixels among the tags of a TIFF."""
    exif = Image.Exif()
    exif.load(still.exif)
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in (IFD.Exif, IFD.GPSInfo) else exif[tag]
    if IFD.Exif in exif and IFD.Interop in tags[IFD.Exif]:
        tags[IFD.Exif] |= {IFD.Interop: exif.get_ifd(IFD.Interop)}
    if still.dpi:
        tags[_Tag.ResolutionUnit], tags[_Tag.XResolution], tags[_Tag.YResolution] = 2, *still.dpi
    if still.xmp:
        tags[_XMP] = still.xmp
    if still.icc_profile:
        tags[_Tag.InterColorProfile] = still.icc_profile
