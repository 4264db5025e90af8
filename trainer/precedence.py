"""What a train.toml says, and that the command line wins over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

# Of these a train.toml gives the flags' defaults; all else in it belongs to the recipe.
AROUND_THE_RECIPE = (
    *("a", "b", "dataroot", "name", "out", "epochs", "epochs_decay", "direction"),
    *("device", "holdout", "features", "on_watchdog"),
)


def read_file(ctx: click.Context, _parameter: click.Parameter, path: Path | None) -> dict[str, Any]:
    """Read a train.toml before the other flags; returns what belongs to the recipe.

    Raises InputError if it cannot be read, OptionError if a path or a name in it is no text.
    """
    if path is None:
        return {}
    from i2itool.errors import OptionError

    from .config import read_train_toml

    table = read_train_toml(path)
    around = {key: table.pop(key) for key in AROUND_THE_RECIPE if key in table}
    for key, value in around.items():
        wanted = int if key in ("epochs", "epochs_decay") else str
        if not isinstance(value, wanted):
            raise OptionError(f"{key} = {value!r} in {path}", hint=f"it takes a {_SAID[wanted]}")
    ctx.default_map = around
    return table


_SAID = {int: "whole number", str: "text in quotation marks"}


def prefer_typed_length(ctx: click.Context, flags: dict[str, Any], file: dict[str, Any]) -> None:
    """Let a length on the command line win over one of another kind in the file."""
    if _typed(ctx, "steps"):
        flags |= {name: None for name in ("epochs", "epochs_decay") if not _typed(ctx, name)}
    elif _typed(ctx, "epochs", "epochs_decay"):
        file.pop("steps", None)


def prefer_typed_folders(
    ctx: click.Context, a: Path | None, b: Path | None, dataroot: Path | None
) -> tuple[Path | None, Path | None, Path | None]:
    """A, B and ROOT, without those of the file where the command line names folders."""
    if not _typed(ctx, "a", "dataroot"):
        return a, b, dataroot
    return (
        a if _typed(ctx, "a") else None,
        b if _typed(ctx, "b") else None,
        dataroot if _typed(ctx, "dataroot") else None,
    )


def _typed(ctx: click.Context, *names: str) -> bool:
    """Whether one of these parameters stands on the command line, not in a file."""
    return any(ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in names)
