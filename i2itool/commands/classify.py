"""`i2itool classify`: what pictures show, by a preset of `i2itool adapt`."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import click


@click.command("classify", short_help="name what pictures show")
@click.argument("preset")
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each picture.")
@click.option("--csv", "as_csv", is_flag=True, help="Print path, class and probability as CSV.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def command(preset: str, pictures: tuple[Path, ...], as_json: bool, as_csv: bool, device: str) -> None:
    """Name what PICTURES (files and folders of them) show, as the classifier of PRESET sees it.

    The names are the folders that `i2itool adapt` has learnt from; pictures should be of its TARGET's kind.
    """
    from i2itool.classification import classify
    from i2itool.errors import OptionError
    from i2itool.pictures import list_pictures
    from i2itool.preset import find_preset

    if as_json and as_csv:
        raise OptionError("--json with --csv: one form at a time")
    found = find_preset(preset)
    paths = [path for given in pictures for path in (list_pictures(given) if given.is_dir() else [given])]
    rows = csv.writer(sys.stdout)
    if as_csv:
        rows.writerow(["picture", "class", "probability"])
    for named in classify(found, paths, device=device):
        if as_json:
            line = {
                "picture": str(named.path),
                "class": named.name,
                "probability": round(named.probability, 4),
            }
            click.echo(json.dumps(line))
        elif as_csv:
            rows.writerow([str(named.path), named.name, f"{named.probability:.4f}"])
        else:
            click.echo(f"{named.path}: {named.name} ({named.probability:.0%})")
