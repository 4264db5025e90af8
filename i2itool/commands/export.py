"""`i2itool export`: a preset as a file for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from i2itool.options import DIRECTIONS, EXPORT_FORMATS, Direction, ExportFormat


@click.command()
@click.argument("preset", metavar="PRESET")
@click.option("--format", type=click.Choice(EXPORT_FORMATS), default="onnx", show_default=True)
@click.option("-o", "--output", metavar="OUT", type=click.Path(path_type=Path), help="A file or a folder.")
@click.option("--direction", type=click.Choice(DIRECTIONS), default="a2b", show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def command(
    preset: str, format: ExportFormat, output: Path | None, direction: Direction, overwrite: bool
) -> None:
    """Write the network of PRESET for ONNX Runtime, VapourSynth, FFmpeg, TensorRT, OpenVINO or PyTorch.

    It takes and gives N,3,H,W float32 RGB from 0 to 1, for any N, H and W, under the names input and output.
    """
    from i2itool.interchange import export_preset
    from i2itool.preset import find_preset

    click.echo(
        export_preset(find_preset(preset), output, format=format, direction=direction, overwrite=overwrite)
    )
