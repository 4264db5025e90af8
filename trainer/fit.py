"""The training loop, for any method that keeps the `Task` protocol."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import torch

from i2itool.console import Reporter
from i2itool.preset import Preset

from .checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from .config import AdamRecipe, TrainConfig
from .cyclegan import CycleGanTask
from .data import UnpairedData
from .export import export_preset
from .preview import render_preview, write_picture
from .run import RunFolder
from .task import Task
from .unit import UnitTask
from .watch import check_finite

TASKS: dict[str, Callable[[TrainConfig, torch.device], Task]] = {"cyclegan": CycleGanTask, "unit": UnitTask}
NUM_SAMPLES = 4


def fit(
    config: TrainConfig, data: UnpairedData, run: RunFolder, *, device: torch.device, reporter: Reporter
) -> Preset:
    """Train from the last checkpoint of `run`, or from the start, and export the preset.

    A run that is stopped and begun again gives the same weights as one that was never stopped. Ctrl-C
    ends the step at hand, saves, exports what there is and raises KeyboardInterrupt. Raises TrainingError
    when a loss is not finite; the last checkpoint is then from before.
    """
    run.open(config)
    torch.manual_seed(config.seed)
    task: Task = TASKS[config.method](config, device)
    first = _resume(task, run)
    samples = data.samples(NUM_SAMPLES)
    saved = first

    reporter.start(f"train {config.name}", config.steps, done=first, unit="steps")
    with _interruption() as interrupted:
        began = time.monotonic()
        for step, batch in enumerate(data.stream(first, config.steps), start=first):
            # All that is random in a step comes from the seed and the step: there is no generator to save.
            torch.manual_seed(_mix(config.seed, step))
            progress = step / config.steps
            _set_rates(task, config.adam, progress)
            losses = task.step(batch, progress=progress)
            check_finite(losses, step)

            done = step + 1
            rate = (done - first) * config.batch_size / (time.monotonic() - began)
            reporter.advance(note=_note(losses))
            if done % config.log_every == 0 or done == config.steps:
                run.log({"step": done, **losses, "images_per_second": rate})
            if done % config.preview_every == 0:
                write_picture(run.preview(done), render_preview(task.translators(), samples, device))
            if done % config.checkpoint_every == 0 or done == config.steps or interrupted():
                save_checkpoint(run.checkpoints, done, {"step": done, "task": task.state()})
                saved = done
            if interrupted():
                break
    reporter.finish()

    sample = render_preview(task.translators(), samples, device)
    preset = export_preset(run.preset, task, config, step=saved, sample=sample)
    if saved < config.steps:
        raise KeyboardInterrupt
    return preset


def _resume(task: Task, run: RunFolder) -> int:
    """Load the last checkpoint, if there is one; returns the number of steps done."""
    checkpoints = list_checkpoints(run.checkpoints)
    if not checkpoints:
        return 0
    state = load_checkpoint(checkpoints[-1])
    task.load_state(state["task"])
    step: int = state["step"]
    run.trim_log(step)
    return step


def _mix(seed: int, step: int) -> int:
    """A seed for step `step` that no other step of a run shares."""
    return seed * 1_000_000_007 + step


def _set_rates(task: Task, recipe: AdamRecipe, progress: float) -> None:
    """The learning rate stays for the share `constant` of the run, then falls linearly to zero."""
    factor = 1.0 if progress < recipe.constant else (1 - progress) / (1 - recipe.constant)
    for optimiser in task.optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * factor


def _note(losses: dict[str, float]) -> str:
    return " ".join(f"{name} {loss:.3f}" for name, loss in losses.items())


@dataclass(slots=True)
class _Flag:
    is_set: bool = False

    def __call__(self) -> bool:
        return self.is_set


@contextmanager
def _interruption() -> Iterator[_Flag]:
    """A flag that the first Ctrl-C or SIGTERM sets; the second one interrupts at once."""
    flag = _Flag()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if flag.is_set:
            raise KeyboardInterrupt
        flag.is_set = True

    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
