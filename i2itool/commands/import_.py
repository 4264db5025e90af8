"""`i2itool import`: make a preset of somebody else's checkpoint."""

from __future__ import annotations

from pathlib import Path

import click

from i2itool.options import DIRECTIONS, Direction


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the new preset.")
@click.option(
    "--direction", type=click.Choice(DIRECTIONS), default="a2b", show_default=True, help="What FILE does."
)
@click.option("--b2a", metavar="FILE", type=click.Path(path_type=Path), help="Checkpoint of the way back.")
@click.option("--licence", metavar="TEXT", default="unstated", show_default=True, help="Of the weights.")
@click.option("--overwrite", is_flag=True, help="Replace a preset of that name.")
def command(
    file: Path, name: str, direction: Direction, b2a: Path | None, licence: str, overwrite: bool
) -> None:
    """Make a preset of a generator in FILE (.pth, .pt or .safetensors).

    Known are the ResNet and U-Net generators of the CycleGAN and pix2pix code; the width, the blocks, the
    normalisation and dropout are read from the file. Nothing in it is executed.
    """
    from i2itool.importers import import_checkpoint

    preset = import_checkpoint(
        file, name, direction=direction, b2a_file=b2a, licence=licence, overwrite=overwrite
    )
    settings = ", ".join(f"{key} {value}" for key, value in preset.network.hyper.items())
    click.echo(f"{preset.name}: {preset.network.name} ({settings})")
    click.echo(preset.folder)
