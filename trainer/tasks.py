"""The methods by name."""

from __future__ import annotations

from collections.abc import Callable

import torch

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
