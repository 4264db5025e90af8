"""How the results of a conversion are told."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from i2itool.console import printable

if TYPE_CHECKING:
    from i2itool.jobs.forecast import Forecast
    from i2itool.jobs.outcome import Outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """How many files are done, were skipped and have failed, and what was wrong with which of them."""
    lines = []
    for status in ("done", "skipped", "failed"):
        lines.append(f"{status:8}{sum(outcome.status == status for outcome in outcomes):>6}")
    for outcome in outcomes:
        if outcome.status == "failed":
            source, reason = printable(outcome.task.source), printable(outcome.reason)
            lines.append(f"  {reason if source in reason else f'{source}: {reason}'}")
    damages = [
        f"  {printable(outcome.task.source)}: {outcome.converted.damage}"
        for outcome in outcomes
        if outcome.converted is not None and str(outcome.converted.damage)
    ]
    if damages:
        lines += [f"{'damaged':8}{len(damages):>6}, of those done", *damages]
    return "\n".join(lines)


def plan_table(forecast: Forecast) -> str:
    """What each file would take, then each worker, then all of it."""
    lines = [f"{'frames':>9}{'size':>12}{'hours':>9}{'MB':>9}  file"]
    for file in forecast.files:
        name = printable(file.task.source)
        if file.problem:
            lines.append(f"{'':39}  {name}: {printable(file.problem.replace(f'{file.task.source}: ', ''))}")
        else:
            size = f"{file.width}x{file.height}"
            hours, megabytes = file.seconds / 3600, file.num_bytes / 1e6
            lines.append(f"{file.num_frames:9}{size:>12}{hours:9.3f}{megabytes:9.1f}  {name}")
    lines += [""] if len(forecast.loads) > 1 else []
    if len(forecast.loads) > 1:
        lines += [f"worker {i:<3}{seconds / 3600:9.3f} hours" for i, seconds in enumerate(forecast.loads, 1)]
    num_frames = sum(file.num_frames for file in forecast.files)
    num_bytes = sum(file.num_bytes for file in forecast.files)
    hours = max(forecast.loads, default=0.0) / 3600
    lines += ["", f"{num_frames} frames, {hours:.3f} hours, {num_bytes / 1e6:.1f} MB of pictures"]
    return "\n".join(lines)


def print_json(values: dict[str, object], *, err: bool = False) -> None:
    """One line of JSON on stdout, or on stderr if that carries a video; paths become strings."""
    print_line(json.dumps(values, default=str), err=err)


def print_line(line: str, *, err: bool = False) -> None:
    """Print a result; one that cannot be (a closed pipe, a full disk) is logged, and stops no batch."""
    try:
        click.echo(line, err=err)
    except OSError as error:
        logging.getLogger("i2itool").warning("results are printed no more: %s", error.strerror)
        # What is still buffered would fail again when the process ends.
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path of ours
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
