"""Ctrl-C that waits for the end of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Flag:
    """Whether a signal has come."""

    is_set: bool = False

    def __call__(self) -> bool:
        """True once it has."""
        return self.is_set


@contextmanager
def interruption() -> Iterator[Flag]:
    """A flag that the first Ctrl-C or SIGTERM sets; the second one interrupts at once."""
    flag = Flag()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if flag.is_set:
            raise KeyboardInterrupt
        flag.is_set = True

    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
