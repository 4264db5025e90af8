"""`i2itool convert`: translate videos, pictures or folders of pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from i2itool.console import open_reporter
from i2itool.errors import I2IError, OutputError, PresetError
from i2itool.options import DIRECTIONS, ConvertOptions

SOME_FAILED = 1
_DEFAULTS = {field.name: field.default for field in fields(ConvertOptions)}


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--preset", required=True, metavar="NAME", help="A preset's name, or the path of one.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File or folder to write; a folder if inputs are many.",
)
@click.option("--direction", type=click.Choice(DIRECTIONS), default=_DEFAULTS["direction"], show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), default=_DEFAULTS["batch_size"], show_default=True)
@click.option("--engine", default=_DEFAULTS["engine"], show_default=True, help="auto, eager or openvino.")
@click.option("--device", default=_DEFAULTS["device"], show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--codec",
    metavar="NAME",
    default=_DEFAULTS["codec"],
    help="h264, hevc, av1, vp9, prores, ffv1 or an encoder of FFmpeg.",
)
@click.option(
    "--crf", type=click.IntRange(0, 63), default=_DEFAULTS["crf"], show_default=True, help="Lower is better."
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
@click.option(
    "--drop-unsupported",
    is_flag=True,
    default=_DEFAULTS["drop_unsupported"],
    help="Leave out what the container cannot hold.",
)
@click.option("--overwrite", is_flag=True, default=_DEFAULTS["overwrite"], help="Replace outputs that exist.")
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
    **options: Any,  # the fields of ConvertOptions, checked by its constructor
) -> None:
    """Translate each INPUT (a video, a picture or a folder of pictures) with a preset.

    Without -o the result lies beside the input, as STEM_PRESET.EXT.
    """
    from i2itool.conversion import convert

    reporter = open_reporter(quiet)
    failures: list[tuple[Path, I2IError]] = []
    for path, where in pair_outputs(inputs, output):
        try:
            converted = convert(path, where, preset=preset, reporter=reporter, **options)
        except I2IError as error:
            if as_json:
                print_json({"input": path, "error": str(error), "exit_code": error.exit_code})
            # A preset that fails would fail every file.
            if len(inputs) == 1 or isinstance(error, PresetError):
                raise
            failures.append((path, error))
        else:
            if as_json:
                print_json(asdict(converted))
            else:
                click.echo(f"wrote {converted.output}")
    if failures:
        click.echo(f"{len(failures)} of {len(inputs)} inputs failed:", err=True)
        for path, cause in failures:
            click.echo(f"  {path}: {' '.join(str(cause).splitlines())}", err=True)
        ctx.exit(SOME_FAILED)


def pair_outputs(inputs: Sequence[Path], output: Path | None) -> list[tuple[Path, Path | None]]:
    """Each input with where it goes: many share the folder `output`, in which a folder keeps its own name.

    Makes that folder; raises OutputError where it cannot be, and a usage error if two inputs have one name.
    """
    if output is None or len(inputs) == 1:
        return [(path, output) for path in inputs]
    names = [path.resolve().name for path in inputs]
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise click.UsageError(f"several inputs are called {twins[0]}; {output} can hold only one of them")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "several inputs need a folder"
        raise OutputError(f"cannot make folder {output}: {error.strerror}", hint=hint) from error
    return [
        (path, output / name if path.is_dir() else output) for path, name in zip(inputs, names, strict=True)
    ]


def print_json(values: dict[str, object]) -> None:
    """One line of JSON on stdout; paths become strings."""
    click.echo(json.dumps(values, default=str))
