"""`i2itool convert`: translate videos, pictures, and folders of them."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from i2itool.commands.batch_size import batch_size_option
from i2itool.commands.converting import convert_one, convert_several, show_plan
from i2itool.console import open_reporter
from i2itool.errors import OptionError, OutputError
from i2itool.options import (
    COMPARE,
    DEFAULT_CRF,
    DEINTERLACE,
    DIRECTIONS,
    ON_ERROR,
    PRECISION_CHOICES,
    SMOOTH,
    SPLIT,
    ConvertOptions,
)
from i2itool.profile import Profile
from i2itool.profile import table as table_of_stages

SOME_FAILED = 1
_DEFAULTS = {field.name: field.default for field in fields(ConvertOptions)}
_NAMES_FOLDER = "i2itool.output_names_folder"


def _remembering_slash(context: click.Context, text: str | None) -> Path | None:
    """The path; that it ends in a slash, which makes it a folder, paths forget."""
    context.meta[_NAMES_FOLDER] = text is not None and text.endswith(("/", os.sep))
    return None if text is None else Path(text)


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--preset", required=True, metavar="NAME", help="A preset's name, or the path of one.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    callback=lambda context, _, text: _remembering_slash(context, text),
    help="File or folder to write; a folder if inputs are many.",
)
@click.option("--direction", type=click.Choice(DIRECTIONS), default=_DEFAULTS["direction"], show_default=True)
@batch_size_option
@click.option(
    "--work-size",
    metavar="PX",
    default=_DEFAULTS["work_size"],
    show_default=True,
    help="Short side that the network sees: auto, full or pixels.",
)
@click.option(
    "--engine",
    default=_DEFAULTS["engine"],
    show_default=True,
    help="auto, tensorrt, inductor, openvino, eager or tiles.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISION_CHOICES),
    default=_DEFAULTS["precision"],
    show_default=True,
    help="Of the network's arithmetic.",
)
@click.option("--device", default=_DEFAULTS["device"], show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--codec",
    metavar="NAME",
    default=_DEFAULTS["codec"],
    help="h264, hevc, av1, vp9, prores, ffv1 or an encoder of FFmpeg.",
)
@click.option(
    "--crf",
    type=click.IntRange(0, 63),
    default=_DEFAULTS["crf"],
    show_default=str(DEFAULT_CRF),
    help="Lower is better.",
)
@click.option(
    "--bitrate", metavar="RATE", default=_DEFAULTS["bitrate"], help="Instead of --crf, as 5M or 800k."
)
@click.option(
    "--encoder-preset",
    metavar="NAME",
    default=_DEFAULTS["encoder_preset"],
    help="The encoder's own word for its speed or profile.",
)
@click.option(
    "--pixel-format", metavar="NAME", default=_DEFAULTS["pixel_format"], help="By FFmpeg's name, as yuv420p."
)
@click.option(
    "--encoder-option",
    "encoder_options",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option of the encoder; may be repeated.",
)
@click.option("--rate", metavar="RATE", default=_DEFAULTS["rate"], help="Of numbered pictures; otherwise 25.")
@click.option(
    "--drop-unsupported",
    is_flag=True,
    default=_DEFAULTS["drop_unsupported"],
    help="Leave out what the container cannot hold.",
)
@click.option(
    "--on-error",
    type=click.Choice(ON_ERROR),
    default=_DEFAULTS["on_error"],
    show_default=True,
    help="What to do with a frame that cannot be decoded.",
)
@click.option(
    "--deinterlace", type=click.Choice(DEINTERLACE), default=_DEFAULTS["deinterlace"], show_default=True
)
@click.option("--tonemap", is_flag=True, default=_DEFAULTS["tonemap"], help="Make an SDR video of HDR.")
@click.option(
    "--assume-sdr", is_flag=True, default=_DEFAULTS["assume_sdr"], help="Take HDR as if it were SDR."
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=_DEFAULTS["max_pixels"],
    show_default=True,
    help="Refuse larger pictures and frames.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Files to work on at once."
)
@click.option(
    "--smooth",
    type=click.Choice(SMOOTH),
    default=_DEFAULTS["smooth"],
    show_default=True,
    help="How to keep videos from flickering.",
)
@click.option(
    "--smooth-strength",
    type=click.FloatRange(0, 1),
    default=_DEFAULTS["smooth_strength"],
    show_default=True,
    help="0 leaves each frame as the network gives it.",
)
@click.option(
    "--smooth-lookahead",
    metavar="N",
    type=click.IntRange(min=0),
    default=_DEFAULTS["smooth_lookahead"],
    show_default=True,
    help="Frames to look ahead: steadier, and slower.",
)
@click.option("--cluster", metavar="ADDRESS", help="Workers of a Ray cluster; local: one on this machine.")
@click.option(
    "--retries",
    metavar="N",
    type=click.IntRange(min=0),
    help="Tries of a file whose worker died.  [default: 2]",
)
@click.option(
    "--split",
    type=click.Choice(SPLIT),
    default=_DEFAULTS["split"],
    show_default=True,
    help="Whether several workers share a long video.",
)
@click.option("--shard", metavar="N/M", help="Of many files, only part N of M; auto: of a Slurm array.")
@click.option("--trim", metavar="START:END", default=_DEFAULTS["trim"], help="Only a part of a video.")
@click.option(
    "--preview",
    metavar="N",
    type=click.IntRange(min=1),
    default=_DEFAULTS["preview"],
    help="Only a picture of N frames, before and after.",
)
@click.option(
    "--compare",
    type=click.Choice(COMPARE),
    default=_DEFAULTS["compare"],
    show_default=True,
    help="Show the original too: beside, or in a wipe.",
)
@click.option(
    "--restart", is_flag=True, default=_DEFAULTS["restart"], help="Discard what a stopped run has finished."
)
@click.option(
    "--verify", is_flag=True, default=_DEFAULTS["verify"], help="Fail unless all but the pixels was kept."
)
@click.option("--overwrite", is_flag=True, default=_DEFAULTS["overwrite"], help="Replace outputs that exist.")
@click.option("--profile", is_flag=True, help="Say at the end how long each stage took.")
@click.option(
    "--plan", "is_plan", is_flag=True, help="Only say what it would take: frames, hours, bytes, by worker."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each input.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    inputs: tuple[Path, ...],
    preset: str,
    output: Path | None,
    as_json: bool,
    quiet: bool,
    profile: bool,
    is_plan: bool,
    jobs: int,
    cluster: str | None,
    retries: int | None,
    shard: str | None,
    **options: Any,  # the fields of ConvertOptions, checked by its constructor
) -> None:
    """Translate each INPUT (a video, a picture, or a folder of both) with a preset.

    INPUT may also be numbered pictures, as frame_%05d.png, or - for YUV4MPEG2 on standard input; so may OUT.

    Without -o the result lies beside the input, as STEM_PRESET.EXT, or in the folder FOLDER_PRESET. A single
    file is refused if its output exists; of several, what exists is skipped.
    """
    wanted = {"preset": preset, "reporter": open_reporter(quiet), **options}
    if is_plan:
        show_plan(inputs, output, preset, as_json=as_json, jobs=jobs, cluster=cluster, shard=shard, **options)
    elif len(inputs) > 1 or inputs[0].is_dir():
        if options["preview"] is not None or profile:
            name = "--profile" if profile else "--preview"
            raise OptionError(f"{name} is for a single video", hint="leave it out, or name one file")
        several = {"jobs": jobs, "cluster": cluster, "retries": retries, "shard": shard}
        if convert_several(inputs, output, as_json=as_json, **several, **wanted):
            ctx.exit(SOME_FAILED)
    elif shard is not None:
        raise OptionError("--shard is for folders and several files", hint="leave it out")
    elif output is not None and ctx.meta[_NAMES_FOLDER] and not output.is_dir():
        raise OutputError(f"no such folder: {output}", hint="make it first")
    else:
        if jobs > 1 or cluster is not None or retries is not None:
            if profile:
                raise OptionError(
                    "--profile watches one process, and no workers",
                    hint="without --jobs, --cluster and --retries",
                )
            wanted |= {"jobs": jobs, "cluster": cluster, "retries": retries}
        with Profile() if profile else nullcontext() as watched:
            num_frames = convert_one(inputs[0], output, as_json=as_json, **wanted)
        if watched is not None:
            from i2itool.device import num_cores

            click.echo(table_of_stages(watched, num_frames, num_cores()), err=True)
