"""TensorBoard, where it is installed: the same figures and previews as in the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from i2itool.errors import OutputError
from i2itool.frames import Pixels

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Board:
    """Writes events to a folder; writes nothing if TensorBoard is not installed."""

    def __init__(self, folder: Path, *, first: int) -> None:
        """first: steps that are done; what an earlier process wrote of later ones is dropped."""
        self._folder, self._first = folder, first
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> Board:
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            with self._telling():
                self._writer = SummaryWriter(str(self._folder), purge_step=self._first + 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            with self._telling() if kind is None else suppress(OSError):
                self._writer.close()

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """Losses or scores by name."""
        if self._writer is not None:
            with self._telling():
                for name, value in figures.items():
                    self._writer.add_scalar(name, value, step)

    def preview(self, step: int, pixels: Pixels) -> None:
        """A preview grid, H,W,3 uint8 RGB."""
        if self._writer is not None:
            with self._telling():
                self._writer.add_image("preview", pixels, step, dataformats="HWC")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn a full disk into one line."""
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot write {self._folder}: {error.strerror}") from error
