"""What becomes of tasks whose worker died: done again behind all others, so often and no more."""

from __future__ import annotations

from pathlib import Path

from i2itool.jobs.backlog import Backlog
from i2itool.jobs.outcome import BUSY, Outcome
from i2itool.jobs.plan import Task

A, B, C = (Task(Path(f"in/{name}"), Path(f"out/{name}")) for name in "abc")


def test_tasks_are_taken_in_order_and_each_once() -> None:
    backlog = Backlog([A, B])
    assert [backlog.take(), backlog.take(), backlog.take()] == [A, B, None]
    assert backlog.is_open
    for task in (A, B):
        assert backlog.finish(task, Outcome(task, "done")) == Outcome(task, "done")
    assert not backlog.is_open


def test_a_task_whose_worker_died_comes_behind_the_others() -> None:
    backlog = Backlog([A, B, C])
    assert backlog.take() == A
    assert backlog.lose(A, "killed") is None
    assert [backlog.take() for _ in range(4)] == [B, C, A, None]


def test_a_task_that_kills_its_workers_is_given_up_after_the_retries() -> None:
    for retries in (0, 1, 3):
        backlog = Backlog([A], retries=retries)
        for _ in range(retries):
            assert backlog.take() == A
            assert backlog.lose(A, "killed") is None
            assert backlog.is_open
        assert backlog.take() == A
        outcome = backlog.lose(A, "killed")
        assert outcome is not None
        assert (outcome.status, outcome.exit_code) == ("failed", 5)
        assert outcome.reason.startswith("killed")
        assert not backlog.is_open


def test_a_task_that_a_lost_worker_still_holds_is_not_taken_for_done() -> None:
    busy = Outcome(A, "skipped", reason=BUSY)
    # Another run holds it, and will make it.
    assert Backlog([A]).finish(A, busy) == busy
    backlog = Backlog([A], retries=1)
    assert backlog.lose(A, "killed") is None
    outcome = backlog.finish(A, busy)
    assert outcome is not None
    assert outcome.status == "failed"
