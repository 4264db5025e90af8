"""The figures of a run over its steps, from its log: grouped for the eye, thinned, and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from i2itool.frames import Pixels

from .run import read_log

Point = tuple[int, float]

# Enough for a picture of a screen's width.
MAX_POINTS = 240
PANEL_PX = (260, 640)
_OF_NAMING = ("names", "agreement", "imbalance", "sure")
_MARGIN_PX = (30, 20, 30, 60)  # top, right, bottom, left
_FONT, _SMALL = cv2.FONT_HERSHEY_SIMPLEX, 0.4
_COLOURS = (
    (31, 119, 180), (214, 39, 40), (44, 160, 44), (255, 127, 14),
    (148, 103, 189), (140, 86, 75), (23, 190, 207), (127, 127, 127),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves that share axes: name -> (step, mean over the steps since the point before)."""

    title: str
    curves: dict[str, list[Point]]


def read_panels(log: Path) -> list[Panel]:
    """The panels of a metrics.jsonl that have curves; a line that is not whole yet is passed over.

    Generators, critics, what comes back, codes, a classifier's names, held-out scores.
    """
    titles = {
        "G": "Generators against critics",
        "D": "Critics",
        "": "How pictures come back",
        "kl": "Codes against noise (KL)",
        "names": "Names",
        "scores": "Held-out pictures",
    }
    groups: dict[str, dict[str, list[Point]]] = {key: {} for key in titles}
    for figures in read_log(log) if log.exists() else ():
        step = figures.pop("step")
        for name, value in figures.pop("scores", {}).items():
            groups["scores"].setdefault(name, []).append((step, value))
        for name, value in figures.items():
            if isinstance(value, float) and name != "images_per_second":
                groups[_group(name)].setdefault(name, []).append((step, value))
    return [
        Panel(titles[key], {name: thin(points) for name, points in curves.items()})
        for key, curves in groups.items()
        if curves
    ]


def _group(loss: str) -> str:
    """The panel of a loss; curves that share one have values alike in size."""
    if loss[:2] in ("G_", "D_"):
        return loss[0]
    if loss.startswith("kl"):
        return "kl"
    return "names" if loss.startswith(_OF_NAMING) else ""


def thin(points: Sequence[Point]) -> list[Point]:
    """At most MAX_POINTS points, each the mean of some neighbours at the step of the last of them."""
    size = -(-len(points) // MAX_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), max(size, 1))]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def draw_curves(panels: Sequence[Panel]) -> Pixels:
    """One panel below the other; H,W,3 uint8 RGB. A white panel if there is none."""
    drawn = [_draw(panel) for panel in panels] or [np.full((*PANEL_PX, 3), 255, np.uint8)]
    return np.concatenate(drawn)


def _draw(panel: Panel) -> Pixels:
    height, width = PANEL_PX
    top, right, bottom, left = _MARGIN_PX
    canvas: Pixels = np.full((height, width, 3), 255, np.uint8)
    steps, values = ([point[axis] for points in panel.curves.values() for point in points] for axis in (0, 1))
    (first, last), (low, high) = ((min(of), max(of)) for of in (steps, values))
    scale_x = (width - left - right) / max(last - first, 1)
    scale_y = (height - top - bottom) / max(high - low, 1e-9)

    cv2.rectangle(canvas, (left, top), (width - right, height - bottom), (200, 200, 200), 1)
    _write(canvas, panel.title, (left, 18), 0.5)
    for text, y in ((f"{high:.3g}", top + 8), (f"{low:.3g}", height - bottom)):
        _write(canvas, text, (4, y), _SMALL)
    _write(canvas, f"step {first}", (left, height - 10), _SMALL)
    _write(canvas, str(last), (width - right - 50, height - 10), _SMALL)
    places = _places(panel.curves, left + 8, width - right)
    for index, ((name, points), (column, row)) in enumerate(zip(panel.curves.items(), places, strict=True)):
        colour = _COLOURS[index % len(_COLOURS)]
        line = [
            (left + (step - first) * scale_x, height - bottom - (value - low) * scale_y)
            for step, value in points
        ]
        pixels = np.round(line).astype(np.int32)
        cv2.polylines(canvas, [pixels], False, colour, 1, cv2.LINE_AA)
        if len(pixels) == 1:
            cv2.circle(canvas, pixels[0].tolist(), 2, colour, -1, cv2.LINE_AA)
        _write(canvas, name, (column, top + 16 + 16 * row), _SMALL, colour)
    return canvas


def _places(names: Iterable[str], left: int, right: int) -> list[tuple[int, int]]:
    """Where each name of a legend begins, in pixels from the left, and in which row."""
    places, column, row = [], left, 0
    for name in names:
        (wide, _), _ = cv2.getTextSize(name, _FONT, _SMALL, 1)
        if column > left and column + wide > right:
            column, row = left, row + 1
        places.append((column, row))
        column += wide + 14
    return places


def _write(
    canvas: Pixels, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int] = (0, 0, 0)
) -> None:
    cv2.putText(canvas, text, place, _FONT, size, colour, 1, cv2.LINE_AA)
