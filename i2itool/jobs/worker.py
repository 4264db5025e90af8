"""A process that makes files, one after the other, as it is told over a pipe."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Literal, NoReturn

from i2itool.errors import I2IError
from i2itool.options import ConvertOptions
from i2itool.preset import Preset

# What a worker says: that it is ready, how far it is, what it has done, what went wrong at the start.
Kind = Literal["ready", "note", "log", "outcome", "error"]

_SECONDS_BETWEEN_NOTES = 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What every worker is given. log_level: of what it passes on."""

    preset: Preset
    options: ConvertOptions
    log_level: int


def work(connection: Connection, setup: Setup, cores: Sequence[int]) -> None:
    """Make files until told that there are no more, or until the other side is gone.

    cores: those to run on. SIGTERM ends it as Ctrl-C would, leaving nothing half-written.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    # Ctrl-C reaches every process of a terminal; what is to be done about it, the parent says.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    unblock_interrupts()
    line = _Line(connection)
    try:
        _keep_to(cores)
        _pass_on_logs(line, setup.log_level)
        _serve(line, setup)
    except (KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        return


def block_interrupts() -> None:
    """Hold Ctrl-C back, also in processes started meanwhile, until it is unblocked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def unblock_interrupts() -> None:
    """Let Ctrl-C through again, also one that came meanwhile."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class _Line:
    """The pipe to the parent, which several threads may use."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def say(self, kind: Kind, value: object) -> None:
        with self._lock:
            self.connection.send((kind, value))


class _NoteReporter:
    """Tells the parent how far a file is, in words."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._next_seconds = 0.0

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        """Remember the file."""
        self._label, self._total, self._done, self._unit = label, total, done, unit

    def advance(self, count: int = 1, *, note: str = "") -> None:  # noqa: ARG002 - the file is told of
        """Say how far it is, when it is time to."""
        self._done += count
        if time.monotonic() >= self._next_seconds:
            self._next_seconds = time.monotonic() + _SECONDS_BETWEEN_NOTES
            self._line.say("note", describe(self._label, self._done, self._total, self._unit))

    def finish(self) -> None:
        """Nothing: the outcome follows."""


def describe(label: str, done: int, total: int | None, unit: str) -> str:
    """`clip.mp4 120/3000 frames`."""
    return f"{label} {done}{'' if total is None else f'/{total}'} {unit}"


class _LineHandler(logging.Handler):
    """Passes log records on to the parent, which knows where they go."""

    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._line.say("log", (record.name, record.levelno, record.getMessage()))


def _serve(line: _Line, setup: Setup) -> None:
    # Only here, when the process has been told how many cores it has.
    from i2itool.conversion import open_translator
    from i2itool.jobs.outcome import do

    try:
        translator = open_translator(setup.preset, setup.options)
    except I2IError as error:
        line.say("error", error)
        return
    with translator:
        line.say("ready", None)
        while (task := line.connection.recv()) is not None:
            line.say("outcome", do(task, translator, setup.options, _NoteReporter(line)))


def _keep_to(cores: Sequence[int]) -> None:
    """Share the processor: torch, OpenVINO and the codecs each take as many threads as they see cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    import torch

    torch.set_num_threads(len(cores))


def _pass_on_logs(line: _Line, level: int) -> None:
    logger = logging.getLogger("i2itool")
    logger.setLevel(level)
    logger.addHandler(_LineHandler(line))
    logger.propagate = False
    # As in the parent, unless it is verbose.
    if level > logging.DEBUG:
        warnings.simplefilter("ignore")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
