"""`i2itool flicker`: how much does a translated video flicker?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from i2itool.console import open_reporter, printable

if TYPE_CHECKING:
    from i2itool.flicker import Flicker


@click.command()
@click.argument("input", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--reference",
    metavar="VIDEO",
    type=click.Path(path_type=Path),
    help="The same conversion with --smooth off.",
)
@click.option("--plot", metavar="FILE.png", type=click.Path(path_type=Path), help="Draw the error over time.")
@click.option("--overwrite", is_flag=True, help="Replace a plot that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, with every pair of frames.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(
    input: Path,
    output: Path,
    reference: Path | None,
    plot: Path | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how much OUTPUT, a conversion of INPUT, flickers."""
    from i2itool.flicker import measure_flicker

    if plot is not None:
        from i2itool.flicker_plot import check_plot

        check_plot(plot, overwrite=overwrite)
    flicker = measure_flicker(input, output, reference, reporter=open_reporter(quiet))
    if plot is not None:
        from i2itool.flicker_plot import write_plot

        write_plot(plot, flicker)
    if as_json:
        facts = {"input": input, "output": output, "reference": reference, **asdict(flicker)}
        click.echo(json.dumps(facts, default=str))
    else:
        click.echo(table(flicker))
        if plot is not None:
            click.echo(f"wrote {printable(plot)}")


def table(flicker: Flicker) -> str:
    """A line for each figure."""
    rows = [
        ("frames", f"{flicker.num_frames}"),
        ("cuts left out", f"{flicker.num_cuts}"),
        ("E_warp of the input", f"{flicker.input_error:.3g}"),
        ("E_warp of the output", f"{flicker.output_error:.3g}"),
        ("colour jitter, levels", f"{flicker.jitter:.3g}"),
    ]
    if flicker.ratio is not None:
        rows += [
            ("E_warp of the reference", f"{flicker.reference_error:.3g}"),
            ("colour jitter of it", f"{flicker.reference_jitter:.3g}"),
            ("ratio of E_warp, lower is steadier", f"{flicker.ratio:.3f}"),
            ("the input's ratio, the best there is", f"{flicker.floor:.3f}"),
            ("PSNR to the reference, dB", f"{flicker.psnr:.1f}"),
            ("sharpness kept", f"{flicker.sharpness:.3f}"),
        ]
    return "\n".join(f"{name:36}{value:>10}" for name, value in rows)
