"""Workers at a backlog: tasks out, outcomes in, a new worker for one that dies."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from i2itool.errors import EngineError
from i2itool.jobs.backlog import Backlog
from i2itool.jobs.outcome import Outcome
from i2itool.jobs.progress import Progress
from i2itool.jobs.split import Given, ProbeTask
from i2itool.jobs.worker import Kind, Note

logger = logging.getLogger("i2itool.jobs")

# For each worker, of those that die before they are ready, one after the other: then none will be.
_MOST_FALSE_STARTS = 3


class Worker(Protocol):
    """Does one task at a time, somewhere.

    place: among the workers, from 0.  name: for people.  is_ready: whether the preset is loaded.
    task: what it is at.
    """

    place: int
    name: str
    is_ready: bool
    task: Given | None

    def give(self, work: Given) -> None:
        """Have it do something."""
        ...

    def end(self) -> None:
        """Tell it to stop, leaving nothing half-written; returns at once."""
        ...

    def join(self) -> None:
        """Wait until it has stopped, and see to it that it does."""
        ...


SomeWorker = TypeVar("SomeWorker", bound=Worker)


class Crew(Protocol[SomeWorker]):
    """Where workers come from. size: how many there are at once."""

    size: int

    def hire(self, place: int, count: int) -> SomeWorker:
        """Start the worker of a place, with one of `count` shares of the cores."""
        ...

    def hear(self, workers: Sequence[SomeWorker]) -> Iterable[tuple[SomeWorker, Kind, object]]:
        """Wait until some of `workers` say something; what they say, in order."""
        ...


class Pool(Generic[SomeWorker]):
    """A crew at a backlog, one task a worker at a time; all have ended when the block ends."""

    def __init__(self, crew: Crew[SomeWorker], backlog: Backlog, progress: Progress) -> None:
        self._crew = crew
        self._backlog = backlog
        self._progress = progress
        self._workers: list[SomeWorker] = []
        self._num_places = self._num_shares = self._num_false_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()
        for worker in self._workers:
            worker.join()

    def outcomes(self) -> Iterator[Outcome]:
        """What has become of each file, as they are finished; raises what a worker cannot start for."""
        self._num_places = min(self._crew.size, self._backlog.num_waiting)
        # The same for a run that goes on with fewer files. One that is alone gets all that there is.
        self._num_shares = self._crew.size if self._num_places > 1 else 1
        for place in range(self._num_places):
            self._workers.append(self._crew.hire(place, self._num_shares))
        while self._backlog.is_open:
            for worker, kind, value in self._crew.hear(self._workers):
                outcome = self._hear(worker, kind, value)
                self._give_out()
                if outcome is not None:
                    yield outcome

    def _hear(self, worker: SomeWorker, kind: Kind, value: object) -> Outcome | None:
        """Take what a worker says; an outcome, if it settles what becomes of a file."""
        if kind == "error":
            assert isinstance(value, BaseException)
            raise value
        if kind == "note":
            assert isinstance(value, Note)
            if worker.task is not None and not isinstance(worker.task, ProbeTask):
                self._progress.note(worker.name, worker.task, value)
        elif kind == "log":
            assert isinstance(value, tuple)
            name, level, message = value
            logging.getLogger(name).log(level, "%s", message)
        elif kind == "ready":
            worker.is_ready = True
            self._num_false_starts = 0
        elif kind == "outcome":
            assert isinstance(value, Outcome)
            work, worker.task = worker.task, None
            assert work is not None
            assert not isinstance(work, ProbeTask)
            self._progress.count(worker.name, work, value)
            return self._backlog.finish(work, value)
        else:
            return self._replace(worker, str(value))
        return None

    def _give_out(self) -> None:
        for worker in self._workers:
            if worker.is_ready and worker.task is None and (work := self._backlog.take()) is not None:
                worker.give(work)

    def _replace(self, worker: SomeWorker, how: str) -> Outcome | None:
        """A worker has died: of the machine, of a codec, or of a bug of ours, which it has printed."""
        self._workers.remove(worker)
        worker.join()
        self._num_false_starts += not worker.is_ready
        if self._num_false_starts > _MOST_FALSE_STARTS * self._num_places:
            raise EngineError(f"a worker cannot start: {how}")
        if not worker.is_ready:
            logger.warning("a worker could not start, and another one takes its place: %s", how)
        self._progress.drop(worker.name)
        assert not isinstance(worker.task, ProbeTask)
        outcome = None if worker.task is None else self._backlog.lose(worker.task, how)
        if self._backlog.num_waiting:
            self._workers.append(self._crew.hire(worker.place, self._num_shares))
        return outcome
