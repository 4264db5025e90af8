"""`i2itool verify`: is everything in a converted file but its pixels as it was?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from i2itool.console import open_reporter

if TYPE_CHECKING:
    from i2itool.verification import Verification

DIFFERENT = 1


@click.command()
@click.argument("input", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--fast", is_flag=True, help="Count packets instead of decoding, where that comes to the same.")
@click.option(
    "--tonemap", is_flag=True, help="Expect an SDR version of an HDR input, as convert --tonemap makes."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def command(
    ctx: click.Context, /, input: Path, output: Path, fast: bool, tonemap: bool, as_json: bool, quiet: bool
) -> None:
    """Compare all that INPUT and its conversion OUTPUT hold but the pixels; exit code 1 if any differs."""
    from i2itool.verification import verify

    verification = verify(input, output, is_fast=fast, is_tonemapped=tonemap, reporter=open_reporter(quiet))
    if as_json:
        facts = asdict(verification) | {"is_same": verification.is_same}
        click.echo(json.dumps(facts, default=str))
    else:
        _print_table(verification)
    if not verification.is_same:
        ctx.exit(DIFFERENT)


def _print_table(verification: Verification) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("check", "verdict", box=None, pad_edge=False)
    for name in ("input", "output"):
        table.add_column(name, overflow="fold")
    for item in verification.checks:
        style = "bold red" if item.verdict == "differs" else None
        table.add_row(item.name, item.verdict, item.expected, item.found, style=style)
    # A pipe has no width to fit into: every check gets one whole line.
    width = None if sys.stdout.isatty() else 1000
    Console(highlight=False, markup=False, width=width).print(table)
