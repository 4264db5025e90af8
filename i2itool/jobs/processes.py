"""Workers that are processes of this machine, each at the other end of a pipe."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from i2itool.errors import I2IError
from i2itool.jobs.worker import Kind, NoteReporter, Setup, core_shares, keep_to, pass_on_logs

if TYPE_CHECKING:
    from i2itool.jobs.split import Given

# For a worker to clean up after itself, once it is told to stop.
_SECONDS_TO_STOP = 20


class Process:
    """A `Worker`: a process, the pipe to it, and the task that it is at."""

    def __init__(self, setup: Setup, place: int, cores: Sequence[int]) -> None:
        # Not forked: threads and CUDA do not survive that.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.place = place
        self.name = str(place + 1)
        self.is_ready = False
        self.task: Given | None = None
        self.process: SpawnProcess = context.Process(target=work, args=(theirs, setup, cores), daemon=True)
        # Until it has said what Ctrl-C means to it, none may reach it.
        _block_interrupts()
        try:
            self.process.start()
        finally:
            _unblock_interrupts()
        # Only its own end stays open in the worker, so that it sees when this side is gone.
        theirs.close()

    def give(self, work: Given) -> None:
        """Have it do something."""
        self.task = work
        # One that has died meanwhile is heard of next.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(work)

    def end(self) -> None:
        """Let it finish, if it is idle, or have it clean up."""
        if self.is_ready and self.task is None and self.process.is_alive():
            with suppress(BrokenPipeError, ConnectionResetError):
                self.connection.send(None)
        else:
            self.process.terminate()

    def join(self) -> None:
        """Wait for it; kill it if it does not come to an end."""
        self.process.join(_SECONDS_TO_STOP)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


class Processes:
    """Up to `size` worker processes with a share of the cores each; a `Crew`."""

    def __init__(self, setup: Setup, size: int) -> None:
        self._setup = setup
        self.size = size

    def hire(self, place: int, count: int) -> Process:
        """Start the worker of a place, from 0, with one of `count` shares of the cores."""
        return Process(self._setup, place, core_shares(count)[place])

    def hear(self, workers: Sequence[Process]) -> Iterator[tuple[Process, Kind, object]]:
        """Wait until a worker says something, or is no more."""
        by_connection = {worker.connection: worker for worker in workers}
        for connection in wait(list(by_connection)):
            assert isinstance(connection, Connection)
            worker = by_connection[connection]
            try:
                kind, value = connection.recv()
            except (EOFError, OSError):
                worker.process.join()
                kind, value = "died", f"the process that was at it ended with {worker.process.exitcode}"
            yield worker, kind, value


def work(connection: Connection, setup: Setup, cores: Sequence[int]) -> None:
    """Make files until told that there are no more, or until the other side is gone.

    cores: those to run on. SIGTERM ends it as Ctrl-C would, leaving nothing half-written.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    # Ctrl-C reaches every process of a terminal; what is to be done about it, the parent says.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _unblock_interrupts()
    line = _Line(connection)
    try:
        keep_to(cores)
        pass_on_logs(line.say, setup.log_level)
        _serve(line, setup)
    except (KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        return


def _serve(line: _Line, setup: Setup) -> None:
    # Only here, when the process has been told how many cores it has.
    from i2itool.conversion import open_translator
    from i2itool.jobs.outcome import answer

    try:
        translator = open_translator(setup.preset, setup.options)
    except I2IError as error:
        line.say("error", error)
        return
    with translator:
        line.say("ready", None)
        while (given := line.connection.recv()) is not None:
            line.say("outcome", answer(given, translator, setup.options, NoteReporter(line.say)))


class _Line:
    """The pipe to the parent, which several threads may use."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def say(self, kind: Kind, value: object) -> None:
        with self._lock:
            self.connection.send((kind, value))


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _block_interrupts() -> None:
    """Hold Ctrl-C back, also in processes started meanwhile, until it is unblocked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _unblock_interrupts() -> None:
    """Let Ctrl-C through again, also one that came meanwhile."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
