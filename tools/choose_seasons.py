"""Of pictures of two seasons, copy the summers that are green and the winters that are white.

python tools/choose_seasons.py yosemite/ chosen/

Both hold trainA, testA (summer), trainB and testB (winter). The recipe of `summer2winter` begins with it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import cv2

from i2itool.frames import Pixels
from i2itool.pictures import list_pictures, read_picture


def main() -> None:
    """Copy what is chosen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("source", "target"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    for folder, is_chosen in (("A", is_summer), ("B", is_winter)):
        for kind in ("train", "test"):
            paths = list_pictures(arguments.source / f"{kind}{folder}")
            chosen = [path for path in paths if is_chosen(read_picture(path))]
            target = arguments.target / f"{kind}{folder}"
            target.mkdir(parents=True, exist_ok=True)
            for path in chosen:
                shutil.copy(path, target / path.name)


def is_summer(picture: Pixels) -> bool:
    """More than 15 % is green, less than 20 % of the lower half is white, and it is not dark."""
    green, white, light = looks(picture)
    return green > 0.15 and white < 0.2 and light > 70


def is_winter(picture: Pixels) -> bool:
    """More than 30 % of the lower half is white, less than 20 % is green, and it is not dark."""
    green, white, light = looks(picture)
    return white > 0.3 and green < 0.2 and light > 60


def looks(picture: Pixels) -> tuple[float, float, float]:
    """The share of green, the share of white in the lower half, and the mean of the value, 0..255."""
    hue, saturation, value = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
    green = (hue > 25) & (hue < 90) & (saturation > 60) & (value > 35)
    white = (value > 120) & (saturation < 60)
    return float(green.mean()), float(white[len(white) // 2 :].mean()), float(value.mean())


if __name__ == "__main__":
    main()
