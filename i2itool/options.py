"""What the user may ask of a command; the defaults live here and click reads them from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["a2b", "b2a"]
DIRECTIONS: tuple[Direction, ...] = ("a2b", "b2a")


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """How `convert` works.

    batch_size: frames that go through the network at once.  codec: an FFmpeg encoder name, or None for the
    default of the container.  crf: constant rate factor of the encoder, lower is better; 18 is visually
    lossless for x264.  trim: START:END of a video, see `i2itool.trim`.  preview: make a contact sheet of so
    many frames instead.  restart: discard what an interrupted run has finished.
    """

    direction: Direction = "a2b"
    engine: str = "auto"
    device: str = "auto"
    batch_size: int = 1
    codec: str | None = None
    crf: int = 18
    trim: str | None = None
    preview: int | None = None
    overwrite: bool = False
    restart: bool = False
