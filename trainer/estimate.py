"""How long a run would take and how much memory: a few steps on random pictures tell."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass

import torch

from .config import TrainConfig
from .data import Batch
from .memory import memory_told
from .processes import OneProcess
from .tasks import make_task

# The first step allocates, and on a GPU chooses algorithms.
WARM_UP_STEPS, MOST_STEPS = 1, 5
MOST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run of the recipe would cost on this machine, as it is loaded now, without looking at pictures.

    hours: of all its steps.  memory_gib: the peak, of the GPU where there is one, otherwise of the process.
    """

    steps_per_second: float
    hours: float
    memory_gib: float


def estimate(config: TrainConfig, device: torch.device) -> Estimate:
    """Take a few steps of `config` on random pictures; raises TrainingError if memory runs out."""
    with memory_told(device):
        return _try_out(config, device)


def _try_out(config: TrainConfig, device: torch.device) -> Estimate:
    torch.manual_seed(config.seed)
    task = make_task(config, device, OneProcess())
    a, b = torch.rand(2, config.batch_size, 3, config.crop_px, config.crop_px) * 2 - 1
    steps = 0
    for _ in range(WARM_UP_STEPS):
        task.step(Batch(a, b), progress=0.0)
    began = time.monotonic()
    while steps < MOST_STEPS and (steps == 0 or time.monotonic() - began < MOST_SECONDS):
        # A step gives back its losses as numbers, and so waits for the GPU.
        task.step(Batch(a, b), progress=0.0)
        steps += 1
    rate = steps / (time.monotonic() - began)
    return Estimate(rate, config.steps / rate / 3600, _peak_bytes(device) / 2**30)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
