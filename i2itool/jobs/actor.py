"""A worker on a cluster: an actor of Ray, which listens while it works.

Imports nothing heavy, so that the process is told how many cores it has before any library counts them.
"""

from __future__ import annotations

import platform
import queue
import threading
from typing import TYPE_CHECKING

from i2itool.errors import I2IError
from i2itool.jobs.worker import Kind, NoteReporter, Setup, core_shares, keep_to, pass_on_logs

if TYPE_CHECKING:
    from i2itool.jobs.split import Given

Message = tuple[Kind, object]


class Actor:
    """Makes files, one after the other. Its methods are called from afar, each in a thread of its own.

    share, num_shares: the part of its machine's cores that it keeps to, counted from 0.
    """

    def __init__(self, setup: Setup, share: int, num_shares: int) -> None:
        self._setup = setup
        self._cores = core_shares(num_shares)[share]
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._stopped = threading.Event()

    def open(self) -> list[Message]:
        """Load the preset; says that it is ready, and on which machine, or what went wrong."""
        keep_to(self._cores)
        pass_on_logs(self._say, self._setup.log_level)
        from i2itool.conversion import open_translator

        try:
            self._translator = open_translator(self._setup.preset, self._setup.options)
        except I2IError as error:
            return [("error", error)]
        return [("ready", platform.node())]

    def do(self, given: Given) -> list[Message]:
        """Make a file, or a part of one, or probe; says what has become of it. Nothing if it was stopped."""
        from i2itool.jobs.outcome import answer

        reporter = NoteReporter(self._say, self._stopped.is_set)
        try:
            found = answer(given, self._translator, self._setup.options, reporter)
        except KeyboardInterrupt:
            return []
        return [*self._said(), ("outcome", found)]

    def listen(self) -> list[Message]:
        """What it has to say meanwhile; waits until there is something."""
        return [self._messages.get(), *self._said()]

    def stop(self) -> None:
        """End the work at the next frame, leaving nothing half-written."""
        self._stopped.set()

    def _say(self, kind: Kind, value: object) -> None:
        self._messages.put((kind, value))

    def _said(self) -> list[Message]:
        said = []
        while not self._messages.empty():
            said.append(self._messages.get())
        return said
