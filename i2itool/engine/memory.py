"""How much memory there is, and running out of it, told apart from all else that can go wrong."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from i2itool.errors import OutOfMemory

# What PyTorch, OpenVINO and the C++ library say when memory cannot be had; none has a class for it on a CPU.
_SIGNS = (
    "can't allocate memory",
    "failed to allocate",
    "not enough memory",
    "bad_alloc",
    "bad allocation",
    "out of memory",
)


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


def free_bytes(device: torch.device) -> int:
    """The memory that this process can still have on a device; on a CPU without swapping."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    limits = [_of_machine(), _of_container(Path("/sys/fs/cgroup")), _of_process()]
    return max(0, min(limit for limit in limits if limit is not None))


def _of_machine() -> int:
    """What the machine can give without swapping; half of a usual one's where that is not told."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 4 * 2**30


def _of_container(root: Path) -> int | None:
    """What a container's limit leaves; None without a limit."""
    with contextlib.suppress(OSError, ValueError):
        limit = int((root / "memory.max").read_text(encoding="ascii"))
        used = int((root / "memory.current").read_text(encoding="ascii"))
        # Files that were read are counted as used, and are given up when memory is needed.
        statistics = (root / "memory.stat").read_text(encoding="ascii").splitlines()
        files = sum(int(line.split()[1]) for line in statistics if line.startswith("inactive_file "))
        return limit - used + files
    return None


def _of_process() -> int | None:
    """What `ulimit -v` leaves; None without a limit."""
    if sys.platform == "win32":
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    with contextlib.suppress(OSError):
        used_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return limit - used_pages * resource.getpagesize()
    return limit
