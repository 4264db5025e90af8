"""What a person sees on stderr: log lines and progress; plain lines when stderr is no terminal."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Is told of progress by the library, which never prints itself."""

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        """Begin a piece of work of `total` units (None: unknown), `done` of them finished earlier."""
        ...

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """`count` more units are done; `note` is shown beside the bar, for example the losses."""
        ...

    def finish(self) -> None:
        """The piece of work is over, well or not."""
        ...


class SilentReporter:
    """Says nothing; the default of the Python API."""

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        """Nothing."""

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""
