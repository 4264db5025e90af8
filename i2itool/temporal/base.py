"""What a smoother is, and what is carried from one frame to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2itool.frames import AnyPixels
from i2itool.temporal.motion import look_at
from i2itool.temporal.tracking import Seen, Tracked

Arrays: TypeAlias = Mapping[str, NDArray[Any]]  # Any: floats, and pixels of 8 or 16 bits
"""A state as it is kept on a disk: arrays by name."""


class Smoother(Protocol):
    """A way to steady translated frames.

    Its memory is a frozen dataclass of arrays; it is passed in and returned, and the one passed in stays as
    it was. Outputs are H,W,3 RGB, uint8 or uint16, of the size of the input.
    """

    def start(self, tracked: Tracked, output: AnyPixels) -> Any:  # Any: the memory of this smoother
        """What the first frame of a scene leaves behind; its output stays as it is."""
        ...

    def follow(self, tracked: Tracked, output: AnyPixels, memory: Any) -> tuple[AnyPixels, Any]:
        """The smoothed output of a frame that follows from the one before, and the new memory."""
        ...


@dataclass(frozen=True, slots=True)
class Carry:
    """All that the frames to come depend on.

    seen: the newest picture of the input.  shown: its smoothed output.  memory: of the smoother.
    """

    seen: Seen
    shown: AnyPixels
    memory: Any  # Any: each smoother has its own

    def arrays(self) -> Arrays:
        """What `restored` makes the same of."""
        names = [field.name for field in fields(self.memory)]
        memory = {f"memory.{name}": _at_hand(getattr(self.memory, name)) for name in names}
        seconds = np.array(self.seen.seconds)
        return {"seen": self.seen.pixels, "seconds": seconds, "shown": self.shown, **memory}

    @classmethod
    def restored(cls, arrays: Arrays, memory_type: type[Any]) -> Carry:
        """The inverse of `arrays`; raises KeyError if anything is missing."""
        memory = {field.name: arrays[f"memory.{field.name}"] for field in fields(memory_type)}
        seen = Seen(arrays["seen"], look_at(arrays["seen"]), float(arrays["seconds"]))
        return cls(seen, arrays["shown"], memory_type(**memory))


def _at_hand(values: Any) -> NDArray[Any]:  # Any: an array, or a tensor on a device
    return values if isinstance(values, np.ndarray) else np.asarray(values.cpu())
