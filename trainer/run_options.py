"""The flags that every training has: how it computes, and where and how often it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--seed", type=click.IntRange(0), help="Of everything random.  [default: 0]"),
    click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: runs/NAME]"),
    click.option(
        "--checkpoint-every", type=click.IntRange(1), help="Steps between checkpoints.  [default: 500]"
    ),
    click.option("--preview-every", type=click.IntRange(1), help="Steps between previews.  [default: 500]"),
    click.option("--restart", is_flag=True, help="Discard an earlier run of this name."),
    click.option("--quiet", "-q", is_flag=True, help="No progress bar."),
)


def run_options(command: Command) -> Command:
    """Give a command these flags, after its own."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
