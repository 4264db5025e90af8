"""Where tensors live, and how much of a machine there is for us: devices, cores."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from i2itool.errors import EngineError


def resolve_device(name: str) -> torch.device:
    """The device called `name`: auto (CUDA if there is one), cpu, cuda or cuda:N.

    Raises EngineError if it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise EngineError(f"unknown device: {name}", hint="auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EngineError(f"no such device: {name}", hint="use --device cpu, or check nvidia-smi")
    return device


def num_cores() -> int:
    """The cores that this process may use: those that it is bound to, or a container's share of them."""
    has_affinity = hasattr(os, "sched_getaffinity")
    bound = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min(bound, _container_cores(Path("/sys/fs/cgroup")) or bound))


def _container_cores(root: Path) -> int | None:
    """What a container's limit on CPU time comes to in whole cores, at least one; None without a limit."""
    try:
        quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return max(1, math.ceil(int(quota) / int(period)))
