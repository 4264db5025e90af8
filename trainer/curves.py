"""The figures of a run over its steps, from its log: grouped for the eye, thinned, and drawn."""

from __future__ import annotations

from collections.abc import Sequence
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
_MARGIN_PX = (30, 20, 30, 60)  # top, right, bottom, left
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
    """The panels of a metrics.jsonl that have curves: generators, critics, what comes back, held-out scores.

    A line that is not whole yet is passed over.
    """
    titles = {
        "G": "Generators against critics",
        "D": "Critics",
        "": "How pictures come back",
        "scores": "Held-out pictures",
    }
    groups: dict[str, dict[str, list[Point]]] = {key: {} for key in titles}
    for figures in read_log(log) if log.exists() else ():
        step = figures.pop("step")
        for name, value in figures.pop("scores", {}).items():
            groups["scores"].setdefault(name, []).append((step, value))
        for name, value in figures.items():
            if isinstance(value, float) and name != "images_per_second":
                group = name[0] if name[:2] in ("G_", "D_") else ""
                groups[group].setdefault(name, []).append((step, value))
    return [
        Panel(titles[key], {name: thin(points) for name, points in curves.items()})
        for key, curves in groups.items()
        if curves
    ]


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
        _write(canvas, text, (4, y), 0.4)
    _write(canvas, f"step {first}", (left, height - 10), 0.4)
    _write(canvas, str(last), (width - right - 50, height - 10), 0.4)
    for index, (name, points) in enumerate(panel.curves.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        line = [
            (left + (step - first) * scale_x, height - bottom - (value - low) * scale_y)
            for step, value in points
        ]
        pixels = np.round(line).astype(np.int32)
        cv2.polylines(canvas, [pixels], False, colour, 1, cv2.LINE_AA)
        if len(pixels) == 1:
            cv2.circle(canvas, pixels[0].tolist(), 2, colour, -1, cv2.LINE_AA)
        _write(canvas, name, (left + 8 + 90 * (index % 6), top + 16 + 16 * (index // 6)), 0.4, colour)
    return canvas


def _write(
    canvas: Pixels, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int] = (0, 0, 0)
) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
