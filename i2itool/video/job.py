"""A conversion that can be taken up again: its folder, its lock, its finished pieces."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import av
import cv2

from i2itool import __version__
from i2itool.errors import I2IError, InputError, OutputError
from i2itool.frames import Position
from i2itool.locks import exclusive
from i2itool.options import ConvertOptions
from i2itool.partial import hidden_name, link_or_move, publish
from i2itool.video.journal import (
    FILE_NAME,
    Identity,
    append_segment,
    differences,
    read_identity,
    read_journal,
    write_journal,
)
from i2itool.video.segments import Segment
from i2itool.video.state import State, read_state, write_state

logger = logging.getLogger("i2itool.video.job")

# Stands in the folder while numbered pictures get their names: those that have theirs are the job's own.
_PUBLISHING = "publishing"
# States are large, and only the last one is needed; the one before, if the last piece is found damaged.
_STATES_KEPT = 2
# Options that change how a conversion goes, but not what comes out.
_WITHOUT_EFFECT = ("overwrite", "restart", "preview", "verify", "device", "max_pixels")


class Job:
    """A conversion under way. folder: of its work.  segments: the finished pieces, in order of time."""

    def __init__(self, target: Path, identity: Identity, segments: list[Segment]) -> None:
        self.target = target
        self.folder = work_folder(target)
        self.identity = identity
        self.segments = segments
        self._states: dict[int, State] = {}

    @property
    def num_frames(self) -> int:
        """Frames in the finished pieces."""
        return sum(segment.num_frames for segment in self.segments)

    @property
    def position(self) -> Position | None:
        """Where to go on; None at the beginning."""
        return Position(self.num_frames, self.segments[-1].last_pts) if self.segments else None

    @property
    def partial(self) -> Path:
        """A name for the whole file, as long as it is not whole; its suffix is that of the target."""
        return self.folder / f"whole{self.target.suffix}"

    @property
    def state(self) -> State:
        """What the frames behind the finished pieces depend on, as it was kept; empty if on nothing."""
        if not self.segments or not self.segments[-1].state_sha256:
            return {}
        return read_state(self.segments[-1].state_path(self.folder))

    def keep(self, pts: int, state: State) -> None:
        """Remember what the frames behind the one at `pts` depend on, for the piece that ends with it."""
        if state:
            self._states[pts] = state

    def note(self, segment: Segment) -> None:
        """Enter a finished piece into the journal."""
        state = self._states.pop(segment.last_pts, None)
        if state is not None:
            digest = write_state(segment.state_path(self.folder), state)
            segment = replace(segment, state_sha256=digest)
        append_segment(self.folder, segment)
        self.segments.append(segment)
        for done in self.segments[-1 - _STATES_KEPT : -_STATES_KEPT]:
            done.state_path(self.folder).unlink(missing_ok=True)

    def adopt(self, segment: Segment, folder: Path) -> None:
        """Take over a piece that another job has made in `folder`, as the next one. Raises OutputError."""
        own = replace(segment, index=len(self.segments))
        link_or_move(segment.path(folder), own.path(self.folder))
        if segment.can_be_followed(folder) and segment.state_sha256:
            link_or_move(segment.state_path(folder), own.state_path(self.folder))
        append_segment(self.folder, own)
        self.segments.append(own)

    def publish(self) -> None:
        """Give the whole file its name, and remove the folder: the job is done."""
        publish(self.partial, self.target)
        self.discard()

    def begin_publishing(self) -> None:
        """Note that files get their names one after the other, for `is_publishing`; raises OutputError."""
        try:
            (self.folder / _PUBLISHING).touch()
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {error.strerror}") from error

    def discard(self) -> None:
        """Remove the folder with all that is in it."""
        (self.folder / _PUBLISHING).unlink(missing_ok=True)
        # The journal goes before the rest: should that stay behind, nobody takes it for a job.
        (self.folder / FILE_NAME).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def job_identity(
    source: Identity,
    options: ConvertOptions,
    chosen: Mapping[str, object],
    *,
    network: str,
) -> Identity:
    """All that the result of a conversion depends on, for `open_job`.

    source: what tells it from others.  chosen: what was settled beyond the options, by name.
    network: SHA-256 of the network.
    """
    # As JSON keeps them, for lists come back from it where tuples went in.
    settings = json.loads(
        json.dumps({key: value for key, value in asdict(options).items() if key not in _WITHOUT_EFFECT})
    )
    # A default asked for by name is no other one.
    settings["crf"] = options.quality
    # How a video is shared out leaves it as it is, but for this.
    if options.split != "anywhere":
        del settings["split"]
    versions = {
        "i2itool": __version__,
        "av": av.__version__,
        "cv2": cv2.__version__,
        "torch": version("torch"),
    }
    return {"source": source, "network": network, "setting": settings | dict(chosen), "version": versions}


def work_folder(target: Path) -> Path:
    """The hidden folder beside `target` that keeps what is finished until it is whole."""
    return hidden_name(target, "i2itool")


def noted_batch_size(target: Path) -> int | None:
    """That of a conversion into `target` which has stopped and may be taken up; None if there is none."""
    identity = read_identity(work_folder(target))
    setting = identity.get("setting") if identity else None
    noted = setting.get("batch_size") if isinstance(setting, Mapping) else None
    return noted if isinstance(noted, int) and noted > 0 else None


def is_publishing(target: Path) -> bool:
    """Whether a job has stopped, or is busy, while its files were getting their names."""
    return (work_folder(target) / _PUBLISHING).exists()


@contextmanager
def open_job(
    target: Path, identity: Identity, *, restart: bool = False, is_repeatable: bool = True
) -> Iterator[Job]:
    """Begin the conversion into `target`, or take it up where an earlier run has stopped.

    identity: all that the result depends on.  restart: discard what an earlier run has finished.
    is_repeatable: whether the source can be read again; that of a pipe cannot, and is begun anew.
    When the block ends with an exception, the finished pieces stay for the next run; without any, nothing
    stays. Raises OutputError if another process is at it, or if the finished pieces are of another job.
    """
    if not target.parent.is_dir():
        raise OutputError(f"no such folder: {target.parent}", hint="make it first")
    with exclusive(target):
        identity = json.loads(json.dumps(identity, default=str))
        job = _take_up(target, identity, restart=restart or not is_repeatable)
        try:
            yield job
        except BaseException as error:
            if job.segments and is_repeatable:
                hint = _hint_after(error)
                logger.warning("%d frames are finished and kept in %s%s", job.num_frames, job.folder, hint)
            else:
                job.discard()
            raise


def _hint_after(error: BaseException) -> str:
    """How to go on with what is kept; what is wrong with the input would stop the same command again."""
    if isinstance(error, InputError):
        return ""
    mended = ", once the cause is mended" if isinstance(error, I2IError) else ""
    return f": the same command goes on from there{mended}"


def _take_up(target: Path, identity: Identity, *, restart: bool) -> Job:
    folder = work_folder(target)
    _make(folder)
    known, segments = (None, []) if restart else read_journal(folder)
    if known is not None and segments and (changes := list(differences(known, identity))):
        raise OutputError(
            f"{folder} holds {sum(segment.num_frames for segment in segments)} finished frames "
            f"of another job: {', '.join(changes)}",
            hint="--restart discards them; or ask for what was asked before, on as many cores",
        )
    while segments and not segments[-1].can_be_followed(folder):
        segments.pop()
    if segments:
        logger.info("%s: going on behind %d frames", target, sum(segment.num_frames for segment in segments))
    job = Job(target, identity, segments)
    kept = {folder / FILE_NAME, folder / _PUBLISHING}
    kept |= {segment.path(folder) for segment in segments}
    kept |= {segment.state_path(folder) for segment in segments[-_STATES_KEPT:]}
    _remove_all_but(kept, folder)
    write_journal(folder, identity, segments)
    return job


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}") from error
    # Somebody else may have put a link there, to have files written elsewhere.
    if folder.is_symlink():
        raise OutputError(f"{folder} is a link", hint="remove it")


def _remove_all_but(kept: set[Path], folder: Path) -> None:
    """Clear out what a crash has left: half-written files, and pieces behind a damaged one."""
    for path in folder.iterdir():
        if path in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
