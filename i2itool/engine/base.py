"""What an engine is: a compiled generator that maps batches of one size."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from torch import Tensor


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
