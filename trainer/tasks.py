"""The methods by name, and a check that a recipe's networks take its crops."""

from __future__ import annotations

from collections.abc import Callable

import torch

from i2itool.errors import PresetError, TrainingError
from i2itool.networks import build, multiple_of
from i2itool.networks.adaptation import SIZE_PX

from .adapt import AdaptTask
from .config import TrainConfig
from .cyclegan import CycleGanTask
from .distill import DistillTask
from .processes import Processes
from .task import Task
from .unit import UnitTask
from .unit2018 import Unit2018Task

TASKS: dict[str, Callable[[TrainConfig, torch.device], Task]] = {
    "cyclegan": CycleGanTask,
    "unit": UnitTask,
    "unit2018": Unit2018Task,
    "distill": DistillTask,
    "adapt": AdaptTask,
}


def make_task(config: TrainConfig, device: torch.device, processes: Processes) -> Task:
    """The method of `config` with fresh networks."""
    task = TASKS[config.method](config, device)
    task.processes = processes
    return task


def refuse_impossible(config: TrainConfig) -> None:
    """Raise TrainingError if the networks of `config` cannot be made, or do not take its crops."""
    try:
        multiple = multiple_of(build(config.generator.name, **config.generator.hyper))
    except PresetError as error:
        raise TrainingError(error.message, hint=error.hint) from error
    if config.method == "adapt":
        if (config.crop_px, config.load_px) != (SIZE_PX, SIZE_PX):
            raise TrainingError(f"a classifier is adapted on pictures of {SIZE_PX} px")
        return
    if config.crop_px % multiple:
        raise TrainingError(f"the crop of {config.crop_px} px must be a multiple of {multiple}")
    least_px = 4 * 2**config.critic.depth if config.method != "unit" else 2 * multiple
    if config.crop_px < least_px:
        hint = "a larger --size, or a smaller --critic-depth"
        raise TrainingError(f"the crop must be at least {least_px} px for these critics", hint=hint)
