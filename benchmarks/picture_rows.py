"""Rows of pictures, as they are and as presets translate them; those of docs/papers.md.

python -m benchmarks.picture_rows OUT.jpg --row FOLDER --row FOLDER PRESET a2b ...
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from i2itool.frames import Pixels
from i2itool.pictures import list_pictures, read_picture, spread, write_picture
from i2itool.preset import DIRECTIONS, Direction, read_preset
from i2itool.translator import Translator
from i2itool.weights import load_network


def main() -> None:
    """Write the picture that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--row", nargs="+", action="append", required=True, help="FOLDER, or FOLDER PRESET DIRECTION"
    )
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--zoom", type=int, default=2)
    arguments = parser.parse_args()
    rows = [make_row(*words, columns=arguments.columns) for words in arguments.row]
    sheet = np.concatenate(rows).repeat(arguments.zoom, axis=0).repeat(arguments.zoom, axis=1)
    write_picture(arguments.output, sheet)


def make_row(folder: str, preset: str | None = None, way: str = "a2b", *, columns: int) -> Pixels:
    """Pictures spread over a folder, side by side; translated if there is a preset. All are of one size."""
    pictures = [read_picture(path) for path in spread(list_pictures(Path(folder)), columns)]
    if preset is not None:
        direction: Direction = DIRECTIONS[DIRECTIONS.index(way)]
        with Translator(load_network(read_preset(Path(preset)), direction), engine="eager") as translator:
            pictures = [translator.translate(picture[None])[0] for picture in pictures]
    return np.concatenate(pictures, axis=1)


if __name__ == "__main__":
    main()
