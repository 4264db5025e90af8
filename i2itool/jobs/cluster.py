"""Workers on a cluster of machines, or on this one, that Ray starts and watches over."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from i2itool.jobs.actor import Actor, Message
from i2itool.jobs.outcome import Outcome
from i2itool.jobs.plan import Task
from i2itool.jobs.seats import Seat
from i2itool.jobs.split import Given, PartTask, absolute, file_of
from i2itool.jobs.worker import Kind, Setup

logger = logging.getLogger("i2itool.jobs")

# For an actor to clean up after itself, once it is told to stop.
_SECONDS_TO_STOP = 20
# Without a worker, until something is said about it; a machine may still come.
_SECONDS_OF_SILENCE = 60


class ClusterWorker:
    """A `Worker`: an actor, and what it has been asked and has not answered yet."""

    def __init__(self, setup: Setup, place: int, seat: Seat) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.place = place
        self.name = str(place + 1)
        self.is_ready = self.is_dead = False
        self.task: Given | None = None
        # Any: Ray's classes of actors are made as the program runs.
        kind: Any = ray.remote(Actor)
        self._actor = kind.options(
            num_cpus=seat.cpus,
            num_gpus=seat.gpus,
            # It listens and can be stopped while it works.
            max_concurrency=4,
            # Should the machine be gone, any other one will do.
            scheduling_strategy=NodeAffinitySchedulingStrategy(seat.node, soft=True),
        ).remote(setup, seat.share, seat.num_shares)
        self.answer: Any = self._actor.open.remote()
        self.news: Any = self._actor.listen.remote()

    def give(self, work: Given) -> None:
        """Have it do something; it may stand in another folder."""
        self.task = work
        self.answer = self._actor.do.remote(absolute(work))

    def hear(self, reference: Any) -> list[Message]:  # Any: a reference of Ray's
        """What an answer holds; that the actor is dead, if it holds nothing."""
        import ray

        try:
            messages: list[Message] = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            # A bug of ours: it keeps its traceback, and the actor may be in any state.
            logger.error("%s", error)
            return self._dead(f"its worker, {self.name}, ended with an error")
        except ray.exceptions.RayError:
            return self._dead(f"its worker, {self.name}, died or its machine is gone")
        if reference is self.news:
            self.news = self._actor.listen.remote()
        else:
            self.answer = None
        return [(kind, self._taken(kind, value)) for kind, value in messages]

    def end(self) -> None:
        """Have it clean up."""
        if self.task is not None:
            self._actor.stop.remote()

    def join(self) -> None:
        """Wait for it, and kill it: it would listen for ever."""
        import ray

        if self.task is not None and self.answer is not None and not self.is_dead:
            ray.wait([self.answer], timeout=_SECONDS_TO_STOP)
        ray.kill(self._actor)

    def _dead(self, how: str) -> list[Message]:
        self.is_dead = True
        return [("died", how)]

    def _taken(self, kind: Kind, value: object) -> object:
        if kind == "ready":
            self.name = f"{value} {self.place + 1}"
        if not isinstance(value, Outcome):
            return value
        assert isinstance(self.task, Task | PartTask)
        # Under the names that it was given here.
        task = file_of(self.task)
        converted = value.converted and replace(value.converted, input=task.source, output=task.target)
        return replace(value, task=task, converted=converted)


class Cluster:
    """A worker for each seat; a `Crew`."""

    def __init__(self, setup: Setup, seats: Sequence[Seat]) -> None:
        preset = setup.preset.model_copy(update={"folder": setup.preset.folder.absolute()})
        self._setup = replace(setup, preset=preset)
        self._seats = seats
        self.size = len(seats)

    def hire(self, place: int, count: int) -> ClusterWorker:  # noqa: ARG002 - each place has its share
        """Start the worker of a place, from 0, on its machine or wherever there is room."""
        return ClusterWorker(self._setup, place, self._seats[place])

    def hear(self, workers: Sequence[ClusterWorker]) -> Iterator[tuple[ClusterWorker, Kind, object]]:
        """Wait until a worker says something, or is no more."""
        import ray

        asked = {
            reference: worker
            for worker in workers
            for reference in (worker.answer, worker.news)
            if reference is not None
        }
        if not ray.wait(list(asked), timeout=_SECONDS_OF_SILENCE)[0] and not any(w.is_ready for w in workers):
            logger.warning("the cluster has no room for a worker: `ray status` shows what it waits for")
        answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for reference in answered:
            worker = asked[reference]
            if not worker.is_dead:
                for kind, value in worker.hear(reference):
                    yield worker, kind, value
