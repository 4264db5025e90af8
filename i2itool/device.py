"""Where tensors live: the device that a user's word means."""

from __future__ import annotations

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
