"""What an engine is: a compiled generator that maps batches of one size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Protocol, Self

from torch import Tensor

from i2itool.errors import EngineError


class Engine(Protocol):
    """A generator made ready for batches of one size.

    name: as in `--engine`.  precision: "fp32", "bf16" or "fp16", of the arithmetic inside.
    """

    name: str
    precision: str

    def __call__(self, batch: Tensor) -> Tensor:
        """Translate N,3,H,W float32 in [-1, 1] on the CPU; the same shape comes back.

        H and W are those that the engine was opened with; N may be smaller than its batch size.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SizedEngine(ABC):
    """What the engines of this package share: one size, checked batches, closing at the end of a block.

    size: height and width in pixels.
    """

    name: str
    precision: str

    def __init__(self, size: tuple[int, int], batch_size: int) -> None:
        self.size = size
        self.batch_size = batch_size
        self._is_closed = False

    def __call__(self, batch: Tensor) -> Tensor:
        """Translate N,3,H,W float32 in [-1, 1]; see `Engine`.

        Raises EngineError for another size, more pictures than the batch size, or a closed engine.
        """
        if self._is_closed:
            raise EngineError(f"engine '{self.name}' is closed", hint="open another one")
        wanted = (3, *self.size)
        if batch.ndim != 4 or tuple(batch.shape[1:]) != wanted or not 1 <= len(batch) <= self.batch_size:
            raise EngineError(
                f"engine '{self.name}' cannot take a batch of shape {tuple(batch.shape)}",
                hint=f"it was opened for (1..{self.batch_size}, {', '.join(map(str, wanted))})",
            )
        return self._translate(batch)

    @abstractmethod
    def _translate(self, batch: Tensor) -> Tensor:
        """Translate a batch that has been checked."""

    @abstractmethod
    def _free(self) -> None:
        """Let go of the network."""

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
