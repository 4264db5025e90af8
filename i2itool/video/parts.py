"""Parts of a long video that several workers make: where each begins and ends, and taking over what it holds.

A part is a job of its own, in a folder of its own beside the output, with pieces and a journal. The job of
the whole takes finished pieces over, in order, as if it had made them; so it goes on behind them, or ends.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from i2itool.errors import BeingWritten
from i2itool.locks import exclusive
from i2itool.video.job import Job, work_folder
from i2itool.video.journal import Identity, read_identity, read_journal
from i2itool.video.segments import Segment

# In the identity of the job of a part, beside that of the whole.
_KEY = "part"
# So that what is put round it leaves it as it is, see `i2itool.partial`.
_LONGEST_NAME_BYTES = 160


@dataclass(frozen=True, slots=True)
class Part:
    """Pieces of a video that one worker makes.

    index: among the parts.  division: the first piece of each part; the last part goes on to the end.
    """

    index: int
    division: tuple[int, ...]

    @property
    def first_piece(self) -> int:
        """Its first piece, from 0."""
        return self.division[self.index]

    @property
    def num_pieces(self) -> int | None:
        """How many pieces it has; None if it goes on to the end."""
        if self.index + 1 == len(self.division):
            return None
        return self.division[self.index + 1] - self.first_piece

    @property
    def earlier(self) -> Part:
        """The part before it; not for the first one."""
        assert self.index > 0
        return Part(self.index - 1, self.division)

    def job_of(self, target: Path) -> Path:
        """The name that its job goes by."""
        return _job_name(target, f"{self.index:04}")

    def identity(self, whole: Identity) -> Identity:
        """What its job depends on, beside what the whole does."""
        return {**whole, _KEY: [self.index, list(self.division)]}


def parts_of(division: tuple[int, ...]) -> list[Part]:
    """All parts of a division."""
    return [Part(index, division) for index in range(len(division))]


def found_division(target: Path) -> tuple[int, ...] | None:
    """How `target` was divided by a run that has stopped; None if it was not."""
    for _, identity in _found(target):
        _, division = identity[_KEY]
        return tuple(division)
    return None


def adopt_parts(job: Job) -> None:
    """Take over what parts of this very job have finished, as long as no piece is missing.

    A part that is being made is left alone. Raises OutputError if a piece cannot be taken.
    """
    division = found_division(job.target)
    for part in [] if division is None else parts_of(division):
        with suppress(BeingWritten), exclusive(part.job_of(job.target)):
            folder = work_folder(part.job_of(job.target))
            identity, segments = read_journal(folder)
            if identity != part.identity(job.identity):
                return
            for segment in segments:
                if part.first_piece + segment.index == len(job.segments):
                    job.adopt(segment, folder)


def discard_parts(target: Path) -> None:
    """Remove what parts have left, but for one that is being made."""
    for folder, identity in list(_found(target)):
        index, division = identity[_KEY]
        with suppress(BeingWritten), exclusive(Part(index, tuple(division)).job_of(target)):
            shutil.rmtree(folder, ignore_errors=True)


def last_segment(target: Path, part: Part, identity: Identity) -> Segment | None:
    """The last piece of a part that is finished and can be followed; None if it is not.

    identity: of the whole, or of any part of it.
    """
    folder = work_folder(part.job_of(target))
    known, segments = read_journal(folder)
    is_whole = known == part.identity(identity) and len(segments) == part.num_pieces
    return segments[-1] if is_whole and segments[-1].can_be_followed(folder) else None


def _found(target: Path) -> Iterator[tuple[Path, Identity]]:
    """Folders of parts, in order, with what they depend on."""
    start, _, end = work_folder(_job_name(target, "?")).name.rpartition("?")
    if not target.parent.is_dir():
        return
    for folder in sorted(target.parent.iterdir()):
        if folder.name.startswith(start) and folder.name.endswith(end):
            identity = read_identity(folder)
            if identity is not None and _KEY in identity:
                yield folder, identity


def _job_name(target: Path, number: str) -> Path:
    name = target.name
    if len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return target.with_name(f"{name}.part{number}")
