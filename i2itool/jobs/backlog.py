"""What is still to be done: which task is next, and what becomes of one whose worker died."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Sequence

from i2itool.errors import EngineError
from i2itool.jobs.outcome import BUSY, Outcome, failed
from i2itool.jobs.plan import Task

logger = logging.getLogger("i2itool.jobs")

DEFAULT_RETRIES = 2


class Backlog:
    """Tasks, each taken by one worker at a time until its outcome is known.

    retries: how often a task is tried again whose worker died at it, behind all others; then it is given up,
    so that one that kills every worker does not hold up the rest.
    """

    def __init__(self, tasks: Sequence[Task], *, retries: int = DEFAULT_RETRIES) -> None:
        self._waiting = deque(tasks)
        self._num_open = len(tasks)
        self._retries = retries
        self._losses: Counter[Task] = Counter()

    @property
    def is_open(self) -> bool:
        """Whether an outcome is missing."""
        return self._num_open > 0

    @property
    def num_waiting(self) -> int:
        """How many tasks no worker is at."""
        return len(self._waiting)

    def take(self) -> Task | None:
        """The next task; None if all are done or being done."""
        return self._waiting.popleft() if self._waiting else None

    def finish(self, task: Task, outcome: Outcome) -> Outcome | None:
        """A worker is through with a task; its outcome, or None if it is to be done again."""
        if outcome.reason == BUSY and self._losses[task]:
            # The worker that was lost is not quite dead, as on a machine that has dropped off the network.
            return self.lose(task, "the worker that was lost still holds it")
        self._num_open -= 1
        return outcome

    def lose(self, task: Task, how: str) -> Outcome | None:
        """A worker died at a task; its outcome if it is given up, or None if it is to be done again.

        how: what is known of the death.
        """
        self._losses[task] += 1
        if self._losses[task] <= self._retries:
            logger.warning("%s: %s; it is tried again", task.source, how)
            self._waiting.append(task)
            return None
        self._num_open -= 1
        given_up = f", {self._losses[task]} times, and it is given up" if self._retries else ""
        return failed(task, EngineError(f"{how}{given_up}"))
