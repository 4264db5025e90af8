"""`i2itool train`: two folders in, a preset out."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .precedence import prefer_typed_folders, prefer_typed_length, read_file
from .run_options import run_options

if TYPE_CHECKING:
    import torch

    from .config import TrainConfig

GENERATORS = ("resnet-9", "resnet-6", "light-4", "light-8", "unet-256", "unet-128")
# The names of the public CycleGAN code.
GENERATOR_ALIASES = {
    "resnet_9blocks": "resnet-9",
    "resnet_6blocks": "resnet-6",
    "unet_256": "unet-256",
    "unet_128": "unet-128",
}


@click.command("train", short_help="fit a translator on two folders of pictures")
@click.argument("a", required=False, type=click.Path(path_type=Path))
@click.argument("b", required=False, type=click.Path(path_type=Path))
@click.option("--dataroot", type=click.Path(path_type=Path), help="ROOT of both folders, instead of A and B.")
@click.option("--name", required=True, help="Name of the run and of its preset.")
@click.option(
    "--method", "--model", type=click.Choice(["cyclegan", "unit", "unit2018"]), help="[default: cyclegan]"
)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    is_eager=True,
    callback=read_file,
    help="A train.toml; flags win over it.",
)
@click.option("--steps", type=click.IntRange(1), help="Optimisation steps in all; instead of --epochs.")
@click.option("--epochs", "--n_epochs", type=click.IntRange(0), help="Epochs at full rate.  [default: 100]")
@click.option(
    "--epochs-decay",
    "--n_epochs_decay",
    type=click.IntRange(0),
    help="Epochs of falling rate.  [default: 100]",
)
@click.option(
    "--size", "--crop-size", "--crop_size", "crop_px", type=int, help="Crop side, px.  [default: 256]"
)
@click.option(
    "--load-size",
    "--load_size",
    "load_px",
    type=int,
    help="Short side of pictures, px.  [default: size * 286/256]",
)
@click.option("--batch-size", "--batch_size", type=click.IntRange(1), help="Pictures of each domain a step.")
@click.option(
    "--accumulate", type=click.IntRange(1), help="Parts of a batch; only one is in memory.  [default: 1]"
)
@click.option("--recompute", is_flag=True, help="Compute twice to save memory: for large crops.")
@click.option("--compile", is_flag=True, help="Compile the networks by torch.compile; needs a C++ compiler.")
@click.option("--lr", type=float, help="Learning rate.  [default: 0.0002, UNIT 0.0001]")
@click.option("--beta1", type=float, help="Adam's first decay.  [default: 0.5]")
@click.option(
    "--generator",
    "--netG",
    type=click.Choice([*GENERATORS, *GENERATOR_ALIASES]),
    help="CycleGAN's generator.  [default: resnet-9]",
)
@click.option("--width", "--ngf", type=click.IntRange(1), help="Channels of the generator's first layer.")
@click.option("--blocks", type=click.IntRange(1), help="Residual blocks of the generator.")
@click.option(
    "--shared-blocks", type=click.IntRange(0), help="Blocks that UNIT's encoders share.  [default: 1]"
)
@click.option("--upsample", type=click.Choice(["transpose", "resize"]), help="resize: free of checkerboards.")
@click.option("--critic-width", "--ndf", type=click.IntRange(1), help="Channels of the critics' first layer.")
@click.option("--critic-depth", "--n_layers_D", type=click.IntRange(1), help="Strided layers of the critics.")
@click.option(
    "--critic-features",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="MobileNetV2 weights: critics see its features, too.",
)
@click.option(
    "--lambda-cycle", "--lambda_A", type=float, help="Weight of CycleGAN's cycle loss.  [default: 10]"
)
@click.option(
    "--lambda-identity",
    "--lambda_identity",
    type=float,
    help="Identity loss, as a share of it.  [default: 0.5]",
)
@click.option(
    "--gan",
    "--gan_mode",
    type=click.Choice(["lsgan", "vanilla", "wgangp"]),
    help="CycleGAN's.  [default: lsgan]",
)
@click.option(
    "--lr-policy",
    "--lr_policy",
    type=click.Choice(["linear", "step", "cosine", "plateau"]),
    help="How the rate moves.",
)
@click.option("--pool-size", "--pool_size", type=click.IntRange(0), help="Fakes in the pool.  [default: 50]")
@click.option(
    "--temporal-noise",
    metavar="W",
    type=click.FloatRange(min=0),
    help="Weight of a loss against flicker.  [default: 0]",
)
@click.option("--no-flip", "--no_flip", is_flag=True, help="Do not mirror pictures at random.")
@click.option(
    "--direction", type=click.Choice(["a2b", "b2a", "AtoB", "BtoA"]), default="a2b", show_default=True
)
@click.option("--holdout", type=click.Path(path_type=Path), help="ROOT of held-out pictures of A and B.")
@click.option("--eval-every", type=click.IntRange(1), help="Steps between looks at held-out pictures.")
@click.option(
    "--metric",
    type=click.Choice(["psnr", "ssim", "map_accuracy", "kid"]),
    help="What the best step is chosen by.  [default: psnr]",
)
@click.option(
    "--features", metavar="FILE", type=click.Path(path_type=Path), help="MobileNetV2 weights, for KID."
)
@click.option(
    "--export",
    type=click.Choice(["best", "last"]),
    help="Step that the preset is made of.  [default: best if pictures are held out]",
)
@click.option(
    "--on-watchdog",
    type=click.Choice(["warn", "stop"]),
    default="warn",
    show_default=True,
    help="What to do when the run goes wrong.",
)
@click.option("--dry-run", is_flag=True, help="Print the merged recipe and what it costs.")
@run_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    a: Path | None,
    b: Path | None,
    dataroot: Path | None,
    file: dict[str, Any],
    out: Path | None,
    direction: str,
    device: str,
    holdout: Path | None,
    features: Path | None,
    on_watchdog: str,
    restart: bool,
    dry_run: bool,
    quiet: bool,
    **flags: Any,  # Any: the flags of the recipe, of several types
) -> None:
    """Fit a translator between the pictures of folders A and B, unpaired.

    A alone may be a ROOT that holds trainA and trainB, train_A and train_B, images_a and images_b, or A and
    B. The same command again goes on where the run stopped. Ctrl-C saves and stops.
    """
    from i2itool.console import open_reporter
    from i2itool.device import resolve_device

    from .fit import fit
    from .material import open_held_out, open_material
    from .processes import open_processes
    from .recipe import make_recipe
    from .refusals import refuse_lonely_flags
    from .run import RunFolder

    prefer_typed_length(ctx, flags, file)
    folders = _folders(*prefer_typed_folders(ctx, a, b, dataroot), direction)
    flags["generator"] = GENERATOR_ALIASES.get(flags["generator"], flags["generator"])
    processes, where = open_processes(resolve_device(device))
    config = make_recipe(folders, flags, file, device=where, processes=processes.count)
    refuse_lonely_flags(config, flags, holdout, features)
    if dry_run:
        _print_dry_run(config, where)
        return

    run = RunFolder(out or Path("runs") / config.name)
    held_out = open_held_out(holdout, features, config) if holdout else None
    with run.alone() if processes.rank == 0 else nullcontext():
        data = open_material(folders, config, run, processes, restart=restart)
        preset = fit(
            config,
            data,
            run,
            device=where,
            reporter=open_reporter(quiet or processes.rank > 0),
            stop_on_alarm=on_watchdog == "stop",
            holdout=held_out,
            processes=processes,
        )
    if processes.rank == 0:
        click.echo(f"wrote {preset.folder}")


def _folders(a: Path | None, b: Path | None, dataroot: Path | None, direction: str) -> tuple[Path, Path]:
    """Those of the domain to translate and of the one to arrive at."""
    from i2itool.errors import OptionError

    from .data import find_folders

    root = a or dataroot
    if root is None or (a is not None and dataroot is not None):
        problem = (
            "no folders of pictures" if root is None else f"--dataroot {dataroot} with {a}: one too many"
        )
        raise OptionError(problem, hint="give two folders A and B, or one ROOT that holds both")
    folder_a, folder_b = find_folders(root, b)
    return (folder_a, folder_b) if direction in ("a2b", "AtoB") else (folder_b, folder_a)


def _print_dry_run(config: TrainConfig, device: torch.device) -> None:
    from .estimate import estimate

    click.echo(json.dumps(config.model_dump() | {"estimate": asdict(estimate(config, device))}, indent=2))
