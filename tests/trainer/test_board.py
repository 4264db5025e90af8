"""TensorBoard's events hold what the log holds, once."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from i2itool.trainer.board import Board

from i2itool.errors import OutputError


def test_events_hold_figures_and_previews_and_repeated_steps_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard (the extra of that name)")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Board(tmp_path, first=0) as board:
        for step in (1, 2, 3):
            board.figures(step, {"G_A": float(step)})
        board.preview(2, np.full((8, 12, 3), 100, np.uint8))
    # Files of events are read in the order of their names: by the second, then by a number, of which 10 is
    # before 9.
    time.sleep(1)
    # Resumed after step 1, the run repeats steps 2 and 3.
    with Board(tmp_path, first=1) as board:
        for step in (2, 3):
            board.figures(step, {"G_A": 10.0 * step})
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("G_A")] == [(1, 1.0), (2, 20.0), (3, 30.0)]


def test_without_tensorboard_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2itool.trainer.board.find_spec", lambda _name: None)
    with Board(tmp_path / "events", first=0) as board:
        board.figures(1, {"G_A": 1.0})
        board.preview(1, np.zeros((8, 8, 3), np.uint8))
    assert not (tmp_path / "events").exists()


def test_events_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard (the extra of that name)")
    (tmp_path / "events").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"), Board(tmp_path / "events", first=0) as board:
        board.figures(1, {"G_A": 1.0})
