"""At which size the network sees a picture, and how its result comes back to the picture's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.affine import CAUTIOUS, Trust, fit_affine
from i2itool.carrying import apply_affine, apply_to_stored
from i2itool.errors import OptionError
from i2itool.frames import Levels, Pixels, Stored
from i2itool.preset import Preset

# Below this there is nothing left to see.
_LEAST_PX = 32


def parse_work_size(text: str, preset: Preset) -> int | None:
    """The short side in pixels that `--work-size` asks for; None for each picture's own size.

    text: "full", a number of pixels, or "auto": what the network was trained on, where the preset tells.
    Raises OptionError if it is none of these.
    """
    if text == "full":
        return None
    if text == "auto":
        if preset.work_size is not None:
            return None if preset.work_size == "full" else preset.work_size
        return preset.training.size_px if preset.training else None
    if not text.isascii() or not text.isdigit() or int(text) < _LEAST_PX:
        raise OptionError(f"'{text}' is no working size", hint=f"auto, full, or {_LEAST_PX} pixels or more")
    return int(text)


def work_size(height: int, width: int, short_px: int | None, multiple_of: int) -> tuple[int, int]:
    """Height and width of what the network sees of a picture; those of the picture if it is no larger.

    short_px: what the short side is to be; None leaves every picture as it is.
    """
    if short_px is None:
        return height, width
    short = max(1, round(short_px / multiple_of)) * multiple_of
    if min(height, width) <= short:
        return height, width
    scale = short / min(height, width)
    rows, columns = (round(side * scale / multiple_of) * multiple_of for side in (height, width))
    return rows, columns


def translate_at(
    size: tuple[int, int],
    pixels: NDArray[Levels],
    translate: Callable[[NDArray[Levels]], NDArray[Levels]],
    trust: Trust = CAUTIOUS,
) -> NDArray[Levels]:
    """Translate pictures at another size, and carry the result to their own; see `i2itool.affine`.

    size: height and width for `translate`.  pixels: N,H,W,3 uint8 or uint16 RGB; the same comes back.
    """
    if size == pixels.shape[1:3]:
        return translate(pixels)
    small = resized(pixels, size)
    pairs = zip(small, translate(small), pixels, strict=True)
    return np.stack([carried(before, after, picture, trust) for before, after, picture in pairs])


def carried(
    before: NDArray[Levels], after: NDArray[Levels], pixels: NDArray[Levels], trust: Trust = CAUTIOUS
) -> NDArray[Levels]:
    """What a small picture has become, as one of the size of `pixels`; all H,W,3.

    before, after: the small picture and its translation.  pixels: the picture that it was made of.
    trust: in the light that the network adds.
    """
    if before.shape == pixels.shape:
        return after
    return apply_affine(fit_affine(before, after, trust=trust), pixels)


def carried_stored(
    before: NDArray[Levels], after: NDArray[Levels], stored: Stored, trust: Trust = CAUTIOUS
) -> Stored:
    """The same for a picture as a video stores it; `before` is what `small_of` made of it."""
    return apply_to_stored(fit_affine(before, after, trust=trust), stored)


def small_of(stored: Stored, size: tuple[int, int]) -> Pixels:
    """A picture as a video stores it made smaller, to a height and a width, and RGB."""
    luma, blue, red = (_shrunk(plane, size) for plane in (stored.luma, stored.blue, stored.red))
    rows = stored.to_rgb * np.iinfo(np.uint8).max
    return np.asarray(cv2.transform(cv2.merge([luma, blue, red]), rows), np.uint8)


def resized(pixels: NDArray[Levels], size: tuple[int, int]) -> NDArray[Levels]:
    """N,H,W,3 pictures made smaller, to a height and a width; nothing fine is left out in between."""
    if size == pixels.shape[1:3]:
        return pixels
    return np.stack([_shrunk(picture, size) for picture in pixels]).astype(pixels.dtype, copy=False)


def _shrunk(picture: NDArray[Levels], size: tuple[int, int]) -> NDArray[Levels]:
    """A picture H,W or H,W,3 made smaller; first by a whole number, which is quick, then by what is left.

    Planes of colours may have to grow instead.
    """
    height, width = picture.shape[:2]
    factor = min(height // size[0], width // size[1])
    if factor > 1 and height % factor == 0 and width % factor == 0:
        picture = _scaled(picture, (height // factor, width // factor), cv2.INTER_AREA)
    if picture.shape[:2] == size:
        return picture
    # Less than halved, every pixel has its part in one between four, for a fifth of the time of a mean; fine
    # colours of which only some are sampled would flicker.
    is_halved = 2 * size[0] < picture.shape[0] or 2 * size[1] < picture.shape[1]
    return _scaled(picture, size, cv2.INTER_AREA if is_halved else cv2.INTER_LINEAR)


def _scaled(picture: NDArray[Levels], size: tuple[int, int], how: int) -> NDArray[Levels]:
    return cast(NDArray[Levels], cv2.resize(picture, size[::-1], interpolation=how))
