"""One part of a long video, made apart from the others and bit for bit as one run would make it.

Pieces are encoded apart anyhow, and the network sees each frame alone. What a frame owes to those before it
is the smoother's memory, which ends at a cut: a part may begin at the last cut before it, with frames that
are translated again and thrown away, or behind the part before it, with the memory that this has left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from i2itool.console import Reporter, reporting
from i2itool.frames import Frame, Position
from i2itool.options import ConvertOptions
from i2itool.preparation import Prepared, prepared
from i2itool.smoothing import passing, smoothing_of
from i2itool.targets import refuse_existing
from i2itool.temporal.base import Arrays
from i2itool.temporal.stream import most_ahead
from i2itool.temporal.tracking import track_all
from i2itool.translator import Translator
from i2itool.video.ahead import WriteBehind
from i2itool.video.job import Job, open_job, work_folder
from i2itool.video.parts import Part, last_segment
from i2itool.video.segments import SEGMENT_FRAMES, SegmentWriter
from i2itool.video.sources import open_source
from i2itool.video.state import read_state

# How far before a part a cut is looked for; without one, how long the smoother is warmed up if it may be.
WARM_UP_FRAMES = 240


class NoCut(Exception):
    """A part cannot begin: no cut is near, and the part before it is not finished."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where to begin reading, and with what memory.

    position: behind so many frames.  state: of the smoother there; empty if it begins anew.
    """

    position: Position
    state: Arrays


def make_part(
    source: Path,
    target: Path,
    part: Part,
    translator: Translator,
    options: ConvertOptions,
    reporter: Reporter,
    *,
    segment_frames: int = SEGMENT_FRAMES,
) -> int:
    """Make the pieces of a part of a video, which the conversion into `target` then takes over.

    A later call with the same arguments goes on where this one was stopped. Returns the number of frames
    of the part. Raises NoCut, and what `convert_video` raises.
    """
    refuse_existing(source, target, overwrite=options.overwrite)
    with prepared(source, target, translator, options, segment_frames) as ready:
        identity = part.identity(ready.identity)
        with open_job(part.job_of(target), identity, restart=options.restart) as job:
            num_missing = _num_missing(part, job, ready)
            if num_missing != 0:
                _make(part, job, ready, num_missing, reporter)
            return job.num_frames


def last_lead(frames: Iterable[Frame], *, first: int) -> int | None:
    """The frame from which on to read, so that the last of `frames` has the memory of an undisturbed run.

    That is one before the last cut, for the smoother's clock tells how long the picture before the cut was
    shown: the first frame that showed it. None if there is no such.
    frames: as the network sees them. The first is that of number `first`; with 0 the video begins there.
    """
    shown_since = lead = 0 if first == 0 else None
    for number, tracked in islice(enumerate(track_all(frames), start=first), 1, None):
        if tracked.kind == "cut" and shown_since is not None:
            lead = shown_since
        if tracked.kind != "same":
            shown_since = number
    return lead


def _num_missing(part: Part, job: Job, ready: Prepared) -> int | None:
    """How many frames the part lacks; None if it goes on to the end."""
    return None if part.num_pieces is None else part.num_pieces * ready.segment_frames - job.num_frames


def _make(part: Part, job: Job, ready: Prepared, num_missing: int | None, reporter: Reporter) -> None:
    options, translator, segment_frames = ready.options, ready.translator, ready.segment_frames
    begun = part.first_piece * segment_frames + job.num_frames
    end = None if num_missing is None else begun + num_missing
    beginning = _beginning(part, job, ready)
    first = beginning.position.num_frames
    # In whole batches, and with those that the smoother looks ahead to.
    num_ahead = -(-most_ahead(options.smooth_lookahead) // translator.batch_size) * translator.batch_size
    last = None if end is None else end - first + num_ahead
    frames = islice(ready.reader.frames(ready.window, beginning.position), last)
    label, num_frames = f"{ready.source.name} part {part.index + 1}", ready.num_frames
    total = None if num_frames is None else max(0, (end or num_frames) - begun)
    with (
        passing(
            ready.beside.watch(frames), translator, options, translator.resume(beginning.state)
        ) as passing_by,
        SegmentWriter(job, ready.product.open_piece, segment_frames=segment_frames) as writer,
        WriteBehind(writer) as sink,
        reporting(reporter, label, total),
    ):
        for number, passed in islice(enumerate(passing_by, start=first), end and end - first):
            shown = ready.beside.put(passed.frame)
            if number >= begun:
                if (number + 1) % segment_frames == 0:
                    job.keep(passed.frame.pts, {**passed.state(), **translator.state()})
                sink.write(shown)
                reporter.advance()


def _beginning(part: Part, job: Job, ready: Prepared) -> Beginning:
    start = part.first_piece * ready.segment_frames
    if job.position is not None:
        num_frames = start + job.position.num_frames
        return Beginning(replace(job.position, num_frames=num_frames), job.state)
    if start == 0 or smoothing_of(ready.options, ready.translator.device) is None:
        return Beginning(Position(start), {})
    before = last_segment(ready.target, part.earlier, job.identity)
    if before is not None:
        folder = work_folder(part.earlier.job_of(ready.target))
        return Beginning(Position(start, before.last_pts), read_state(before.state_path(folder)))
    scanned = max(0, start - WARM_UP_FRAMES)
    lead = _lead(ready, scanned, start)
    if lead is None and ready.options.split != "anywhere":
        raise NoCut
    lead = scanned if lead is None else lead
    return Beginning(Position(lead - lead % ready.translator.batch_size), {})


def _lead(ready: Prepared, scanned: int, start: int) -> int | None:
    """`last_lead` for frame `start`, looked for from frame `scanned` on; the video is read once more."""
    with open_source(ready.source, ready.options) as scout:
        frames = islice(scout.frames(ready.window, Position(scanned)), start - scanned + 1)
        reduced = (replace(frame, pixels=ready.translator.reduced(frame.pixels)) for frame in frames)
        return last_lead(reduced, first=scanned)
