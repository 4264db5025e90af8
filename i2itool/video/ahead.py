"""Work beside the main thread: reading ahead of it and writing behind it, a bounded number of items apart."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from i2itool.frames import Frame
from i2itool.profile import stage
from i2itool.video.base import FrameSink

Item = TypeVar("Item")

# Enough to smooth out the jitter of codecs; at 1080p eight frames are 50 MB.
DEPTH = 8
# How often a blocked thread looks whether the other side has gone.
_POLL_SECONDS = 0.05


class _End:
    """Marks the end of a queue."""


_END = _End()


class ReadAhead(Generic[Item]):
    """Iterates over `source` in a thread, at most `depth` items ahead of the consumer.

    An exception of the source is raised in the consumer. The thread is joined when the block ends, even
    if the consumer stops early.
    """

    def __init__(self, source: Iterable[Item], *, depth: int = DEPTH, name: str = "decode") -> None:
        """name: of the stage, for `i2itool.profile`."""
        self._source = source
        self._queue: queue.Queue[Item | _End] = queue.Queue(depth)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        while not isinstance(item := self._queue.get(), _End):
            yield item
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            with stage(self._thread.name):
                for item in self._source:
                    if not _put(self._queue, item, self._stop):
                        return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, whatever it is
            self._error = error
        _put(self._queue, _END, self._stop)


class WriteBehind:
    """A sink that hands its frames to another one in a thread, at most `depth` frames later.

    An exception of the inner sink is raised at the next `write`, or when the block ends.
    """

    def __init__(self, sink: FrameSink, *, depth: int = DEPTH) -> None:
        self._sink = sink
        self._queue: queue.Queue[Frame | _End] = queue.Queue(depth)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="encode", daemon=True)

    def write(self, frame: Frame) -> None:
        """Hand over a frame; raises what writing an earlier one has raised."""
        if not _put(self._queue, frame, self._stop):
            self._raise_error()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            _put(self._queue, _END, self._stop)
        else:
            self._stop.set()
        self._thread.join()
        if kind is None:
            self._raise_error()

    def _write(self) -> None:
        try:
            with stage(self._thread.name):
                self._write_until_end()
        except BaseException as error:  # noqa: BLE001 - handed to the producer, whatever it is
            self._error = error
            self._stop.set()

    def _write_until_end(self) -> None:
        while not self._stop.is_set():
            try:
                frame = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(frame, _End):
                return
            self._sink.write(frame)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _put(target: queue.Queue[Item], item: Item, stop: threading.Event) -> bool:
    """Wait for a place in the queue; false if `stop` is set before there is one."""
    while not stop.is_set():
        try:
            target.put(item, timeout=_POLL_SECONDS)
        except queue.Full:
            continue
        return True
    return False
