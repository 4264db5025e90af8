"""What is still to be done: what is next, what waits for what, and what becomes of a lost worker's task."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from i2itool.errors import EngineError
from i2itool.jobs.outcome import BUSY, NO_CUT, Outcome, failed
from i2itool.jobs.plan import Task
from i2itool.jobs.split import PartTask, Work, file_of
from i2itool.video.parts import Part

logger = logging.getLogger("i2itool.jobs")

DEFAULT_RETRIES = 2


class Backlog:
    """Files and parts of files, each taken by one worker at a time until its outcome is known.

    retries: how often something is tried again whose worker died at it, behind all others; then its file is
    given up, so that one that kills every worker does not hold up the rest.
    divided: files that are made in parts. They come first, and when all its parts are made, a file comes as a
    whole, to be joined.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        retries: int = DEFAULT_RETRIES,
        divided: Mapping[Task, Sequence[Part]] | None = None,
    ) -> None:
        divided = divided or {}
        parts = [PartTask(task, part) for task in tasks for part in divided.get(task, ())]
        self._waiting: deque[Work] = deque([*parts, *(task for task in tasks if task not in divided)])
        # Files whose outcome is missing, and the parts of theirs that are missing too.
        self._open: dict[Task, set[int]] = {
            task: {part.index for part in divided.get(task, ())} for task in tasks
        }
        # Parts that have to wait for the one before them.
        self._blocked: dict[Task, dict[int, PartTask]] = {task: {} for task in divided}
        # Those for which it is made.
        self._following: set[PartTask] = set()
        self._retries = retries
        self._losses: Counter[Work] = Counter()

    @property
    def is_open(self) -> bool:
        """Whether an outcome is missing."""
        return bool(self._open)

    @property
    def num_waiting(self) -> int:
        """How many tasks no worker is at, of those that can be begun."""
        return len(self._waiting)

    def take(self) -> Work | None:
        """What is next; None if all is done, being done, or has to wait."""
        return self._waiting.popleft() if self._waiting else None

    def finish(self, work: Work, outcome: Outcome) -> Outcome | None:
        """A worker is through with something; the outcome of its file, or None as long as that is open."""
        if file_of(work) not in self._open:
            return None
        if outcome.reason == BUSY and self._losses[work]:
            # The worker that was lost is not quite dead, as on a machine that has dropped off the network.
            return self.lose(work, "the worker that was lost still holds it")
        if isinstance(work, PartTask):
            return self._finish_part(work, outcome)
        return self._settle(outcome)

    def lose(self, work: Work, how: str) -> Outcome | None:
        """A worker died at something; the outcome of its file if it is given up, else None.

        how: what is known of the death.
        """
        task = file_of(work)
        if task not in self._open:
            return None
        self._losses[work] += 1
        if self._losses[work] <= self._retries:
            logger.warning("%s: %s; it is tried again", task.source, how)
            self._waiting.append(work)
            return None
        given_up = f", {self._losses[work]} times, and it is given up" if self._retries else ""
        return self._settle(failed(task, EngineError(f"{how}{given_up}")))

    def _finish_part(self, work: PartTask, outcome: Outcome) -> Outcome | None:
        task, index, missing = work.whole, work.part.index, self._open[work.whole]
        if outcome.reason == NO_CUT and work not in self._following:
            self._blocked[task][index] = work
            if index - 1 not in missing:
                self._unblock(task, index)
            return None
        # What cannot begin behind a finished part has no frames; if it had, the whole would make them.
        if outcome.reason != NO_CUT and outcome.status != "done":
            return self._settle(outcome)
        missing.remove(index)
        self._unblock(task, index + 1)
        if not missing:
            self._waiting.appendleft(task)
        return None

    def _unblock(self, task: Task, index: int) -> None:
        """The part before one is made."""
        if (part := self._blocked[task].pop(index, None)) is not None:
            self._following.add(part)
            self._waiting.appendleft(part)

    def _settle(self, outcome: Outcome) -> Outcome:
        """The outcome of a file is known, and whatever is left of it need not be done."""
        del self._open[outcome.task]
        self._waiting = deque(work for work in self._waiting if file_of(work) != outcome.task)
        return outcome
