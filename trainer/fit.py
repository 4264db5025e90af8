"""The training loop, for any method that keeps the `Task` protocol."""

from __future__ import annotations

import logging
from contextlib import nullcontext

import torch

from i2itool.console import Reporter
from i2itool.preset import Preset, read_preset

from .choice import Choice
from .config import TrainConfig
from .data import UnpairedData
from .diary import open_diary
from .holdout import Examiner
from .interrupt import interruption
from .memory import memory_told
from .processes import OneProcess, Processes
from .provenance import trace
from .run import RunFolder
from .schedule import rate_at
from .standing import Standing
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
    holdout: Examiner | None = None,
    processes: Processes | None = None,
) -> Preset:
    """Train from the last checkpoint of `run`, or from the start, and export the preset.

    A run that is stopped and begun again gives the same weights as one that was never stopped. Ctrl-C
    ends the step at hand, saves, exports what there is and raises KeyboardInterrupt. Raises TrainingError
    when a loss is not finite, when memory runs out, or with `stop_on_alarm` when a watchdog barks; the last
    checkpoint is then from before. holdout: pictures to choose the best step by.  processes: those that
    train together, if several.
    """
    processes = processes or OneProcess()
    torch.manual_seed(config.seed)
    with memory_told(device):
        task = make_task(config, device, processes)
    standing = Standing(run, config, task, Choice(config.metric), processes)
    done = first = standing.resume()
    provenance = trace(len(data.a), len(data.b), config.seed)
    samples = data.samples(NUM_SAMPLES)

    watchdogs = Watchdogs(config.gan if config.method == "cyclegan" else config.method, stop_on_alarm)
    telling = open_diary(run, config, samples, device, reporter, watchdogs, first)

    if standing.writes:
        run.note_provenance(provenance)

    with interruption() as interrupted, telling if standing.writes else nullcontext() as diary:
        for step, batch in enumerate(data.stream(first, config.steps), start=first):
            # All that is random in a step comes from the seed and the step: there is no generator to save.
            torch.manual_seed(_mix(config.seed, step, processes.rank))
            _set_rate(task, rate_at(config.adam, step, config.steps) * standing.choice.rate_factor)
            with memory_told(device):
                losses = task.step(batch, progress=step / config.steps)
            check_finite(losses, step)
            done = step + 1

            if diary:
                diary.note_losses(done, losses)
            if diary and done % config.preview_every == 0:
                diary.show(done, task.translators())
            if holdout and config.eval_every and done % config.eval_every == 0:
                scores = standing.evaluate(done, holdout, device)
                if diary:
                    diary.note_scores(done, scores)
            stops = _any(processes, interrupted())
            if done % config.checkpoint_every == 0 or done == config.steps or stops:
                standing.save(done)
            if stops:
                break
        if diary:
            diary.report(done)
            standing.export(done, samples, device, provenance)

    processes.wait()
    if done < config.steps:
        logger.info("stopped after step %d of %d; the same command goes on from there", done, config.steps)
        raise KeyboardInterrupt
    return read_preset(run.preset)


def _mix(seed: int, step: int, rank: int) -> int:
    """A seed for step `step` of a process that no other step and no other process of a run shares."""
    return seed * 1_000_000_007 + step + (rank << 48)


def _any(processes: Processes, flag: bool) -> bool:
    """Whether the flag of any process is set: all stop at the same step."""
    return flag if processes.count == 1 else bool(processes.mean(torch.tensor(float(flag))) > 0)


def _set_rate(task: Task, rate: float) -> None:
    for optimiser in task.optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = rate
