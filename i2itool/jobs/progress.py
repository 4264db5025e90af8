"""How far a batch is, counted in bytes of input, and how fast each worker goes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from i2itool.console import Reporter
from i2itool.jobs.outcome import Outcome
from i2itool.jobs.plan import Task
from i2itool.jobs.split import PartTask, Work, file_of
from i2itool.jobs.worker import Note

logger = logging.getLogger("i2itool.jobs")

# Progress is told in MB, or in kB where that would be a few.
_LEAST_MB = 20
# More workers are told of together.
_MOST_NAMED = 4


@dataclass(slots=True)
class _Tally:
    """What a worker has done: files, frames and the seconds that they took."""

    num_files: int = 0
    num_frames: int = 0
    seconds: float = 0.0


class Progress:
    """Tells a reporter of a batch.

    Bytes stand for the work in a file, as nothing else is known of it before it is opened; what is there
    already counts as done earlier, not as speed.
    """

    def __init__(self, reporter: Reporter, tasks: Sequence[Task], *, overwrite: bool) -> None:
        self._reporter = reporter
        self._sizes = {task: task.num_bytes for task in tasks}
        self._divided: set[Task] = set()
        self._done_earlier = set() if overwrite else {task for task in tasks if task.target.exists()}
        self._credits: dict[Work, float] = {}
        self._told = self._num_files = 0
        self._notes: dict[str, Note] = {}
        self._tallies: dict[str, _Tally] = {}
        total = sum(self._sizes.values())
        self._unit, self._unit_bytes = ("MB", 10**6) if total >= _LEAST_MB * 10**6 else ("kB", 10**3)

    def start(self) -> None:
        """Show that the work begins."""
        total = sum(self._sizes.values()) // self._unit_bytes
        self._told = sum(self._sizes[task] for task in self._done_earlier) // self._unit_bytes
        self._reporter.start("files", total, done=self._told, unit=self._unit)

    def note(self, worker: str, work: Work, note: Note) -> None:
        """A worker is so far with a file, or with a part of one."""
        self._notes[worker] = note
        self._credit(work, note.share)
        self._tell()

    def count(self, worker: str, work: Work, outcome: Outcome) -> None:
        """A worker has come to the end of a file, or of a part of one."""
        self._notes.pop(worker, None)
        if (converted := outcome.converted) is None:
            return
        tally = self._tallies.setdefault(worker, _Tally())
        if isinstance(work, PartTask):
            self._credit(work, 1.0)
            self._divided.add(work.whole)
        else:
            tally.num_files += 1
        # The frames of a divided file have been counted with its parts.
        if work not in self._divided:
            tally.num_frames += converted.num_frames
            tally.seconds += converted.seconds

    def drop(self, worker: str) -> None:
        """A worker is no more."""
        self._notes.pop(worker, None)

    def settle(self, task: Task) -> None:
        """What becomes of a file is known."""
        self._num_files += 1
        for work in [work for work in self._credits if file_of(work) == task]:
            del self._credits[work]
        if task not in self._done_earlier:
            self._credits[task] = self._sizes[task]
        self._tell()

    def finish(self) -> None:
        """Show that the work has ended, and log how fast each of several workers was."""
        self._reporter.finish()
        if len(self._tallies) > 1:
            for worker, tally in sorted(self._tallies.items()):
                rate = tally.num_frames / tally.seconds if tally.seconds else 0.0
                logger.info(
                    "worker %s: %d files, %d frames, %.2f frames/s",
                    worker,
                    tally.num_files,
                    tally.num_frames,
                    rate,
                )

    def _credit(self, work: Work, share: float) -> None:
        """So much of something is done; what is done once more, by another worker, counts once."""
        task = file_of(work)
        if task in self._done_earlier or work in self._divided:
            return
        count = len(work.part.division) if isinstance(work, PartTask) else 1
        credit = share * self._sizes[task] / count
        self._credits[work] = max(credit, self._credits.get(work, 0.0))

    def _tell(self) -> None:
        earlier = sum(self._sizes[task] for task in self._done_earlier)
        now = int((earlier + sum(self._credits.values())) / self._unit_bytes)
        words = [f"{self._num_files}/{len(self._sizes)} files", *self._words()]
        self._reporter.advance(max(0, now - self._told), note="; ".join(words))
        self._told = max(now, self._told)

    def _words(self) -> list[str]:
        if len(self._notes) > _MOST_NAMED:
            rates = [note.rate for note in self._notes.values()]
            each = f"{min(rates):.1f} to {max(rates):.1f} each"
            return [f"{len(rates)} workers, {sum(rates):.1f}/s, {each}"]
        return [f"{worker}: {note}" if worker else str(note) for worker, note in sorted(self._notes.items())]
