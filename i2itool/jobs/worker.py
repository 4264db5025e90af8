"""What a worker is wherever it runs: what it is given, what it says, and the cores that it keeps to."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from i2itool.options import ConvertOptions
from i2itool.preset import Preset

# What a worker says: that it is ready, how far it is, what it has done, what went wrong at the start; and
# what is said of one that says nothing any more.
Kind = Literal["ready", "note", "log", "outcome", "error", "died"]
Say = Callable[[Kind, object], None]

_SECONDS_BETWEEN_NOTES = 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What every worker is given. log_level: of what it passes on."""

    preset: Preset
    options: ConvertOptions
    log_level: int


@dataclass(frozen=True, slots=True)
class Note:
    """How far a file is. total: None if unknown.  rate: units a second."""

    label: str
    done: int
    total: int | None
    unit: str
    rate: float

    def __str__(self) -> str:
        """`clip.mp4 120/3000 frames, 3.4/s`."""
        of_total = "" if self.total is None else f"/{self.total}"
        return f"{self.label} {self.done}{of_total} {self.unit}, {self.rate:.1f}/s"

    @property
    def share(self) -> float:
        """How much of the file is done, from 0 to 1; 0 if that is unknown."""
        return min(1.0, self.done / self.total) if self.total else 0.0


class NoteReporter:
    """A `Reporter` that says how far a file is, about once a second.

    is_stopped: is asked with each frame; if so, the work ends as by Ctrl-C.
    """

    def __init__(self, say: Say, is_stopped: Callable[[], bool] = lambda: False) -> None:
        self._say = say
        self._is_stopped = is_stopped
        self._next_seconds = 0.0

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        """Remember the file."""
        self._label, self._total, self._done, self._unit = label, total, done, unit
        self._done_before, self._started_seconds = done, time.monotonic()

    def advance(self, count: int = 1, *, note: str = "") -> None:  # noqa: ARG002 - the file is told of
        """Say how far it is, when it is time to."""
        if self._is_stopped():
            raise KeyboardInterrupt
        self._done += count
        now = time.monotonic()
        if now >= self._next_seconds:
            self._next_seconds = now + _SECONDS_BETWEEN_NOTES
            rate = (self._done - self._done_before) / max(now - self._started_seconds, 1e-3)
            self._say("note", Note(self._label, self._done, self._total, self._unit, rate))

    def finish(self) -> None:
        """Nothing: the outcome follows."""


def core_shares(count: int) -> list[list[int]]:
    """The cores that this process may use, dealt out to `count` workers; shared if there are too few.

    Each has as many, and some may be left over: on more of them what a worker takes up would be rounded
    otherwise than what another has begun.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _all_cores()
    num_each = max(1, len(cores) // count)
    return [cores[index::count][:num_each] or [cores[index % len(cores)]] for index in range(count)]


def keep_to(cores: Sequence[int]) -> None:
    """Share the processor: torch, OpenVINO and the codecs each take as many threads as they see cores."""
    if hasattr(os, "sched_setaffinity"):
        # Threads have each their own; those to come take after the one that starts them.
        for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 - numbers, no paths
            os.sched_setaffinity(int(thread), cores)
    import torch

    torch.set_num_threads(len(cores))


def pass_on_logs(say: Say, level: int) -> None:
    """Send what is logged to the parent, which knows where it goes."""
    logger = logging.getLogger("i2itool")
    logger.setLevel(level)
    logger.addHandler(_SayHandler(say))
    logger.propagate = False
    # As in the parent, unless it is verbose.
    if level > logging.DEBUG:
        warnings.simplefilter("ignore")


class _SayHandler(logging.Handler):
    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say("log", (record.name, record.levelno, record.getMessage()))


def _all_cores() -> list[int]:
    return list(range(os.cpu_count() or 1))
