"""What a batch will take: frames, hours and bytes, from a measured probe; nothing is written."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from i2itool.errors import EngineError, I2IError, InputError
from i2itool.jobs.plan import Task
from i2itool.jobs.pool import Crew
from i2itool.jobs.split import ProbeTask
from i2itool.options import ConvertOptions
from i2itool.pictures import is_picture
from i2itool.probe import Probe
from i2itool.stills import read_still
from i2itool.trim import num_frames_within
from i2itool.video.animation import is_animation
from i2itool.video.sources import open_source

# Sizes of frames that are probed, those with most pixels in all; others are reckoned from the nearest.
_MOST_PROBED = 3
# Workers that probe at once, for they share what a machine has.
_MOST_PROBERS = 8


@dataclass(frozen=True, slots=True)
class FileForecast:
    """What a file will take.

    num_frames: as it declares.  seconds: of one worker.  num_bytes: of the output's pictures.  problem: why
    nothing is known of it, or why there is nothing to do.
    """

    task: Task
    width: int = 0
    height: int = 0
    num_frames: int = 0
    seconds: float = 0.0
    num_bytes: int = 0
    problem: str = ""

    @property
    def area(self) -> int:
        """Pixels of a frame."""
        return self.width * self.height

    def as_dict(self) -> dict[str, object]:
        """For a line of JSON."""
        values: dict[str, object] = {"input": self.task.source, "output": self.task.target}
        if self.problem:
            return {**values, "problem": self.problem}
        size = {"width": self.width, "height": self.height, "frames": self.num_frames}
        return {**values, **size, "hours": self.seconds / 3600, "bytes": self.num_bytes}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a batch will take. loads: seconds of each worker, the longest first."""

    files: list[FileForecast]
    loads: list[float]

    def as_dict(self) -> dict[str, object]:
        """For a line of JSON: the sums."""
        return {
            "files": sum(not file.problem for file in self.files),
            "frames": sum(file.num_frames for file in self.files),
            "bytes": sum(file.num_bytes for file in self.files),
            "hours": max(self.loads, default=0.0) / 3600,
            "hours_of_workers": [seconds / 3600 for seconds in self.loads],
        }


def forecast(tasks: Sequence[Task], options: ConvertOptions, crew: Crew[Any]) -> Forecast:
    """Look into every file, have the workers of `crew` convert some frames, and reckon.

    Workers probe at the same time, for they share a machine. Raises EngineError, or InputError if no file
    can be read.
    """
    files = [_looked_into(task, options) for task in tasks]
    todo = [file for file in files if not file.problem]
    if not todo:
        return Forecast(files, [0.0] * crew.size)
    probed = _probed(_specimens(todo), crew)
    known = [file if file.problem else reckoned(file, probed) for file in files]
    return Forecast(known, loads(known, crew.size, can_share=options.split != "off"))


def _looked_into(task: Task, options: ConvertOptions) -> FileForecast:
    if task.target.exists() and not options.overwrite:
        return FileForecast(task, problem="is already there")
    try:
        if is_picture(task.source) and not is_animation(task.source):
            height, width = read_still(task.source, max_pixels=options.max_pixels).pixels.shape[:2]
            return FileForecast(task, width, height, 1)
        with open_source(task.source, options) as source:
            num_frames = num_frames_within(source.info, options.trim) or 0
            return FileForecast(task, source.info.width, source.info.height, num_frames)
    except InputError as error:
        return FileForecast(task, problem=str(error))


def _specimens(files: Iterable[FileForecast]) -> list[FileForecast]:
    """The longest file of each of the sizes that have most pixels in all."""
    by_size: dict[tuple[int, int, bool], list[FileForecast]] = {}
    for file in files:
        by_size.setdefault((file.width, file.height, file.num_frames == 1), []).append(file)
    weighty = sorted(by_size.values(), key=lambda group: -sum(file.area * file.num_frames for file in group))
    return [max(group, key=lambda file: file.num_frames) for group in weighty[:_MOST_PROBED]]


def _probed(specimens: Sequence[FileForecast], crew: Crew[Any]) -> list[tuple[FileForecast, Probe]]:
    """Each specimen with the median of what several workers have measured at the same time."""
    answers: list[list[Probe | I2IError]] = []
    workers = [crew.hire(place, crew.size) for place in range(min(crew.size, _MOST_PROBERS))]
    try:
        while len(answers) < len(workers):
            for worker, kind, value in crew.hear(workers):
                if kind == "error":
                    assert isinstance(value, I2IError)
                    raise value
                if kind == "died":
                    raise EngineError(f"the engine cannot be probed: {value}")
                if kind == "ready":
                    worker.is_ready = True
                    worker.give(ProbeTask(tuple(file.task for file in specimens)))
                elif kind == "outcome":
                    assert isinstance(value, list)
                    worker.task = None
                    answers.append(value)
    finally:
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.join()
    found = []
    for specimen, measured in zip(specimens, zip(*answers, strict=True), strict=True):
        probes = [one for one in measured if isinstance(one, Probe)]
        if probes:
            found.append((specimen, median(probes)))
    if not found:
        raise next(one for one in answers[0] if isinstance(one, I2IError))
    return found


def median(probes: Sequence[Probe]) -> Probe:
    """What several workers have measured of the same frames; the bytes are the same for all."""
    return replace(probes[0], seconds=statistics.median(one.seconds for one in probes))


def reckoned(file: FileForecast, probed: Sequence[tuple[FileForecast, Probe]]) -> FileForecast:
    """A file with what the probe of the nearest size comes to for it, by pixels."""

    def distance(one: FileForecast) -> tuple[bool, float]:
        return (one.num_frames == 1) != (file.num_frames == 1), abs(math.log(one.area / file.area))

    specimen, probe = min(probed, key=lambda pair: distance(pair[0]))
    scale = file.area / specimen.area
    num_bytes = file.task.num_bytes if probe.num_bytes is None else file.num_frames * probe.num_bytes * scale
    return replace(file, seconds=file.num_frames * probe.seconds * scale, num_bytes=round(num_bytes))


def loads(files: Sequence[FileForecast], num_workers: int, *, can_share: bool) -> list[float]:
    """Seconds of each worker: the longest first, a file goes to whoever has least; all share long videos."""
    found = [0.0] * num_workers
    share = sum(file.seconds for file in files) / num_workers
    for file in sorted(files, key=lambda file: -file.seconds):
        if can_share and file.num_frames > 1 and file.seconds > share:
            found = [seconds + file.seconds / num_workers for seconds in found]
        else:
            found[found.index(min(found))] += file.seconds
    return sorted(found, reverse=True)
