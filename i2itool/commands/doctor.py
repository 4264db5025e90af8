"""`i2itool doctor`: what this machine has, and why it lacks the rest."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from i2itool.survey import Survey


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(as_json: bool) -> None:
    """Show the engines that there are here, why others are not, the encoders that work, and versions."""
    from i2itool.survey import survey

    found = survey()
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        _print_tables(found)


def _print_tables(found: Survey) -> None:
    from rich.console import Console
    from rich.table import Table

    engines = Table("engine", "device", "precisions", "", box=None, pad_edge=False)
    for engine in found.engines:
        note = "chosen by auto" if engine.is_chosen else engine.reason
        precisions = ", ".join(engine.precisions) or "-"
        engines.add_row(
            engine.name, engine.device, precisions, note, style="bold" if engine.is_chosen else None
        )
    encoders = Table("encoder", "works", "", box=None, pad_edge=False)
    for encoder in found.encoders:
        encoders.add_row(encoder.name, "yes" if encoder.works else "no", encoder.reason)
    machine = Table("machine", "", box=None, pad_edge=False)
    machine.add_row("processor", f"{found.processor}, {found.cores} cores for this process")
    machine.add_row("memory", f"{found.free_bytes / 2**30:.1f} GiB free")
    machine.add_row("GPU", ", ".join(found.gpus) or "none that PyTorch can use")
    machine.add_row("cache", found.cache)
    for package, number in found.versions.items():
        machine.add_row(package, number or "not installed")
    # A pipe has no width to fit into: every row gets one whole line.
    width = None if sys.stdout.isatty() else 1000
    console = Console(highlight=False, markup=False, width=width)
    for table in (engines, encoders, machine):
        console.print(table)
        console.print()
