"""A run on one page: previews on a time slider and the curves, in a file that needs nothing else."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np

from i2itool.errors import InputError, OutputError
from i2itool.pictures import read_picture, spread, write_picture

from .config import TrainConfig
from .curves import Panel, draw_curves, read_panels
from .report_page import PAGE
from .run import RunFolder

# What keeps the page at a few megabytes.
MAX_PREVIEWS, MAX_WIDTH_PX, JPEG_QUALITY = 40, 1200, 85


def write_report(run: RunFolder, config: TrainConfig, *, step: int, alarms: list[str]) -> None:
    """Write curves.png and report.html anew. Raises OutputError if they cannot be written.

    step: how many are done.  alarms: what the watchdogs say at the moment, in words.
    """
    panels = read_panels(run.log_path)
    write_picture(run.path / "curves.png", draw_curves(panels))
    previews = spread(sorted((run.path / "previews").glob("*.png")), MAX_PREVIEWS)
    shown = [(int(path.stem), as_jpeg(path)) for path in previews]
    data = {
        "name": config.name,
        "step": step,
        "steps": config.steps,
        "alarms": alarms,
        "recipe": config.model_dump_json(indent=2),
        "previews": [{"step": seen, "src": source} for seen, source in shown if source is not None],
        "panels": [_as_table(panel) for panel in panels],
    }
    # "</script>" within a name must not end the script.
    page = PAGE.replace("DATA", json.dumps(data).replace("</", "<\\/"), 1)
    path = run.path / "report.html"
    temporary = path.with_suffix(".part")
    try:
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def as_jpeg(path: Path) -> str | None:
    """A picture as a data URI, no wider than MAX_WIDTH_PX; None for one that a power cut has torn."""
    try:
        picture = read_picture(path)
    except InputError:
        return None
    if picture.shape[1] > MAX_WIDTH_PX:
        height = round(picture.shape[0] * MAX_WIDTH_PX / picture.shape[1])
        picture = np.asarray(
            cv2.resize(picture, (MAX_WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def _as_table(panel: Panel) -> dict[str, object]:
    curves = {
        name: [[step, float(f"{value:.4g}")] for step, value in points]
        for name, points in panel.curves.items()
    }
    return {"title": panel.title, "curves": curves}
