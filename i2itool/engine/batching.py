"""How many pictures at once go fastest: found by trying, as long as that is a small part of the work."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from i2itool.errors import OutOfMemory

# Twice the memory, and twice as long until a frame is there, are for something that can be noticed.
_LEAST_GAIN = 1.03
# Of the time of the work that the trials are for; less than what is usually won.
_SHARE_OF_WORK = 0.05
_LONGEST_SECONDS = 10.0
# Of repeated runs of a batch, so that small pictures are timed well, too.
_RUNS_SECONDS = 0.5
_MOST_RUNS = 5


@dataclass(frozen=True, slots=True)
class Trial:
    """What a number of pictures at once has come to."""

    batch_size: int
    frames_per_second: float


def try_batches(
    seconds_of: Callable[[int], float],
    *,
    largest: int,
    num_frames: int | None = None,
    opening_seconds: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> list[Trial]:
    """Try 1, 2, 4 and so on pictures at once, as long as each pays and there is time; at least one.

    seconds_of: makes ready for so many pictures, and times a batch of them; may raise OutOfMemory.
    largest: the most to try.  num_frames: that there are to do, if that is known.  opening_seconds: what
    making ready took for one picture, if others need as much.
    """
    trials: list[Trial] = []
    started = clock()
    budget_seconds, needed_seconds, batch_size = math.inf, 0.0, 1
    while batch_size <= largest and clock() - started + needed_seconds <= budget_seconds:
        before = clock()
        try:
            trial = Trial(batch_size, batch_size / seconds_of(batch_size))
        except OutOfMemory:
            if not trials:
                raise
            break
        trials.append(trial)
        if trial is not best_of(trials):
            break
        batch_size *= 2
        needed_seconds = 2 * (clock() - before) + (opening_seconds if len(trials) == 1 else 0)
        seconds_of_work = math.inf if num_frames is None else num_frames / trial.frames_per_second
        budget_seconds = min(_LONGEST_SECONDS, _SHARE_OF_WORK * seconds_of_work)
    return trials


def best_of(trials: list[Trial]) -> Trial:
    """The smallest batch that a larger one does not beat clearly."""
    best = trials[0]
    for trial in trials[1:]:
        if trial.frames_per_second >= _LEAST_GAIN * best.frames_per_second:
            best = trial
    return best


def time_runs(run: Callable[[], object]) -> float:
    """Median seconds of a run, the first of which does not count: it makes what later ones find."""
    run()
    seconds: list[float] = []
    while len(seconds) < _MOST_RUNS and sum(seconds) < _RUNS_SECONDS:
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
