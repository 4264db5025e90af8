"""A picture of errors over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from i2itool.errors import AlreadyThere, OutputError
from i2itool.flicker import Flicker
from i2itool.frames import Pixels
from i2itool.pictures import write_picture

_HEIGHT, _WIDTH = 360, 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 16, 44, 36
_INK, _GRID, _OUTPUT, _REFERENCE = (40, 40, 40), (225, 225, 225), (200, 60, 20), (60, 110, 200)
_NUM_LINES = 4


def plot_flicker(flicker: Flicker) -> Pixels:
    """E_warp of the output, and of the reference if there is one, over time; H,W,3 uint8 RGB."""
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    curves = [
        ("without smoothing", _REFERENCE, flicker.reference_errors),
        ("output", _OUTPUT, flicker.errors),
    ]
    curves = [curve for curve in curves if curve[2]]
    top = max((max(errors) for _, _, errors in curves), default=1.0) or 1.0
    end = max(flicker.seconds, default=0.0) or 1.0
    _draw_axes(canvas, top, end)
    for place, (name, color, errors) in enumerate(curves):
        _draw_curve(canvas, flicker.seconds, errors, color, top=top, end=end)
        _write(canvas, name, (_LEFT + 330 + 170 * place, 24), color)
    return canvas


def check_plot(path: Path, *, overwrite: bool) -> None:
    """Raise OutputError if a plot cannot be written there, before any work is done."""
    if path.suffix.lower() != ".png":
        raise OutputError(f"a plot is a PNG, not {path.name}", hint="--plot FILE.png")
    if path.exists() and not overwrite:
        raise AlreadyThere(f"{path} is already there", hint="--overwrite replaces it")


def write_plot(path: Path, flicker: Flicker) -> None:
    """Draw it into a PNG file; raises OutputError if that cannot be written."""
    write_picture(path, plot_flicker(flicker))


def _draw_axes(canvas: Pixels, top: float, end: float) -> None:
    for i in range(_NUM_LINES + 1):
        x, y = _place(end * i / _NUM_LINES, top * i / _NUM_LINES, top=top, end=end)
        cv2.line(canvas, (_LEFT, y), (_WIDTH - _RIGHT, y), _GRID)
        _write(canvas, f"{top * i / _NUM_LINES:.2g}", (8, y + 4), _INK)
        _write(canvas, f"{end * i / _NUM_LINES:.3g} s", (x - 20, _HEIGHT - 12), _INK)
    _write(canvas, "E_warp (lower is steadier)", (_LEFT, 24), _INK)


def _draw_curve(
    canvas: Pixels,
    seconds: Sequence[float],
    errors: Sequence[float],
    color: tuple[int, int, int],
    *,
    top: float,
    end: float,
) -> None:
    points = [_place(x, y, top=top, end=end) for x, y in zip(seconds, errors, strict=True)]
    cv2.polylines(canvas, [np.array(points, np.int32)], False, color, 1, cv2.LINE_AA)


def _place(seconds: float, error: float, *, top: float, end: float) -> tuple[int, int]:
    x = _LEFT + seconds / end * (_WIDTH - _LEFT - _RIGHT)
    y = _HEIGHT - _BOTTOM - error / top * (_HEIGHT - _TOP - _BOTTOM)
    return round(x), round(y)


def _write(canvas: Pixels, text: str, place: tuple[int, int], color: tuple[int, int, int]) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, color, 1, cv2.LINE_AA)
