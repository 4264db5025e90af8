"""Where the time of a conversion goes: CPU and wall time of its stages, by the names of their threads.

A thread that a stage starts inherits its name from the system, so that the work of codecs and engines is
counted where it belongs; those that FFmpeg names itself are known by that. Linux tells all of it; elsewhere
there is nothing to read.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_PREFIX = "i2i-"
_TASKS = Path("/proc/self/task")
# Short beside the life of a codec's threads, whose last moments go uncounted; long beside a look at all.
_SECONDS_BETWEEN_LOOKS = 0.05


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the block, and the threads that are started in it, as the stage `name` (11 letters at most)."""
    own = _TASKS / str(threading.get_native_id()) / "comm"
    before = None
    with suppress(OSError):
        before = own.read_text(encoding="utf-8")
        own.write_text(f"{_PREFIX}{name}", encoding="utf-8")
    try:
        yield
    finally:
        if before is not None:
            with suppress(OSError):
                own.write_text(before.strip(), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class StageTime:
    """cpu_seconds: of all its threads.  busy_seconds: wall time in which any of them ran, or could have."""

    name: str
    cpu_seconds: float
    busy_seconds: float


class Profile:
    """Watches the threads of this process while the block runs; afterwards `stages` tells of them."""

    def __init__(self) -> None:
        self.seconds = 0.0
        # Of each thread, and what each name has had: a thread may bear several, one after another.
        self._ticks: dict[tuple[str, str], int] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._spent: Counter[str] = Counter()
        self._busy_looks: Counter[str] = Counter()
        self._num_looks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="profile", daemon=True)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._look()
        self._spent.clear()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        self.seconds = time.monotonic() - self._started

    def stages(self) -> list[StageTime]:
        """The stages in the order in which they began; what belongs to none is called "other"."""
        share, tick = self.seconds / max(1, self._num_looks), 1 / os.sysconf("SC_CLK_TCK")
        spent = {name: ticks * tick for name, ticks in self._spent.items()}
        found = [StageTime(name, seconds, self._busy_looks[name] * share) for name, seconds in spent.items()]
        return sorted(found, key=lambda item: item.name == "other")

    def _watch(self) -> None:
        with stage("profile"):
            while not self._stop.wait(_SECONDS_BETWEEN_LOOKS):
                self._look()

    def _look(self) -> None:
        busy = set()
        for path in _TASKS.glob("*/stat"):
            with suppress(OSError):  # a thread that has just ended
                before, _, after = path.read_text(encoding="utf-8", errors="replace").rpartition(")")
                fields = after.split()
                # A number is given again to later threads; the time of its start tells them apart.
                thread = (path.parent.name, fields[19])
                name = _stage_of(before.partition("(")[2])
                ticks = int(fields[11]) + int(fields[12])
                # What a thread did before it was renamed was done under its former name.
                self._spent[self._names.get(thread, name)] += ticks - self._ticks.get(thread, 0)
                self._ticks[thread], self._names[thread] = ticks, name
                if fields[0] == "R":
                    busy.add(name)
        self._busy_looks.update(busy)
        self._num_looks += 1


def _stage_of(comm: str) -> str:
    """The stage that a thread of this name works for."""
    if comm.startswith(_PREFIX):
        return comm.removeprefix(_PREFIX)
    # FFmpeg names its threads by itself: av:h264:df0 decodes frames, av:vp9:es1 encodes slices.
    named = re.fullmatch(r"av:.*:([de])[fs]\d*", comm)
    return {"d": "decode", "e": "encode"}[named[1]] if named else "other"


def table(profile: Profile, num_frames: int, cores: int) -> str:
    """The stages in lines of text, and how much of the machine was used."""
    # A stage too short for a tick of the system's clock is there all the same, with 0.
    stages = [item for item in profile.stages() if item.name != "profile"]
    if not stages:
        return "this system does not tell how long threads run"
    lines = [f"{'stage':10}{'CPU s':>9}{'CPU ms/frame':>14}{'busy s':>9}{'of wall':>9}"]
    lines += [
        f"{item.name:10}{item.cpu_seconds:9.2f}{1000 * item.cpu_seconds / max(1, num_frames):14.1f}"
        f"{item.busy_seconds:9.2f}{item.busy_seconds / profile.seconds:9.0%}"
        for item in stages
    ]
    total = sum(item.cpu_seconds for item in stages)
    lines.append(
        f"{num_frames} frames in {profile.seconds:.2f} s: {num_frames / profile.seconds:.2f} frames/s, "
        f"{total / profile.seconds:.2f} of {cores} cores at work"
    )
    return "\n".join(lines)
