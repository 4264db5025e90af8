"""Nothing beside the pictures: what numbered pictures and pipes have in the place of other streams."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType
from typing import Self

from av.container import OutputContainer
from av.stream import Stream


class NoStreams:
    """In the place of `OtherStreams` where there are none, as beside numbered pictures."""

    format_name = ""
    has_unusual_tags = False
    start_ticks_per_second = 1

    def __init__(self) -> None:
        self.lost: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open."""

    def settle(self, output: OutputContainer) -> None:
        """Nothing is lost."""

    def copy_head(self, output: OutputContainer) -> None:
        """Nothing is said about nothing."""

    def copy_video_tags(self, video: Stream) -> None:
        """Nor about the video."""

    def add_to(self, output: OutputContainer, *, after_video: bool) -> None:
        """No stream is added."""

    def mux_until(self, output: OutputContainer, seconds: Fraction | None) -> None:
        """No packet is copied."""
