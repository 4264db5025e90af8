"""What an HDR video says about the screen that it was made on, and how bright it gets."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData

# x,y of chromaticity.
Point = tuple[Fraction, Fraction]

# FFmpeg's AVMasteringDisplayMetadata: fractions for red, green, blue and white, for least and greatest light,
# and two flags; and AVContentLightMetadata.
_DISPLAY, _LIGHT = struct.Struct("=22i"), struct.Struct("=2I")
# Steps of the numbers in HEVC's SEI, H.265 D.3.28: of chromaticity, and of cd/m2.
_POINTS_PER_UNIT, _LEVELS_PER_UNIT = 50000, 10000


@dataclass(frozen=True, slots=True)
class Mastering:
    """SMPTE ST 2086 and CTA-861.3.

    points: where the screen's red, green, blue and white lie.  luminance: its least and greatest, in cd/m2.
    light: the brightest pixel and the brightest frame on average, in cd/m2. None where nothing is said.
    """

    points: tuple[Point, Point, Point, Point] | None
    luminance: tuple[Fraction, Fraction] | None
    light: tuple[int, int] | None


def mastering_of(image: av.VideoFrame) -> Mastering | None:
    """What comes with a decoded picture; None if that is nothing."""
    # PyAV's stub takes the whole of it for one item.
    side_data = cast("Iterable[SideData]", image.side_data)
    found = {item.type.name: bytes(item) for item in side_data}
    points = luminance = light = None
    if len(display := found.get("MASTERING_DISPLAY_METADATA", b"")) >= _DISPLAY.size:
        *numbers, has_points, has_luminance = _DISPLAY.unpack_from(display)
        values = [Fraction(top, bottom or 1) for top, bottom in zip(numbers[::2], numbers[1::2], strict=True)]
        red, green, blue, white = zip(values[0:8:2], values[1:8:2], strict=True)
        points = (red, green, blue, white) if has_points else None
        luminance = (values[8], values[9]) if has_luminance else None
    if len(content := found.get("CONTENT_LIGHT_LEVEL", b"")) >= _LIGHT.size:
        light = _LIGHT.unpack_from(content)
    return Mastering(points, luminance, light) if points or light else None


def mastering_parameters(codec: str, mastering: Mastering) -> tuple[str, str] | None:
    """The option of an encoder that takes `mastering`, and its value; None if it has none for it."""
    if codec not in _WORDS:
        return None
    option, display, light, is_whole = _WORDS[codec]
    words = []
    if mastering.points is not None and mastering.luminance is not None:
        red, green, blue, white = (_pair(point, _POINTS_PER_UNIT, is_whole) for point in mastering.points)
        least, most = mastering.luminance
        span = _pair((most, least), _LEVELS_PER_UNIT, is_whole)
        words.append(f"{display}=G{green}B{blue}R{red}WP{white}L{span}")
    if mastering.light is not None:
        words.append(f"{light}={mastering.light[0]},{mastering.light[1]}")
    return (option, ":".join(words)) if words else None


# Encoder -> its option, what it calls the screen and the light, and whether it wants whole steps.
_WORDS = {
    "libx264": ("x264-params", "mastering-display", "cll", True),
    "libx265": ("x265-params", "master-display", "max-cll", True),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light", False),
}


def _pair(values: tuple[Fraction, Fraction], steps: int, is_whole: bool) -> str:
    first, second = (str(round(value * steps)) if is_whole else f"{float(value):.6f}" for value in values)
    return f"({first},{second})"
