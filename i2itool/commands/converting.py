"""What `i2itool convert` does and says: for one file, for many, and with --plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from i2itool.commands.results import plan_table, print_json, print_line, table
from i2itool.console import printable
from i2itool.errors import I2IError, OptionError

if TYPE_CHECKING:
    from i2itool.jobs.outcome import Outcome

_PIPE = "-"


def show_plan(
    inputs: Sequence[Path], output: Path | None, preset: str, *, as_json: bool, **wanted: Any
) -> None:
    """Say what a conversion would take; nothing is written."""
    from i2itool.jobs.run import forecast_many

    if wanted["preview"] is not None or _PIPE in map(str, (*inputs, output)):
        raise OptionError("--plan is for files, and not for --preview")
    forecast = forecast_many(inputs, output, preset=preset, **wanted)
    if not as_json:
        print_line(plan_table(forecast))
        return
    for file in forecast.files:
        print_json(file.as_dict())
    print_json(forecast.as_dict())


def convert_one(path: Path, output: Path | None, *, as_json: bool, **wanted: Any) -> int:
    """Translate a file and say so; an error is told as JSON too, and raised. Returns the number of frames."""
    from i2itool.conversion import convert
    from i2itool.jobs.run import convert_shared

    try:
        converted = (convert_shared if "jobs" in wanted else convert)(path, output, **wanted)
    except I2IError as error:
        if as_json:
            failure = {"error": str(error), "exit_code": error.exit_code}
            print_json(
                {"input": path, "output": _target(path, output, wanted), "status": "failed", **failure}
            )
        raise
    is_piped = str(converted.output) == _PIPE
    if as_json:
        print_json({**asdict(converted), "status": "done"}, err=is_piped)
    else:
        print_line(f"wrote {printable(converted.output)}", err=is_piped)
        if damage := str(converted.damage):
            click.echo(f"of {converted.num_frames} frames: {damage}", err=True)
    return converted.num_frames


def _target(path: Path, output: Path | None, wanted: Mapping[str, Any]) -> Path | None:
    """What should have been written; None if not even that is known."""
    from i2itool.conversion import target_for
    from i2itool.preset import find_preset

    try:
        return target_for(path, output, find_preset(wanted["preset"]), wanted["preview"])
    except I2IError:
        return output


def convert_several(inputs: Sequence[Path], output: Path | None, *, as_json: bool, **wanted: Any) -> bool:
    """Translate files and folders, say of each how it went, and count them; whether any has failed."""
    from i2itool.jobs.run import convert_many

    def tell(outcome: Outcome) -> None:
        if as_json:
            print_json(outcome.as_dict())
        elif outcome.status == "done":
            print_line(f"wrote {printable(outcome.task.target)}")

    outcomes = convert_many(inputs, output, tell=tell, **wanted)
    click.echo(table(outcomes), err=True)
    return any(outcome.status == "failed" for outcome in outcomes)
