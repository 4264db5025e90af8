"""`i2itool bench`: how fast the engines of this machine run a preset."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from i2itool.options import DIRECTIONS, Direction

if TYPE_CHECKING:
    from i2itool.speed import SpeedReport


@click.command()
@click.argument("preset", metavar="[PRESET]", default="day2night")
@click.option("--size", "size_text", metavar="WxH", default="512x512", show_default=True, help="In pixels.")
@click.option("--direction", type=click.Choice(DIRECTIONS), default="a2b", show_default=True)
@click.option("--engine", "engines", multiple=True, help="Only this one; may be repeated.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Medians of so many.")
@click.option(
    "--input",
    "source",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Video to take pictures from; otherwise the sample clip.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(
    preset: str,
    size_text: str,
    direction: Direction,
    engines: tuple[str, ...],
    device: str,
    rounds: int,
    source: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Time PRESET on every engine of this machine, by turns, with how near each comes to float32.

    Engines that cannot be had are named with the reason. The machine should have nothing else to do.
    """
    from i2itool.commands.compile import parse_size
    from i2itool.console import open_reporter
    from i2itool.engine import ENGINES
    from i2itool.preset import find_preset
    from i2itool.speed import measure_engines, real_pictures
    from i2itool.weights import load_network

    network = load_network(find_preset(preset), direction)
    report = measure_engines(
        network,
        real_pictures(network, parse_size(size_text), source),
        engines=engines or tuple(ENGINES),
        device=device,
        rounds=rounds,
        reporter=open_reporter(quiet),
    )
    click.echo(json.dumps(asdict(report)) if as_json else table(report))


def table(report: SpeedReport) -> str:
    """The report for people, an engine a line."""
    height, width = report.size
    lines = [
        f"{width}x{height} on {report.device}: {report.gflop:.1f} GFLOP a picture; "
        f"bf16 matrix product {report.peak_gflops:.0f} GFLOP/s",
        "",
        f"{'engine':10}{'precision':>10}{'frames/s':>10}{'ratio':>8}{'PSNR dB':>9}{'GFLOP/s':>9}"
        f"{'of peak':>9}{'ready s':>9}",
    ]
    lines += [
        f"{speed.engine:10}{speed.precision:>10}{speed.frames_per_second:>10.2f}{speed.ratio:>8.2f}"
        f"{speed.psnr_db:>9.1f}{speed.gflops:>9.0f}{speed.peak_share:>9.0%}{speed.ready_seconds:>9.1f}"
        for speed in report.speeds
    ]
    lines += [
        f"{item.engine:10}{item.precision or 'any':>10}  not here: {item.reason}" for item in report.skipped
    ]
    return "\n".join(lines)
