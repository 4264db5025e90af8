"""`i2itool compile`: have the engine ready before the first conversion."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import click

from i2itool.commands.batch_size import batch_size_option
from i2itool.errors import OptionError
from i2itool.options import DIRECTIONS, PRECISION_CHOICES, BatchSize, ConvertOptions, Direction

_DEFAULTS = {field.name: field.default for field in fields(ConvertOptions)}


@click.command()
@click.argument("preset", metavar="PRESET")
@click.option("--size", required=True, metavar="WxH", help="Of the videos or pictures, as 1280x720.")
@click.option("--direction", type=click.Choice(DIRECTIONS), default=_DEFAULTS["direction"], show_default=True)
@click.option("--engine", default=_DEFAULTS["engine"], show_default=True, help="As in convert.")
@click.option(
    "--precision",
    type=click.Choice(PRECISION_CHOICES),
    default=_DEFAULTS["precision"],
    show_default=True,
    help="As in convert.",
)
@click.option("--device", default=_DEFAULTS["device"], show_default=True, help="auto, cpu or cuda.")
@batch_size_option
@click.option("--work-size", metavar="PX", default=_DEFAULTS["work_size"], help="As in convert.")
@click.option(
    "--sample",
    metavar="PICTURE",
    type=click.Path(path_type=Path),
    help="A picture to try the engine on; otherwise the first conversion does.",
)
def command(
    preset: str,
    size: str,
    direction: Direction,
    engine: str,
    precision: str,
    device: str,
    batch_size: BatchSize,
    work_size: str,
    sample: Path | None,
) -> None:
    """Compile the network of PRESET for one size, and keep it for later conversions."""
    from i2itool.conversion import open_translator
    from i2itool.pictures import read_picture
    from i2itool.preset import find_preset
    from i2itool.work_size import resized

    height, width = parse_size(size)
    options = ConvertOptions(
        direction=direction,
        engine=engine,
        precision=precision,
        device=device,
        batch_size=batch_size,
        work_size=work_size,
    )
    picture = None if sample is None else read_picture(sample)[None]
    with open_translator(find_preset(preset), options) as translator:
        take = None if picture is None else (lambda: resized(picture, (height, width)))
        click.echo(translator.prepare(height, width, take))


def parse_size(text: str) -> tuple[int, int]:
    """Height and width in pixels of `1280x720`; raises OptionError if it is no size."""
    match = re.fullmatch(r"([1-9]\d{0,5})[xX]([1-9]\d{0,5})", text.strip(), re.ASCII)
    if match is None:
        raise OptionError(f"--size {text} is no size", hint="width and height, as 1280x720")
    return int(match[2]), int(match[1])
