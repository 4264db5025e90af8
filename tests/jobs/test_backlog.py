"""What becomes of tasks whose worker died: done again behind all others, so often and no more."""

from __future__ import annotations

from pathlib import Path

from i2itool.jobs.backlog import Backlog
from i2itool.jobs.outcome import BUSY, NO_CUT, Outcome
from i2itool.jobs.plan import Task
from i2itool.jobs.split import PartTask
from i2itool.video.parts import parts_of

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


# Files in parts

FIRST, SECOND, THIRD = (PartTask(A, part) for part in parts_of((0, 4, 8)))
DIVIDED = {A: parts_of((0, 4, 8))}
MADE, WAITS = Outcome(A, "done"), Outcome(A, "skipped", reason=NO_CUT)


def test_parts_come_first_and_their_whole_when_all_are_made() -> None:
    backlog = Backlog([B, A], divided=DIVIDED)
    assert [backlog.take() for _ in range(5)] == [FIRST, SECOND, THIRD, B, None]
    for part in (THIRD, FIRST, SECOND):
        assert backlog.take() is None
        assert backlog.finish(part, MADE) is None
    assert backlog.take() == A
    assert backlog.finish(A, MADE) == MADE
    assert backlog.finish(B, Outcome(B, "done")) == Outcome(B, "done")
    assert not backlog.is_open


def test_a_part_without_a_cut_comes_again_when_the_one_before_it_is_made() -> None:
    backlog = Backlog([A], divided=DIVIDED)
    assert [backlog.take() for _ in range(3)] == [FIRST, SECOND, THIRD]
    assert backlog.finish(THIRD, WAITS) is None
    assert backlog.finish(SECOND, WAITS) is None
    assert backlog.take() is None
    backlog.finish(FIRST, MADE)
    assert [backlog.take(), backlog.take()] == [SECOND, None]
    backlog.finish(SECOND, MADE)
    assert [backlog.take(), backlog.take()] == [THIRD, None]
    # Behind a part that is made it could begin, had it frames; the whole will see.
    backlog.finish(THIRD, WAITS)
    assert backlog.take() == A


def test_a_part_that_looked_just_before_the_one_before_it_was_made_comes_again() -> None:
    backlog = Backlog([A], divided=DIVIDED)
    assert [backlog.take() for _ in range(3)] == [FIRST, SECOND, THIRD]
    backlog.finish(FIRST, MADE)
    backlog.finish(SECOND, WAITS)
    assert backlog.take() == SECOND


def test_a_file_fails_with_the_first_of_its_parts_and_the_others_are_dropped() -> None:
    backlog = Backlog([A, B], divided=DIVIDED)
    assert [backlog.take(), backlog.take()] == [FIRST, SECOND]
    full = Outcome(A, "failed", reason="no room", exit_code=6)
    assert backlog.finish(FIRST, full) == full
    assert backlog.finish(SECOND, MADE) is None
    assert backlog.lose(SECOND, "killed") is None
    assert [backlog.take(), backlog.take()] == [B, None]


def test_each_part_may_lose_its_workers_by_itself() -> None:
    backlog = Backlog([A], retries=1, divided=DIVIDED)
    for part in (FIRST, SECOND, THIRD):
        assert backlog.take() == part
        assert backlog.lose(part, "killed") is None
    assert [backlog.take() for _ in range(3)] == [FIRST, SECOND, THIRD]
    outcome = backlog.lose(SECOND, "killed")
    assert outcome is not None
    assert (outcome.task, outcome.status) == (A, "failed")
    assert not backlog.is_open
