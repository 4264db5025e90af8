"""What has become of a file, and doing one."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Literal

from i2itool.console import Reporter
from i2itool.conversion import Converted, convert_file
from i2itool.errors import AlreadyThere, BeingWritten, I2IError, OutputError
from i2itool.jobs.plan import Task
from i2itool.jobs.split import Given, PartTask, ProbeTask, Work, file_of
from i2itool.options import ConvertOptions
from i2itool.part_making import NoCut, make_part
from i2itool.probe import Probe, probe
from i2itool.translator import Translator

Status = Literal["done", "skipped", "failed"]

# The reason of what is skipped because of its lock.
BUSY = "another process is at it"
# That of a part that has to wait for the one before it; nobody else gets to see it.
NO_CUT = "no cut is near"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a file.

    converted: if it is done.  reason: why it was skipped or has failed.  exit_code: of a failure, else 0.
    """

    task: Task
    status: Status
    converted: Converted | None = None
    reason: str = ""
    exit_code: int = 0

    def as_dict(self) -> dict[str, object]:
        """For a line of JSON: what `Converted` holds, or the reason; paths stay paths."""
        if self.converted is not None:
            return {**asdict(self.converted), "status": self.status}
        values: dict[str, object] = {"input": self.task.source, "output": self.task.target}
        if self.status == "failed":
            return {**values, "status": self.status, "error": self.reason, "exit_code": self.exit_code}
        return {**values, "status": self.status, "reason": self.reason}


def answer(
    given: Given, translator: Translator, options: ConvertOptions, reporter: Reporter
) -> Outcome | list[Probe | I2IError]:
    """What a worker finds: the outcome of work, or what files cost, each by itself."""
    if not isinstance(given, ProbeTask):
        return do(given, translator, options, reporter)
    return [_probed(task, translator, options) for task in given.tasks]


def do(work: Work, translator: Translator, options: ConvertOptions, reporter: Reporter) -> Outcome:
    """Make a file, or a part of one, unless it is there or another process is at it.

    An error becomes the outcome.
    """
    task = file_of(work)
    try:
        if task.root is not None:
            _make_folder_for(task)
        if isinstance(work, PartTask):
            started = time.monotonic()
            num_frames = make_part(task.source, task.target, work.part, translator, options, reporter)
            seconds = time.monotonic() - started
            return Outcome(task, "done", Converted(task.source, task.target, num_frames, seconds))
        return Outcome(task, "done", convert_file(task.source, task.target, translator, options, reporter))
    except NoCut:
        return Outcome(task, "skipped", reason=NO_CUT)
    except AlreadyThere:
        return Outcome(task, "skipped", reason="is already there")
    except BeingWritten:
        return Outcome(task, "skipped", reason=BUSY)
    except I2IError as error:
        return failed(task, error)


def failed(task: Task, error: I2IError) -> Outcome:
    """The outcome of an error."""
    return Outcome(task, "failed", reason=str(error), exit_code=error.exit_code)


def _probed(task: Task, translator: Translator, options: ConvertOptions) -> Probe | I2IError:
    try:
        return probe(task.source, task.target, translator, options)
    except I2IError as error:
        return error


def _make_folder_for(task: Task) -> None:
    assert task.root is not None
    folder = task.target.parent
    # An earlier run, or somebody else, may have put a link into the output folder.
    if not folder.resolve().is_relative_to(task.root.resolve()):
        raise OutputError(f"{folder} leads out of {task.root}", hint="remove the link")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}") from error
