"""How much memory a network will need, so that it is known before the system ends the process for it.

A GPU says no in time. A CPU's system promises more memory than there is, and kills who takes it.
"""

from __future__ import annotations

import math

from torch import nn

from i2itool.device import num_cores
from i2itool.engine.base import Build
from i2itool.engine.graph import shapes_in, traced
from i2itool.engine.memory import free_bytes
from i2itool.errors import EngineError, OutOfMemory
from i2itool.networks import multiple_of

# Peak memory in units of the largest layer's output in float32, by kind of network: in OpenVINO in bf16, in
# OpenVINO otherwise, in PyTorch; the last for all others. Measured (docs/engines.md), a tenth added.
_PEAKS = {
    "ResnetGenerator": (1.3, 2.6, 4.0),
    "UnetGenerator": (1.6, 1.7, 2.2),
    "UnitTranslator": (2.5, 2.5, 2.6),
    "": (2.8, 5.6, 9.0),
}
_BYTES = 4


def require_memory(name: str, build: Build) -> None:
    """Raise OutOfMemory if the engine `name` would need more of the host's memory than there is."""
    if build.device.type != "cpu" or name == "tiles":
        return
    needed, there_is = bytes_needed(name, build), free_bytes(build.device)
    if needed > there_is:
        height, width = build.size
        raise OutOfMemory(
            f"engine '{name}' in {build.precision} would need about {needed / 2**30:.1f} GiB for pictures of "
            f"{width}x{height} pixels, and there are {there_is / 2**30:.1f}",
            hint="take a smaller batch size or smaller pictures, or --engine tiles",
        )


def bytes_needed(name: str, build: Build) -> int:
    """The most memory that an engine takes for a batch, besides the weights; an estimate."""
    in_bf16, in_openvino, in_torch = _PEAKS.get(type(build.network).__name__, _PEAKS[""])
    if name == "openvino":
        factor = in_bf16 if build.precision == "bf16" else in_openvino
        num_pictures = min(build.batch_size, num_cores())  # as it takes them, side by side
    else:
        factor, num_pictures = in_torch, build.batch_size
    return int(factor * num_pictures * math.prod(build.size) * _widest_bytes_a_pixel(build.network))


def _widest_bytes_a_pixel(network: nn.Module) -> float:
    """Of the largest layer's output in float32, by pixel of the picture; 0 if it cannot be told."""
    side = 2 * multiple_of(network)
    try:
        shapes = shapes_in(traced(network), (1, 3, side, side))
    except EngineError:
        return 0.0
    return _BYTES * max(math.prod(shape) for shape in shapes.values()) / (side * side)
