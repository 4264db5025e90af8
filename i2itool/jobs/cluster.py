"""Workers on a cluster of machines, or on this one, that Ray starts and watches over.

Ray sends nothing home and opens nothing to other hosts for us: one that we start listens on this machine's
own address, and to those alone who know the secret of this run.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from i2itool.errors import EngineError, MissingExtra
from i2itool.jobs.actor import Actor, Message
from i2itool.jobs.outcome import Outcome
from i2itool.jobs.plan import Task
from i2itool.jobs.split import Given, PartTask, absolute, file_of
from i2itool.jobs.worker import Kind, Setup

logger = logging.getLogger("i2itool.jobs")

LOCAL = "local"
# For an actor to clean up after itself, once it is told to stop.
_SECONDS_TO_STOP = 20
_SECONDS_TO_ANSWER = 10
# Files go through folders, never through Ray: the least that its store of objects takes is plenty.
_STORE_BYTES = 80 * 2**20
# Sockets lie in Ray's folder, and their paths may have 107 bytes, most of which Ray takes.
_LONGEST_FOLDER = 40
# Nothing is reported to Ray's makers, and its own messages stay off standard output, which is for results.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "^"}
# Ray keeps to the loopback device; the variable is named for the systems where that is the default.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@dataclass(frozen=True, slots=True)
class Seat:
    """A place for one worker on a machine of the cluster.

    node: Ray's name of the machine.  gpus, cpus: that it has to itself.  share, num_shares: of its cores.
    """

    node: str
    gpus: int
    cpus: float
    share: int
    num_shares: int


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
            return self._dead("the worker that was at it ended with an error")
        except ray.exceptions.RayError:
            return self._dead(f"worker {self.name}, which was at it, died or its machine is gone")
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
        ray.wait(list(asked), num_returns=1)
        answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for reference in answered:
            worker = asked[reference]
            if not worker.is_dead:
                for kind, value in worker.hear(reference):
                    yield worker, kind, value


@contextmanager
def joined(address: str, *, jobs: int, device: str) -> Iterator[list[Seat]]:
    """Join the cluster at an address, or start one here for "local"; gives the seats that it has.

    jobs: workers on a machine without GPUs; else there is one a GPU.
    Raises MissingExtra without Ray, EngineError if there is no such cluster.
    """
    if find_spec("ray") is None:
        raise MissingExtra("--cluster needs Ray", hint="pip install 'i2itool[cluster]'")
    folder = None
    try:
        if address == LOCAL:
            folder = _own_folder()
            _start(folder, jobs)
        else:
            _join(address)
        yield _seats(jobs, device)
    finally:
        import ray

        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _own_folder() -> Path:
    folder = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="i2itool-", dir=folder if len(folder) < _LONGEST_FOLDER else "/tmp"))


def _start(folder: Path, jobs: int) -> None:
    import torch

    os.environ.update(_QUIET | _LOOPBACK)
    # So that no other user of this machine can join.
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    ray.init(
        num_cpus=max(jobs, torch.cuda.device_count(), 1),
        num_gpus=torch.cuda.device_count(),
        include_dashboard=False,
        object_store_memory=_STORE_BYTES,
        log_to_driver=False,
        configure_logging=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
        _temp_dir=str(folder),
    )


def _join(address: str) -> None:
    os.environ.update(_QUIET)
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host in ("127.0.0.1", "localhost"):
        # Else Ray would look for it at this machine's outer address.
        os.environ.update(_LOOPBACK)
    import ray

    try:
        if port.isdigit():
            # Ray itself would try for minutes.
            socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
        ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or ["no answer"])[0]
        hint = "`ray start --head` on the machine that is to direct"
        raise EngineError(f"no cluster of Ray at {address}: {reason}", hint=hint) from error


def _seats(jobs: int, device: str) -> list[Seat]:
    import ray

    seats = []
    for node in ray.nodes():  # type: ignore[no-untyped-call]  # Ray's
        resources = node["Resources"]
        gpus = int(resources.get("GPU", 0)) if device != "cpu" else 0
        cpus = resources.get("CPU", 0)
        # A head that is there to direct has none.
        count = gpus or (jobs if cpus else 0)
        if node["Alive"]:
            seats += [Seat(node["NodeID"], min(gpus, 1), cpus / count, i, count) for i in range(count)]
    if not seats:
        raise EngineError("the cluster has no processor for us", hint="`ray status` shows what it has")
    logger.info("%d workers on %d machines", len(seats), len({seat.node for seat in seats}))
    return seats
