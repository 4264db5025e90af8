"""`i2itool distill`: a preset and pictures in, a faster preset out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from i2itool.options import DIRECTIONS, Direction

from .cli import GENERATORS
from .run_options import run_options

if TYPE_CHECKING:
    from i2itool.preset import Preset


@click.command("distill", short_help="teach a small network what a preset does")
@click.argument("preset")
@click.argument("pictures", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the run and of its preset.")
@click.option("--direction", type=click.Choice(DIRECTIONS), default="a2b", show_default=True)
@click.option("--generator", type=click.Choice(GENERATORS), default="light-8", show_default=True)
@click.option("--width", type=click.IntRange(1), help="Channels of the student's first layer.")
@click.option("--blocks", type=click.IntRange(1), help="Residual blocks of the student.")
@click.option("--steps", type=click.IntRange(1), help="Optimisation steps in all.  [default: 10000]")
@click.option(
    "--load-size", "load_px", type=int, help="Short side, px.  [default: the teacher's working size]"
)
@click.option("--size", "crop_px", type=int, help="Crop side, px.  [default: that of the pictures]")
@click.option("--batch-size", type=click.IntRange(1), help="Pictures in a step.  [default: 2]")
@click.option("--lr", type=float, help="Learning rate.  [default: 0.0005]")
@click.option("--lambda-l1", type=float, help="Weight of the distance from the teacher.  [default: 10]")
@click.option("--lambda-features", type=float, help="Weight of the distance of features.  [default: 2]")
@click.option("--lambda-adversarial", type=float, help="Weight of the critic.  [default: 0.2]")
@click.option(
    "--features",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="MobileNetV2 weights, for --lambda-features.",
)
@click.option("--holdout", type=click.Path(path_type=Path), help="Folder of held-out pictures.")
@click.option("--eval-every", type=click.IntRange(1), help="Steps between looks at them.  [default: 1000]")
@click.option(
    "--temporal-noise", metavar="W", type=click.FloatRange(min=0), help="Weight of a loss against flicker."
)
@click.option("--engine", default="auto", show_default=True, help="That the teacher runs on.")
@run_options
def command(
    preset: str,
    pictures: Path,
    direction: Direction,
    holdout: Path | None,
    engine: str,
    device: str,
    out: Path | None,
    restart: bool,
    quiet: bool,
    **flags: Any,  # Any: the flags of the recipe, of several types
) -> None:
    """Teach a small network to do what PRESET does, on a folder of PICTURES like those it is meant for.

    PRESET may be slow, or come from elsewhere by `i2itool import`. The same command again goes on where the
    run stopped. Ctrl-C saves and stops.
    """
    from i2itool.console import open_reporter
    from i2itool.device import resolve_device
    from i2itool.preset import find_preset

    from .distillation import Lesson, distill
    from .recipe import make_student_recipe
    from .refusals import refuse_lonely_flags_of_a_student

    refuse_lonely_flags_of_a_student(flags, holdout)
    teacher, where = find_preset(preset), resolve_device(device)
    flags["eval_every"] = (flags["eval_every"] or 1000) if holdout else None
    config = make_student_recipe(teacher, direction, flags, device=where)
    lesson = Lesson(teacher, direction, pictures, holdout, engine, device)
    run = out or Path("runs") / config.name
    made: Preset = distill(config, lesson, run, device=where, reporter=open_reporter(quiet), restart=restart)
    click.echo(f"wrote {made.folder}")
