"""Many files at once: pictures and videos, files and whole folders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

from i2itool.console import Reporter, SilentReporter
from i2itool.conversion import open_translator
from i2itool.errors import OptionError
from i2itool.jobs.outcome import Outcome, do
from i2itool.jobs.plan import Task, plan
from i2itool.jobs.pool import Pool
from i2itool.jobs.shard import parse_shard
from i2itool.jobs.worker import Setup, describe
from i2itool.option_check import check_options
from i2itool.options import ConvertKeywords, ConvertOptions
from i2itool.preset import Preset, find_preset

logger = logging.getLogger("i2itool.jobs")


def convert_many(
    inputs: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    preset: str,
    jobs: int = 1,
    shard: str | None = None,
    reporter: Reporter | None = None,
    tell: Callable[[Outcome], None] | None = None,
    **options: Unpack[ConvertKeywords],
) -> list[Outcome]:
    """Translate files, and all pictures and videos of folders; go on after one that fails.

    A folder keeps its names and its tree, in `output` or in FOLDER_PRESET beside it. What exists is done and
    is skipped, unless `overwrite` is set; so is what another process is writing. jobs: worker processes;
    more than one need the caller to be a module that can be imported (`if __name__ == "__main__"`).
    shard: `3/16` does the third of sixteen parts only, see `i2itool.jobs.shard`.
    tell: is called with each outcome as it comes.

    Raises OptionError for impossible options, InputError if there is nothing to do, and PresetError or
    EngineError if nothing can be done.
    """
    asked = ConvertOptions(**options)
    check_options(asked)
    if jobs < 1:
        raise OptionError(f"{jobs} jobs are impossible", hint="1 or more")
    found = find_preset(preset)
    todo = plan([Path(path) for path in inputs], None if output is None else Path(output), found.name)
    for path, reason in todo.passed_over:
        logger.warning("%s is passed over: %s", path, reason)

    part = parse_shard(shard)
    tasks = todo.tasks if part is None else part.of(todo.tasks)
    if part is not None:
        logger.info("part %d of %d: %d of %d files", part.index + 1, part.count, len(tasks), len(todo.tasks))
    outcomes: list[Outcome] = []
    progress = reporter or SilentReporter()
    progress.start("files", len(tasks), unit="files")
    try:
        for outcome in _outcomes(tasks, found, asked, jobs, progress):
            outcomes.append(outcome)
            progress.advance(note=outcome.task.source.name)
            if tell is not None:
                tell(outcome)
    finally:
        progress.finish()
    return outcomes


def _outcomes(
    tasks: Sequence[Task], preset: Preset, options: ConvertOptions, jobs: int, reporter: Reporter
) -> Iterator[Outcome]:
    if not tasks:
        return
    if min(jobs, len(tasks)) == 1:
        with open_translator(preset, options) as translator:
            for task in tasks:
                yield do(task, translator, options, _Notes(reporter))
    else:
        level = logging.getLogger("i2itool").getEffectiveLevel()
        with Pool(Setup(preset, options, level), jobs, reporter) as pool:
            yield from pool.outcomes(tasks)


class _Notes:
    """Shows how far a file is beside the bar that counts files."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        """Remember the file."""
        self._label, self._total, self._done, self._unit = label, total, done, unit

    def advance(self, count: int = 1, *, note: str = "") -> None:  # noqa: ARG002 - the file is told of
        """Say how far it is."""
        self._done += count
        self._reporter.advance(0, note=describe(self._label, self._done, self._total, self._unit))

    def finish(self) -> None:
        """Nothing: the outcome follows."""
