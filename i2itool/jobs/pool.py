"""Worker processes: tasks out, outcomes in; a worker that dies takes one file with it and no more."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Self

from i2itool.console import Reporter
from i2itool.errors import EngineError
from i2itool.jobs.outcome import Outcome, failed
from i2itool.jobs.plan import Task
from i2itool.jobs.worker import Setup, block_interrupts, unblock_interrupts, work

# For a worker to clean up after itself, once it is told to stop.
_SECONDS_TO_STOP = 20


class Worker:
    """A process, the pipe to it, and the task that it is at."""

    def __init__(self, setup: Setup, cores: Sequence[int]) -> None:
        # Not forked: threads and CUDA do not survive that.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.cores = cores
        self.is_ready = False
        self.task: Task | None = None
        self.process: SpawnProcess = context.Process(target=work, args=(theirs, setup, cores), daemon=True)
        # Until it has said what Ctrl-C means to it, none may reach it.
        block_interrupts()
        try:
            self.process.start()
        finally:
            unblock_interrupts()
        # Only its own end stays open in the worker, so that it sees when this side is gone.
        theirs.close()

    def end(self) -> None:
        """Let it finish, if it is idle, or have it clean up."""
        if self.is_ready and self.task is None and self.process.is_alive():
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


class Pool:
    """`jobs` workers with a share of the cores each; they have ended when the block ends."""

    def __init__(self, setup: Setup, jobs: int, reporter: Reporter) -> None:
        self._setup = setup
        self._reporter = reporter
        self._shares = core_shares(jobs)
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()
        for worker in self._workers:
            worker.join()

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """What has become of each task, as they are finished; raises what a worker cannot start for."""
        waiting = deque(tasks)
        missing = len(tasks)
        for cores in self._shares[: len(tasks)]:
            self._workers.append(Worker(self._setup, cores))
        while missing:
            by_connection = {worker.connection: worker for worker in self._workers}
            for connection in wait(list(by_connection)):
                assert isinstance(connection, Connection)
                outcome = self._hear(by_connection[connection], waiting)
                if outcome is not None:
                    missing -= 1
                    yield outcome

    def _hear(self, worker: Worker, waiting: deque[Task]) -> Outcome | None:
        """Take what a worker says, and give it more to do when it is free."""
        try:
            kind, value = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            return self._replace(worker, has_more=bool(waiting))
        if kind == "error":
            raise value
        if kind == "note":
            self._reporter.advance(0, note=value)
        elif kind == "log":
            name, level, message = value
            logging.getLogger(name).log(level, "%s", message)
        else:
            worker.is_ready = True
            worker.task = waiting.popleft() if waiting else None
            if worker.task is not None:
                # One that has died meanwhile is heard of next.
                with suppress(BrokenPipeError, ConnectionResetError):
                    worker.connection.send(worker.task)
        return value if kind == "outcome" else None

    def _replace(self, worker: Worker, *, has_more: bool) -> Outcome | None:
        """A worker has died: of the machine, of a codec, or of a bug of ours, which it has printed."""
        self._workers.remove(worker)
        worker.join()
        how = f"the process that was at it ended with {worker.process.exitcode}"
        if not worker.is_ready:
            raise EngineError(f"a worker cannot start: it ended with {worker.process.exitcode}")
        if has_more:
            self._workers.append(Worker(self._setup, worker.cores))
        return None if worker.task is None else failed(worker.task, EngineError(how))


def core_shares(jobs: int) -> list[list[int]]:
    """The cores that this process may use, dealt out to `jobs` workers; shared if there are too few."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _all_cores()
    return [cores[index::jobs] or [cores[index % len(cores)]] for index in range(jobs)]


def _all_cores() -> list[int]:
    return list(range(os.cpu_count() or 1))
