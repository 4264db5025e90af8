"""Many files at once: pictures and videos, files and whole folders."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Unpack

from i2itool.console import Reporter, SilentReporter
from i2itool.conversion import Converted, open_translator
from i2itool.errors import I2IError, OptionError, OutputError
from i2itool.jobs.backlog import Backlog
from i2itool.jobs.forecast import Forecast, forecast
from i2itool.jobs.outcome import Outcome, do
from i2itool.jobs.plan import Task, plan
from i2itool.jobs.pool import Pool
from i2itool.jobs.progress import Progress
from i2itool.jobs.shard import parse_shard
from i2itool.jobs.split import divide
from i2itool.jobs.worker import Kind, Note, NoteReporter, Setup
from i2itool.jobs.workforce import Workforce
from i2itool.option_check import check_options
from i2itool.options import ConvertKeywords, ConvertOptions
from i2itool.preset import Preset, find_preset
from i2itool.targets import refuse_existing, refuse_other_than_file, target_beside
from i2itool.video.input import PIPE

logger = logging.getLogger("i2itool.jobs")


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
    workforce = Workforce(jobs, cluster, retries)
    workforce.check()
    found = find_preset(preset)
    tasks = _tasks(inputs, output, found, shard)
    return _settled(tasks, found, asked, workforce, reporter or SilentReporter(), tell)


def forecast_many(
    inputs: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    preset: str,
    jobs: int = 1,
    cluster: str | None = None,
    shard: str | None = None,
    **options: Unpack[ConvertKeywords],
) -> Forecast:
    """What `convert_many` would take with the same arguments, from a probe of the engine; writes nothing.

    A single file is what `inputs` may be, too. Raises what `convert_many` raises.
    """
    asked = ConvertOptions(**options)
    check_options(asked)
    workforce = Workforce(jobs, cluster)
    workforce.check()
    found = find_preset(preset)
    is_one = len(inputs) == 1 and not Path(inputs[0]).is_dir()
    if is_one:
        refuse_other_than_file(Path(inputs[0]))
        target = target_beside(Path(inputs[0]), None if output is None else Path(output), found.name)
        tasks = [Task(Path(inputs[0]), target)]
    else:
        tasks = _tasks(inputs, output, found, shard)
    with workforce.crew(_setup(found, asked)) as crew:
        return forecast(tasks, asked, crew)


def convert_shared(
    input: str | Path,
    output: str | Path | None = None,
    *,
    preset: str,
    jobs: int = 1,
    cluster: str | None = None,
    retries: int | None = None,
    reporter: Reporter | None = None,
    **options: Unpack[ConvertKeywords],
) -> Converted:
    """`convert` by several workers, who share a long video.

    The file is as by one worker of as many cores, but for `split` "anywhere".

    jobs, cluster, retries: as for `convert_many`.  Raises what `convert` raises, or an I2IError of that code.
    """
    started = time.monotonic()
    asked = ConvertOptions(**options)
    check_options(asked)
    workforce = Workforce(jobs, cluster, retries)
    workforce.check()
    source = Path(input)
    refuse_other_than_file(source)
    found = find_preset(preset)
    target = target_beside(source, None if output is None else Path(output), found.name)
    if PIPE in (source, target) or asked.preview is not None:
        raise OptionError("pipes and --preview are the work of one process", hint="without workers")
    refuse_existing(source, target, overwrite=asked.overwrite)
    (outcome,) = _settled([Task(source, target)], found, asked, workforce, reporter or SilentReporter(), None)
    if outcome.converted is None:
        error = I2IError(outcome.reason)
        error.exit_code = outcome.exit_code or OutputError.exit_code
        raise error
    return replace(outcome.converted, seconds=time.monotonic() - started)


def _tasks(
    inputs: Sequence[str | Path], output: str | Path | None, preset: Preset, shard: str | None
) -> list[Task]:
    todo = plan([Path(path) for path in inputs], None if output is None else Path(output), preset.name)
    for path, reason in todo.passed_over:
        logger.warning("%s is passed over: %s", path, reason)
    part = parse_shard(shard)
    if part is None:
        return todo.tasks
    tasks = part.of(todo.tasks)
    logger.info("part %d of %d: %d of %d files", part.index + 1, part.count, len(tasks), len(todo.tasks))
    return tasks


def _settled(
    tasks: Sequence[Task],
    preset: Preset,
    options: ConvertOptions,
    workforce: Workforce,
    reporter: Reporter,
    tell: Callable[[Outcome], None] | None,
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    progress = Progress(reporter, tasks, overwrite=options.overwrite)
    progress.start()
    try:
        for outcome in _outcomes(tasks, preset, options, workforce, progress):
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
    if workforce.is_this_process:
        with open_translator(preset, options) as translator:
            for task in tasks:
                yield do(task, translator, options, NoteReporter(partial(_show, progress, task)))
        return
    with workforce.crew(_setup(preset, options)) as crew:
        divided = divide(tasks, options, crew.size)
        for task, parts in divided.items():
            logger.info("%s is made in %d parts", task.source, len(parts))
        with Pool(crew, Backlog(tasks, retries=workforce.most_retries, divided=divided), progress) as pool:
            yield from pool.outcomes()


def _setup(preset: Preset, options: ConvertOptions) -> Setup:
    return Setup(preset, options, logging.getLogger("i2itool").getEffectiveLevel())


def _show(progress: Progress, task: Task, kind: Kind, value: object) -> None:
    assert kind == "note"
    assert isinstance(value, Note)
    progress.note("", task, value)
