"""What every source and sink of frames does, whatever the container."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from i2itool.frames import Frame, VideoInfo


class FrameSource(Protocol):
    """Frames in order of time; a context manager that owns the open file."""

    info: VideoInfo

    def __iter__(self) -> Iterator[Frame]:
        """Every frame once, upright, each with its own time stamp."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FrameSink(Protocol):
    """Takes frames in order of time; the output appears under its name only when the block ends well.

    When the block ends with an exception, nothing is left behind.
    """

    def write(self, frame: Frame) -> None:
        """Add a frame; its time stamp is kept."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
