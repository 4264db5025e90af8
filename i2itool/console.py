"""What a person sees on stderr: log lines and progress; plain lines when stderr is no terminal."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress, TaskID


def printable(text: object) -> str:
    """One line of text, as a name or an error; what would move the cursor or cannot be encoded is escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(text)
    )


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


@dataclass(slots=True)
class Pace:
    """How far a piece of work is and how fast it goes.

    Work done earlier counts as done, never as speed: after a resume the estimate stays honest.
    started_seconds: the clock's reading at the start.
    """

    total: int | None
    done: int
    unit: str
    started_seconds: float
    done_before: int

    def rate(self, now_seconds: float) -> float:
        """Units per second since the start; 0 as long as nothing is known."""
        elapsed = now_seconds - self.started_seconds
        return (self.done - self.done_before) / elapsed if elapsed > 0 else 0.0

    def eta_seconds(self, now_seconds: float) -> float | None:
        """Seconds to go at the rate so far; None if the total or the rate is unknown."""
        rate = self.rate(now_seconds)
        if self.total is None or rate == 0:
            return None
        return max(self.total - self.done, 0) / rate

    def describe(self, now_seconds: float) -> str:
        """`120/250 frames, 3.4 frames/s, elapsed 0:35, ETA 0:38`."""
        of_total = "" if self.total is None else f"/{self.total}"
        eta = self.eta_seconds(now_seconds)
        rate = self.rate(now_seconds)
        parts = [
            f"{self.done}{of_total} {self.unit}",
            f"{rate:.{2 if rate < 10 else 0}f} {self.unit}/s",
            f"elapsed {clock_time(now_seconds - self.started_seconds)}",
        ]
        return ", ".join(parts if eta is None else [*parts, f"ETA {clock_time(eta)}"])


def clock_time(seconds: float) -> str:
    """`0:07`, `12:34` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class PlainReporter:
    """A line every `every_seconds` and one at the end; for logs and pipes."""

    def __init__(
        self, *, every_seconds: float = 10.0, clock_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_seconds = every_seconds
        self._clock_seconds = clock_seconds
        self._pace: Pace | None = None
        self._label = self._note = ""
        self._next_line_seconds = 0.0

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        """Remember the work; the first line comes after `every_seconds`."""
        now = self._clock_seconds()
        self._label, self._note = label, ""
        self._pace = Pace(total, done, unit, now, done_before=done)
        self._next_line_seconds = now + self._every_seconds

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Count, and write a line when one is due."""
        assert self._pace is not None, "advance() before start()"
        self._pace.done += count
        self._note = note
        if self._clock_seconds() >= self._next_line_seconds:
            self._next_line_seconds = self._clock_seconds() + self._every_seconds
            self._write_line()

    def finish(self) -> None:
        """Write the last line; a second call does nothing."""
        if self._pace is not None:
            self._write_line()
            self._pace = None

    def _write_line(self) -> None:
        assert self._pace is not None
        note = f", {self._note}" if self._note else ""
        _write(f"{self._label}: {self._pace.describe(self._clock_seconds())}{note}")


class RichReporter:
    """A bar with percentage, and below it counts, rate, elapsed time, estimate and note; for terminals."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._pace: Pace | None = None

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.text import Text

        class BarAndWords(Progress):
            """The words have a line of their own, which wraps: narrow terminals would cut them off."""

            def get_renderables(self) -> Iterator[RenderableType]:
                yield from super().get_renderables()
                for task in self.tasks:
                    yield Text(", ".join(filter(None, (task.fields["pace"], task.fields["note"]))))

        self.finish()
        self._pace = Pace(total, done, unit, time.monotonic(), done_before=done)
        self._progress = BarAndWords(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%" if total else "", markup=False),
            console=Console(stderr=True),
        )
        pace = self._pace.describe(time.monotonic())
        self._task = self._progress.add_task(label, total=total, completed=done, pace=pace, note="")
        self._progress.start()

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Move the bar."""
        assert self._progress is not None, "advance() before start()"
        assert self._task is not None
        assert self._pace is not None
        self._pace.done += count
        pace = self._pace.describe(time.monotonic())
        self._progress.update(self._task, completed=self._pace.done, pace=pace, note=note)

    def finish(self) -> None:
        """Leave the bar as it stands; a second call does nothing."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


@contextmanager
def reporting(
    reporter: Reporter, label: str, total: int | None, *, unit: str = "frames", done: int = 0
) -> Iterator[None]:
    """Tell of a piece of work for as long as the block lasts, however it ends."""
    reporter.start(label, total, done=done, unit=unit)
    try:
        yield
    finally:
        reporter.finish()


def open_reporter(quiet: bool) -> Reporter:
    """The reporter that suits stderr: a bar on a terminal, else plain lines; silent if asked to be.

    Asked by `quiet`, or by `i2itool -q`, which leaves errors only in the log.
    """
    if quiet or not logging.getLogger("i2itool").isEnabledFor(logging.WARNING):
        return SilentReporter()
    return RichReporter() if sys.stderr.isatty() else PlainReporter()


def _write(line: str) -> None:
    """Write a line to stderr; one that cannot be written (a full disk, a closed pipe) ends no long run."""
    with suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class _StderrHandler(logging.Handler):
    """Writes to whatever sys.stderr is at the moment: a live bar replaces it to keep lines above the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        _write(self.format(record))


def configure_logging(*, verbose: bool, quiet: bool) -> None:
    """Send log lines to stderr; for the command line only, since a library leaves logging to its host."""
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    logging.getLogger("i2itool").setLevel(level)
    # What libraries say of a damaged file tells developers where, and users nothing.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.DEBUG if verbose else logging.ERROR)
