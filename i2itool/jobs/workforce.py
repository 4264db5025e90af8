"""Who does a batch: this process, worker processes, or the actors of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from i2itool.errors import OptionError
from i2itool.jobs.backlog import DEFAULT_RETRIES
from i2itool.jobs.cluster import Cluster
from i2itool.jobs.pool import Crew
from i2itool.jobs.processes import Processes
from i2itool.jobs.seats import joined
from i2itool.jobs.worker import Setup


@dataclass(frozen=True, slots=True)
class Workforce:
    """What was asked for, see `convert_many`."""

    jobs: int = 1
    cluster: str | None = None
    retries: int | None = None

    def check(self) -> None:
        """Raise OptionError for what cannot be."""
        if self.jobs < 1:
            raise OptionError(f"{self.jobs} jobs are impossible", hint="1 or more")
        if self.retries is not None and self.retries < 0:
            raise OptionError(f"{self.retries} retries are impossible", hint="0 or more")

    @property
    def is_this_process(self) -> bool:
        """Whether no worker is needed; retries need one, which may die."""
        return self.cluster is None and self.retries is None and self.jobs == 1

    @property
    def most_retries(self) -> int:
        """How often something is tried again whose worker died."""
        return DEFAULT_RETRIES if self.retries is None else self.retries

    @contextmanager
    def crew(self, setup: Setup) -> Iterator[Crew[Any]]:  # Any: each has workers of its own
        """The workers to be; raises MissingExtra or EngineError if there is no such cluster."""
        if self.cluster is None:
            yield Processes(setup, self.jobs)
            return
        with joined(self.cluster, jobs=self.jobs, device=setup.options.device) as seats:
            yield Cluster(setup, seats)
