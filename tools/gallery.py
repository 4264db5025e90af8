"""Pictures above what a preset makes of them: sample.jpg of a preset, and those of docs/presets.md.

python tools/gallery.py day2night sample.jpg street-1.jpg street-2.jpg street-3.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from i2itool.frames import Pixels
from i2itool.pictures import read_picture
from i2itool.preset import find_preset
from i2itool.translator import Translator
from i2itool.weights import load_network
from i2itool.work_size import parse_work_size

GAP_PX = 4
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]


def main() -> None:
    """Write one JPEG: a column a picture, the picture itself on top."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("target", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--direction", choices=("a2b", "b2a"), default="a2b")
    parser.add_argument("--width", type=int, default=960, help="of the whole, px")
    parser.add_argument("--columns", type=int, default=3)
    arguments = parser.parse_args()
    preset = find_preset(arguments.preset)
    column_px = (arguments.width + GAP_PX) // arguments.columns - GAP_PX
    columns = []
    with Translator(
        load_network(preset, arguments.direction), work_px=parse_work_size("auto", preset)
    ) as translator:
        for path in arguments.pictures:
            picture = read_picture(path)
            made = translator.translate(picture[None])[0]
            columns.append(stacked([narrowed(picture, column_px), narrowed(made, column_px)]))
    rows = [columns[i : i + arguments.columns] for i in range(0, len(columns), arguments.columns)]
    sheet = stacked([stacked(row, axis=1) for row in rows])
    cv2.imwrite(str(arguments.target), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), JPEG)


def narrowed(picture: Pixels, width: int) -> Pixels:
    """A picture H,W,3 at another width."""
    height = round(picture.shape[0] * width / picture.shape[1])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def stacked(pictures: list[Pixels], axis: int = 0) -> Pixels:
    """Pictures one below the other, or side by side, with a white gap; the shorter ones end white."""
    longest = max(picture.shape[1 - axis] for picture in pictures)
    padded = []
    for picture in pictures:
        missing = [(0, 0), (0, 0), (0, 0)]
        missing[1 - axis] = (0, longest - picture.shape[1 - axis])
        missing[axis] = (0, GAP_PX)
        padded.append(np.pad(picture, missing, constant_values=255))
    whole = np.concatenate(padded, axis)
    return whole[:-GAP_PX] if axis == 0 else whole[:, :-GAP_PX]


if __name__ == "__main__":
    main()
