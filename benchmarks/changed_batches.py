"""Ways to draw batches that the trainer has no setting for, to see whether it should have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from i2itool.trainer.data import Batch, UnpairedData
from torch import Tensor


def as_drawn(data: UnpairedData, step: int, _steps: int) -> Batch:
    """What the trainer would draw."""
    return UnpairedData.batch(data, step)


def jittered_a(data: UnpairedData, step: int, _steps: int) -> Batch:
    """A in other brightness, contrast and saturation, each by up to a fifth and drawn for each picture."""
    batch = UnpairedData.batch(data, step)
    generator = torch.Generator().manual_seed(data.seed * 1_000_003 + step)
    factors = 0.8 + 0.4 * torch.rand(3, len(batch.a), 1, 1, 1, generator=generator)
    return Batch(jitter(batch.a, *factors), batch.b)


def jitter(x: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """N,3,H,W in [-1, 1] with three factors of N,1,1,1; the same shape and range."""
    light = (x + 1) / 2 * brightness
    light = light.mean((1, 2, 3), keepdim=True).lerp(light, contrast)
    light = light.mean(1, keepdim=True).lerp(light, saturation)
    return light.clamp(0, 1) * 2 - 1


def larger_late(data: UnpairedData, step: int, steps: int) -> Batch:
    """Crops a third larger in the last third of the run."""
    late = replace(data, crop_px=data.crop_px * 4 // 3) if step >= steps * 2 // 3 else data
    return UnpairedData.batch(late, step)


@dataclass(frozen=True, slots=True)
class ChangedData(UnpairedData):  # type: ignore[misc]  # mypy does not see the trainer from here
    """Batches by one of the ways above, which is told how many steps the run has."""

    way: Callable[[UnpairedData, int, int], Batch] = as_drawn
    steps: int = 0

    def batch(self, step: int) -> Batch:
        """The batch of optimisation step `step`, counted from 0."""
        return self.way(self, step, self.steps)


def drawn_by(data: UnpairedData, way: Callable[[UnpairedData, int, int], Batch], steps: int) -> ChangedData:
    """The same pictures, in a run of so many steps."""
    same = {field.name: getattr(data, field.name) for field in fields(UnpairedData)}
    return ChangedData(**same, way=way, steps=steps)
