"""`--batch-size` of several commands: a number, or auto."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

from i2itool.options import BatchSize, ConvertOptions

_Decorated = TypeVar("_Decorated", bound=Callable[..., object])
_DEFAULT = next(field.default for field in fields(ConvertOptions) if field.name == "batch_size")


# Any: what was typed, or the default.
def _parsed(context: click.Context, parameter: click.Parameter, value: Any) -> BatchSize:
    return "auto" if value == "auto" else click.IntRange(min=1).convert(value, parameter, context)


def batch_size_option(decorated: _Decorated) -> _Decorated:
    """Add `--batch-size` to a command."""
    option = click.option(
        "--batch-size",
        metavar="N",
        type=click.UNPROCESSED,
        callback=_parsed,
        default=_DEFAULT,
        show_default=True,
        help="Frames through the network at once; auto: what is fastest.",
    )
    return option(decorated)
