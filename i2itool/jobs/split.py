"""Long videos among many files: divided, so that no worker is left alone with one at the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from i2itool.errors import InputError
from i2itool.jobs.plan import Task
from i2itool.options import ConvertOptions
from i2itool.pictures import is_picture
from i2itool.trim import num_frames_within
from i2itool.video.job import work_folder
from i2itool.video.parts import Part, found_division, parts_of
from i2itool.video.segments import SEGMENT_FRAMES
from i2itool.video.sources import open_source

# A part costs reading the video up to its beginning, and frames before it that are translated twice.
_LEAST_PIECES = 2
# For each worker that a video is worth; those that have to wait for others leave room.
_PARTS_A_WORKER = 2


@dataclass(frozen=True, slots=True)
class PartTask:
    """A part of a file to be made."""

    whole: Task
    part: Part


@dataclass(frozen=True, slots=True)
class ProbeTask:
    """Files of which some frames are to be converted, and timed."""

    tasks: tuple[Task, ...]


Work: TypeAlias = Task | PartTask
Given: TypeAlias = Work | ProbeTask
"""What a worker may be given."""


def file_of(work: Work) -> Task:
    """The file that a piece of work belongs to."""
    return work.whole if isinstance(work, PartTask) else work


def absolute(given: Given) -> Given:
    """The same for a worker that stands in another folder."""
    if isinstance(given, ProbeTask):
        return ProbeTask(tuple(_absolute(task) for task in given.tasks))
    if isinstance(given, PartTask):
        return PartTask(_absolute(given.whole), given.part)
    return _absolute(given)


def divide(tasks: Sequence[Task], options: ConvertOptions, num_workers: int) -> dict[Task, list[Part]]:
    """The files that are to be divided, with their parts.

    That is a video with more bytes than a worker's share of all, and one that a stopped run has divided,
    which is divided alike. One that a stopped run has begun whole goes on whole: its pieces would be made
    anew. With --batch-size auto none is divided, for workers might find different ones.
    """
    if num_workers < 2 or options.split == "off" or options.batch_size == "auto":
        return {}
    todo = [task for task in tasks if options.overwrite or not task.target.exists()]
    total = sum(task.num_bytes for task in todo)
    divided = {}
    for task in todo:
        num_shares = task.num_bytes * num_workers / max(total, 1)
        division = found_division(task.target)
        if division is None and num_shares > 1 and not work_folder(task.target).exists():
            division = _division(task, options, num_shares)
        if division is not None and len(division) > 1:
            divided[task] = parts_of(division)
    return divided


def _absolute(task: Task) -> Task:
    root = None if task.root is None else task.root.absolute()
    return Task(task.source.absolute(), task.target.absolute(), root)


def _division(task: Task, options: ConvertOptions, num_shares: float) -> tuple[int, ...] | None:
    if is_picture(task.source):
        return None
    try:
        with open_source(task.source, options) as source:
            num_frames = num_frames_within(source.info, options.trim)
    except InputError:
        # It will be told of by the worker that is to convert it.
        return None
    num_pieces = math.ceil((num_frames or 0) / SEGMENT_FRAMES)
    count = min(math.ceil(_PARTS_A_WORKER * num_shares), num_pieces // _LEAST_PIECES)
    return tuple(num_pieces * index // count for index in range(count)) if count > 1 else None
