from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from i2itool.frames import Frame
from i2itool.video.ahead import ReadAhead, WriteBehind

FRAME = Frame(np.zeros((2, 2, 3), np.uint8), 0, Fraction(1, 25))


class ListSink:
    """Keeps its frames; fails at the frame `fail_at`."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.frames: list[Frame] = []
        self.fail_at = fail_at

    def write(self, frame: Frame) -> None:
        if len(self.frames) == self.fail_at:
            raise OSError("disk full")
        self.frames.append(frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_items_come_in_order() -> None:
    with ReadAhead(range(100), depth=3) as items:
        assert list(items) == list(range(100))


def test_reading_stays_within_its_depth() -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for i in range(100):
            read.append(i)
            yield i

    with ReadAhead(source(), depth=3) as items:
        for item in items:
            # One more is in the hand of each side.
            assert len(read) <= item + 1 + 3 + 1
            if item == 20:
                break
    assert len(read) < 30


def test_an_error_of_the_source_reaches_the_consumer_after_the_items() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    seen: list[int] = []
    with ReadAhead(source()) as items, pytest.raises(ValueError, match="broken"):
        seen.extend(items)
    assert seen == [1]


def test_everything_is_written_when_the_block_ends() -> None:
    sink = ListSink()
    with WriteBehind(sink, depth=2) as behind:
        for _ in range(20):
            behind.write(FRAME)
    assert len(sink.frames) == 20


@pytest.mark.parametrize("num_frames", [1, 50])
def test_an_error_of_the_sink_reaches_the_producer(num_frames: int) -> None:
    with pytest.raises(OSError, match="disk full"), WriteBehind(ListSink(fail_at=0), depth=2) as behind:  # noqa: PT012
        for _ in range(num_frames):
            behind.write(FRAME)


def test_an_error_of_the_producer_is_not_hidden() -> None:
    with pytest.raises(KeyboardInterrupt), WriteBehind(ListSink()) as behind:  # noqa: PT012
        behind.write(FRAME)
        raise KeyboardInterrupt
