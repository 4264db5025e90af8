"""Running out of memory, told apart from all else that can go wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from i2itool.errors import OutOfMemory

# What PyTorch, OpenVINO and the C++ library say when memory cannot be had; none has a class for it on a CPU.
_SIGNS = ("can't allocate memory", "not enough memory", "bad_alloc", "bad allocation", "out of memory")


@contextlib.contextmanager
def out_of_memory_told(device: torch.device, num_pictures: int, size: tuple[int, int]) -> Iterator[None]:
    """Turn whatever says that memory has run out within the block into OutOfMemory; all else passes.

    num_pictures and size (height, width in pixels): what was being worked on, for the message.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"not enough memory on {device} for {num_pictures} "
            f"{'picture' if num_pictures == 1 else 'pictures'} of {size[1]}x{size[0]} pixels",
            hint="take a smaller batch size or smaller pictures",
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory has run out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError | OutOfMemory):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)
