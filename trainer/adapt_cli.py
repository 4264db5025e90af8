"""`i2itool adapt`: pictures with names and pictures without in, a classifier of both out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .run_options import run_options

KINDS = ("warp", "strokes", "contrast", "colours", "difference")


@click.command("adapt", short_help="teach a classifier of one domain to work in another")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the run and of its preset.")
@click.option("--steps", type=click.IntRange(1), help="Optimisation steps in all.  [default: 20000]")
@click.option("--batch-size", type=click.IntRange(1), help="Pictures of each domain a step.  [default: 64]")
@click.option("--width", type=click.IntRange(1), help="Channels of the VAEs' first layer.  [default: 96]")
@click.option("--critic-width", type=click.IntRange(1), help="Channels of the classifier's.  [default: 64]")
@click.option("--lr", type=float, help="Learning rate.  [default: 0.0002]")
@click.option("--lambda-names", type=float, help="Weight of naming SOURCE's pictures.  [default: 10]")
@click.option(
    "--lambda-names-translated",
    type=float,
    help="Of naming their translations; not in the paper.  [default: 0]",
)
@click.option("--lambda-features", type=float, help="Of features staying as they are.  [default: 0.0001]")
@click.option(
    "--self-training",
    type=click.FloatRange(0),
    help="Of naming TARGET's pictures as the classifier's own average does; not in the paper.  [default: 0]",
)
@click.option(
    "--balance",
    type=click.FloatRange(0),
    help="Share of --self-training by which all classes are to be named alike.  [default: 0.1]",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, max_open=True),
    help="How sure the average must be of a name for --self-training, 0 to 1.  [default: 0.9]",
)
@click.option(
    "--views",
    type=click.IntRange(1),
    help="By how many views of a picture, each varied, the average names it; 1: as it is.  [default: 1]",
)
@click.option(
    "--vary",
    type=click.Choice(KINDS),
    multiple=True,
    help="How to vary the pictures that are named; may be given several times.  [default: not]",
)
@click.option(
    "--vary-source",
    type=click.Choice(KINDS),
    multiple=True,
    help="How to vary those of SOURCE before that.  [default: not]",
)
@click.option(
    "--translate-every",
    type=click.IntRange(1),
    help="Of how many steps one translates; all name.  [default: 1]",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1),
    help="Share of the authors' dropout, for a narrow classifier.  [default: 1]",
)
@click.option(
    "--invert",
    type=click.Choice(["neither", "source", "target", "both"]),
    help="Whose pictures to show as negatives as often as not.  [default: neither]",
)
@click.option(
    "--eval-every", type=click.IntRange(1), default=500, show_default=True, help="Steps between scores."
)
@run_options
def command(
    source: Path,
    target: Path,
    device: str,
    out: Path | None,
    restart: bool,
    quiet: bool,
    **flags: Any,  # Any: the flags of the recipe, of several types
) -> None:
    """Teach a classifier of SOURCE's pictures to name TARGET's, which have no names.

    SOURCE holds a folder for each class; pictures are brought to 32x32. If TARGET has the same folders,
    they serve to say how well it went and for nothing else. The preset translates both ways and classifies
    by `i2itool classify`. The same command goes on where a run stopped.
    """
    from i2itool.console import open_reporter
    from i2itool.device import resolve_device

    from .adaptation import adapt, source_classes
    from .recipe import make_adaptation_recipe

    where = resolve_device(device)
    config = make_adaptation_recipe((source, target), source_classes(source), flags, device=where)
    run = out or Path("runs") / config.name
    preset, scores = adapt(
        config, (source, target), run, device=where, reporter=open_reporter(quiet), restart=restart
    )
    told = ", ".join(f"{name.replace('_', ' ')} {score:.2%}" for name, score in scores.items())
    click.echo(f"wrote {preset.folder}: {told}")
