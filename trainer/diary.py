"""Everything that a run tells of itself as it goes: progress, log, previews, report, and its watchdogs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from i2itool.console import Reporter
from i2itool.pictures import write_picture

from .board import Board
from .config import TrainConfig
from .data import Batch
from .preview import Translators, render_preview
from .report import write_report
from .run import RunFolder
from .watch import Watchdogs


@dataclass(slots=True)
class Diary:
    """What is told of one process's part of a run; nothing in it changes the training.

    first: steps that were done before.  samples: the previews' pictures.
    """

    run: RunFolder
    config: TrainConfig
    samples: Batch
    device: torch.device
    reporter: Reporter
    watchdogs: Watchdogs
    board: Board
    first: int
    _began: float = field(default_factory=time.monotonic)
    # Some losses have not a part in every step: of each the last one since the log's last line.
    _losses: dict[str, float] = field(default_factory=dict)

    def note_losses(self, done: int, losses: Mapping[str, float]) -> None:
        """Tell how step `done` went; every `log_every` steps look whether something is wrong."""
        self.watchdogs.see_losses(losses)
        self._losses |= losses
        rate = (done - self.first) * 2 * self.config.batch_size / (time.monotonic() - self._began)
        self.reporter.advance(note=_note(self._losses, rate, self.watchdogs))
        if done % self.config.log_every == 0 or done == self.config.steps:
            self.watchdogs.judge_losses(done)
            alarms = list(self.watchdogs.up)
            self.run.log({"step": done, **self._losses, "images_per_second": rate, "alarms": alarms})
            self.board.figures(done, self._losses)
            self._losses = {}

    def note_scores(self, done: int, scores: Mapping[str, float]) -> None:
        """Tell what held-out pictures say of step `done`."""
        self.run.log({"step": done, "scores": dict(scores)})
        self.board.figures(done, {f"holdout/{name}": score for name, score in scores.items()})

    def show(self, done: int, translators: Translators) -> None:
        """Write the preview of step `done` and the report, and let the watchdogs look."""
        preview = render_preview(translators, self.samples, self.device)
        write_picture(self.run.preview(done), preview)
        self.board.preview(done, preview)
        self.watchdogs.judge_pictures(self.samples.to(self.device), translators, done)
        self.report(done)

    def report(self, done: int) -> None:
        """Write the report of `done` steps."""
        alarms = [alarm.message for alarm in self.watchdogs.up.values()]
        write_report(self.run, self.config, step=done, alarms=alarms)


@contextmanager
def open_diary(
    run: RunFolder,
    config: TrainConfig,
    samples: Batch,
    device: torch.device,
    reporter: Reporter,
    watchdogs: Watchdogs,
    first: int,
) -> Iterator[Diary]:
    """A diary with its progress line and TensorBoard open; those are closed whatever happens."""
    reporter.start(f"train {config.name}", config.steps, done=first, unit="steps")
    try:
        with Board(run.path / "tensorboard", first=first) as board:
            yield Diary(run, config, samples, device, reporter, watchdogs, board, first)
    finally:
        reporter.finish()


def _note(losses: Mapping[str, float], images_per_second: float, watchdogs: Watchdogs) -> str:
    alarms = "".join(f"{name.upper()}, " for name in watchdogs.up)
    shown = " ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    return f"{alarms}{images_per_second:.2g} images/s, {shown}"
