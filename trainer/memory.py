"""Running out of memory in a training, told with what takes less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from i2itool.engine.memory import is_out_of_memory
from i2itool.errors import TrainingError


@contextmanager
def memory_told(device: torch.device) -> Iterator[None]:
    """Turn whatever says that memory has run out within the block into TrainingError; all else passes."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        hint = "a smaller --size, --batch-size or --width, or --accumulate and --recompute, take less"
        raise TrainingError(f"not enough memory on {device} for a step of this recipe", hint=hint) from error
