"""Many files at once: pictures and videos, files and whole folders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from i2itool.console import Reporter, SilentReporter
from i2itool.conversion import open_translator
from i2itool.errors import OptionError
from i2itool.jobs.backlog import DEFAULT_RETRIES, Backlog
from i2itool.jobs.cluster import Cluster, joined
from i2itool.jobs.outcome import Outcome, do
from i2itool.jobs.plan import Task, plan
from i2itool.jobs.pool import Crew, Pool
from i2itool.jobs.processes import Processes
from i2itool.jobs.progress import Progress
from i2itool.jobs.shard import parse_shard
from i2itool.jobs.worker import Kind, Note, NoteReporter, Setup
from i2itool.option_check import check_options
from i2itool.options import ConvertKeywords, ConvertOptions
from i2itool.preset import Preset, find_preset

logger = logging.getLogger("i2itool.jobs")


@dataclass(frozen=True, slots=True)
class Workforce:
    """Who does the work: worker processes, or the actors of a cluster; see `convert_many`."""

    jobs: int
    cluster: str | None
    retries: int | None

    def is_this_process(self, num_tasks: int) -> bool:
        """Whether no worker is needed; retries need one, which may die."""
        return self.cluster is None and self.retries is None and min(self.jobs, num_tasks) == 1

    @contextmanager
    def crew(self, setup: Setup, num_tasks: int) -> Iterator[Crew[Any]]:  # Any: each has workers of its own
        """The workers to be; raises MissingExtra or EngineError if there is no such cluster."""
        if self.cluster is None:
            yield Processes(setup, min(self.jobs, num_tasks))
            return
        with joined(self.cluster, jobs=self.jobs, device=setup.options.device) as seats:
            yield Cluster(setup, seats)


def convert_many(
    inputs: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    preset: str,
    jobs: int = 1,
    cluster: str | None = None,
    retries: int | None = None,
    shard: str | None = None,
    reporter: Reporter | None = None,
    tell: Callable[[Outcome], None] | None = None,
    **options: Unpack[ConvertKeywords],
) -> list[Outcome]:
    """Translate files, and all pictures and videos of folders; go on after one that fails.

    A folder keeps its names and its tree, in `output` or in FOLDER_PRESET beside it. What exists is done and
    is skipped, unless `overwrite` is set; so is what another process is writing. jobs: worker processes;
    more than one need the caller to be a module that can be imported (`if __name__ == "__main__"`).
    cluster: "local", or the address of a cluster of Ray: each of its GPUs is a worker, or on machines
    without any `jobs` shares of the cores.  retries: how often a file is tried again whose worker died, 2
    unless said.
    shard: `3/16` does the third of sixteen parts only, see `i2itool.jobs.shard`.
    tell: is called with each outcome as it comes.

    Raises OptionError for impossible options, InputError if there is nothing to do, and PresetError or
    EngineError if nothing can be done.
    """
    asked = ConvertOptions(**options)
    check_options(asked)
    if jobs < 1:
        raise OptionError(f"{jobs} jobs are impossible", hint="1 or more")
    if retries is not None and retries < 0:
        raise OptionError(f"{retries} retries are impossible", hint="0 or more")
    found = find_preset(preset)
    todo = plan([Path(path) for path in inputs], None if output is None else Path(output), found.name)
    for path, reason in todo.passed_over:
        logger.warning("%s is passed over: %s", path, reason)

    part = parse_shard(shard)
    tasks = todo.tasks if part is None else part.of(todo.tasks)
    if part is not None:
        logger.info("part %d of %d: %d of %d files", part.index + 1, part.count, len(tasks), len(todo.tasks))
    workforce = Workforce(jobs, cluster, retries)
    outcomes: list[Outcome] = []
    progress = Progress(reporter or SilentReporter(), tasks, overwrite=asked.overwrite)
    progress.start()
    try:
        for outcome in _outcomes(tasks, found, asked, workforce, progress):
            outcomes.append(outcome)
            progress.settle(outcome.task)
            if tell is not None:
                tell(outcome)
    finally:
        progress.finish()
    return outcomes


def _outcomes(
    tasks: Sequence[Task], preset: Preset, options: ConvertOptions, workforce: Workforce, progress: Progress
) -> Iterator[Outcome]:
    if not tasks:
        return
    if workforce.is_this_process(len(tasks)):
        with open_translator(preset, options) as translator:
            for task in tasks:
                yield do(task, translator, options, NoteReporter(partial(_show, progress, task)))
        return
    setup = Setup(preset, options, logging.getLogger("i2itool").getEffectiveLevel())
    retries = DEFAULT_RETRIES if workforce.retries is None else workforce.retries
    backlog = Backlog(tasks, retries=retries)
    with workforce.crew(setup, len(tasks)) as crew, Pool(crew, backlog, progress) as pool:
        yield from pool.outcomes()


def _show(progress: Progress, task: Task, kind: Kind, value: object) -> None:
    assert kind == "note"
    assert isinstance(value, Note)
    progress.note("", task, value)
