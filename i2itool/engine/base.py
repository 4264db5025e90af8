"""What an engine is: a generator made ready for batches of one size, on one device, in one precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from i2itool.errors import EngineError
from i2itool.frames import Pixels
from i2itool.options import Precision
from i2itool.pixels import to_network, to_pixels

# Divides the length of a piece of a video; and there are few machines that gain from more.
MOST_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Build:
    """All that an engine is made of.

    network: left as it is.  size: height and width in pixels, multiples of what the network asks for.
    batch_size: the most pictures of one call.  precision: one of those that the engine has on the device.
    sample: gives real pictures, N,3,H,W float32 in [-1, 1] of that size, one or more, the same ones at each
    call: int8 is calibrated on them, and every engine is tried on the first. None if there are none.
    """

    network: nn.Module
    size: tuple[int, int]
    batch_size: int
    device: torch.device
    precision: Precision
    sample: Callable[[], Tensor] | None = None


class Engine(Protocol):
    """A generator made ready for batches of one size.

    name: as in `--engine`.  precision: of the arithmetic inside, as in `--precision`.  size: height and
    width in pixels.  batch_size: the most pictures of one call.  device: where it computes.
    most_useful: pictures of one call beyond which nothing is gained.
    """

    name: str
    precision: Precision
    size: tuple[int, int]
    batch_size: int
    device: torch.device

    @property
    def most_useful(self) -> int:
        """See the class."""
        ...

    @property
    def hardware(self) -> str:
        """What rounding depends on: the GPU, or how many threads on what kind of processor."""
        ...

    def __call__(self, batch: Tensor) -> Tensor:
        """Translate N,3,H,W float32 in [-1, 1] on the CPU; the same shape comes back.

        H and W are those that the engine was opened with; N may be smaller than its batch size.
        """
        ...

    def translate_pixels(self, pixels: Pixels) -> Pixels:
        """Translate N,H,W,3 uint8 RGB; the same shape comes back, in an array of its own.

        As `to_pixels(engine(to_network(pixels)))`, up to the precision; the engine may do all of it at once.
        """
        ...

    def resize(self, size: tuple[int, int], batch_size: int) -> bool:
        """Serve another size and number of pictures from now on; false if that needs another build."""
        ...

    def close(self) -> None:
        """Free what the engine holds; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class EngineKind(Protocol):
    """The class of an engine: what it could do here, and the making of one.

    is_any_size: whether one build serves every size and number of pictures.
    """

    is_any_size: bool

    def __call__(self, build: Build) -> Engine:
        """Make the engine.

        Raises OutOfMemory if the device has too little for it, EngineError with the reason if it cannot be
        had for this network in this precision.
        """
        ...

    def precisions(self, device: torch.device) -> tuple[Precision, ...]:
        """Those that `auto` takes on a device, best first, all of which it has there; cheap to ask.

        Raises EngineError with the reason if the engine does not run there.
        """
        ...

    def opt_in_precisions(self, device: torch.device) -> tuple[Precision, ...]:
        """Those that it has besides, for whoever asks for them by name."""
        ...


class SizedEngine(ABC):
    """What the engines of this package share: one size, checked batches, closing at the end of a block."""

    name: str
    is_any_size = False

    @property
    def most_useful(self) -> int:
        """See `Engine`."""
        return MOST_AT_ONCE

    @property
    def hardware(self) -> str:
        """See `Engine`."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{self._num_threads()} threads on {torch.backends.cpu.get_cpu_capability()}"

    def _num_threads(self) -> int:
        return torch.get_num_threads()

    def __init__(self, build: Build) -> None:
        self.size = build.size
        self.batch_size = build.batch_size
        self.device = build.device
        self.precision: Precision = build.precision
        self._is_closed = False

    @classmethod
    @abstractmethod
    def precisions(cls, device: torch.device) -> tuple[Precision, ...]:
        """See `EngineKind`."""

    @classmethod
    def opt_in_precisions(cls, device: torch.device) -> tuple[Precision, ...]:  # noqa: ARG003
        """See `EngineKind`; none, unless an engine says otherwise."""
        return ()

    def __call__(self, batch: Tensor) -> Tensor:
        """Translate N,3,H,W float32 in [-1, 1]; see `Engine`.

        Raises EngineError for another size, more pictures than the batch size, or a closed engine;
        OutOfMemory if the device has too little.
        """
        self._check(tuple(batch.shape), (3, *self.size))
        return self._translate(batch)

    def translate_pixels(self, pixels: Pixels) -> Pixels:
        """Translate N,H,W,3 uint8 RGB; see `Engine`. Raises what a call raises."""
        self._check(pixels.shape, (*self.size, 3))
        assert pixels.dtype == np.uint8
        return self._translate_pixels(pixels)

    @abstractmethod
    def _translate(self, batch: Tensor) -> Tensor:
        """Translate a batch that has been checked."""

    def _translate_pixels(self, pixels: Pixels) -> Pixels:
        """Translate pictures that have been checked; an engine that is faster with bytes says how."""
        height, width = self.size
        return to_pixels(self._translate(to_network(pixels)), height=height, width=width)

    @abstractmethod
    def _free(self) -> None:
        """Let go of the network."""

    def resize(self, size: tuple[int, int], batch_size: int) -> bool:
        """Serve another size; see `Engine`."""
        if self.is_any_size and not self._is_closed:
            self.size, self.batch_size = size, batch_size
        return self.is_any_size and not self._is_closed

    def close(self) -> None:
        """Free what the engine holds; a second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, shape: tuple[int, ...], picture: tuple[int, ...]) -> None:
        if self._is_closed:
            raise EngineError(f"engine '{self.name}' is closed", hint="open another one")
        if len(shape) != 4 or shape[1:] != picture or not 1 <= shape[0] <= self.batch_size:
            raise EngineError(
                f"engine '{self.name}' cannot take a batch of shape {shape}",
                hint=f"it was opened for (1..{self.batch_size}, {', '.join(map(str, picture))})",
            )


def filled_up(batch: Tensor, batch_size: int) -> Tensor:
    """A batch of exactly `batch_size` pictures, for what takes no fewer: the last is repeated."""
    missing = batch_size - len(batch)
    return torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch
