"""The training loop, for any method that keeps the `Task` protocol."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from i2itool.console import Reporter
from i2itool.errors import TrainingError
from i2itool.pictures import write_picture
from i2itool.preset import Preset

from .checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from .config import TrainConfig
from .data import UnpairedData
from .export import export_preset
from .interrupt import interruption
from .preview import render_preview
from .run import RunFolder
from .schedule import rate_at
from .task import Task
from .tasks import make_task
from .watch import Watchdogs, check_finite

NUM_SAMPLES = 4

logger = logging.getLogger("i2itool.trainer")


def fit(
    config: TrainConfig,
    data: UnpairedData,
    run: RunFolder,
    *,
    device: torch.device,
    reporter: Reporter,
    stop_on_alarm: bool = False,
) -> Preset:
    """Train from the last checkpoint of `run`, or from the start, and export the preset.

    A run that is stopped and begun again gives the same weights as one that was never stopped. Ctrl-C
    ends the step at hand, saves, exports what there is and raises KeyboardInterrupt. Raises TrainingError
    when a loss is not finite, or with `stop_on_alarm` when a watchdog barks; the last checkpoint is then from
    before.
    """
    torch.manual_seed(config.seed)
    task = make_task(config, device)
    run.open(config)
    first = _resume(task, run)
    if first > config.steps:
        hint = "give as many --steps or more, or --restart to start anew"
        raise TrainingError(f"{run.path} has done {first} steps already, more than {config.steps}", hint=hint)
    samples = data.samples(NUM_SAMPLES)
    watchdogs = Watchdogs(config.gan if config.method == "cyclegan" else config.method, stop_on_alarm)
    saved = first

    with interruption() as interrupted, _reported(reporter, config, first):
        began = time.monotonic()
        for step, batch in enumerate(data.stream(first, config.steps), start=first):
            # All that is random in a step comes from the seed and the step: there is no generator to save.
            torch.manual_seed(_mix(config.seed, step))
            progress = step / config.steps
            _set_rate(task, rate_at(config.adam, step, config.steps))
            losses = task.step(batch, progress=progress)
            check_finite(losses, step)
            watchdogs.see_losses(losses)

            done = step + 1
            rate = (done - first) * 2 * config.batch_size / (time.monotonic() - began)
            reporter.advance(note=_note(losses, rate, watchdogs))
            if done % config.log_every == 0 or done == config.steps:
                watchdogs.judge_losses(done)
                run.log({"step": done, **losses, "images_per_second": rate, "alarms": list(watchdogs.up)})
            if done % config.preview_every == 0:
                write_picture(run.preview(done), render_preview(task.translators(), samples, device))
                watchdogs.judge_pictures(samples.to(device), task.translators(), done)
            if done % config.checkpoint_every == 0 or done == config.steps or interrupted():
                state = {"step": done, "config": config.model_dump(), "task": task.state()}
                save_checkpoint(run.checkpoints, done, state)
                saved = done
            if interrupted():
                break

    sample = render_preview(task.translators(), samples, device)
    preset = export_preset(run.preset, task, config, step=saved, sample=sample)
    if saved < config.steps:
        logger.info("stopped after step %d of %d; the same command goes on from there", saved, config.steps)
        raise KeyboardInterrupt
    return preset


def _resume(task: Task, run: RunFolder) -> int:
    """Load the last checkpoint, if there is one; returns the number of steps done."""
    checkpoints = list_checkpoints(run.checkpoints)
    step = 0
    if checkpoints:
        state = load_checkpoint(checkpoints[-1])
        task.load_state(state["task"])
        step = state["step"]
    run.trim_log(step)
    return step


def _mix(seed: int, step: int) -> int:
    """A seed for step `step` that no other step of a run shares."""
    return seed * 1_000_000_007 + step


def _set_rate(task: Task, rate: float) -> None:
    for optimiser in task.optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = rate


def _note(losses: dict[str, float], images_per_second: float, watchdogs: Watchdogs) -> str:
    alarms = "".join(f"{name.upper()}, " for name in watchdogs.up)
    shown = " ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    return f"{alarms}{images_per_second:.2g} images/s, {shown}"


@contextmanager
def _reported(reporter: Reporter, config: TrainConfig, first: int) -> Iterator[None]:
    reporter.start(f"train {config.name}", config.steps, done=first, unit="steps")
    try:
        yield
    finally:
        reporter.finish()
