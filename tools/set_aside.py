"""Split two folders of pictures into those to train on and those to judge by.

python tools/set_aside.py day/ night/ street/ --every 9

copies every ninth picture by name to street/testA and street/testB, all others to trainA and trainB: what
`i2itool train street/ --holdout street/` takes.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from i2itool.pictures import list_pictures


def main() -> None:
    """Copy the pictures; what lies there already is replaced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("a", "b", "target"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--every", type=int, default=10)
    arguments = parser.parse_args()
    for side, folder in (("A", arguments.a), ("B", arguments.b)):
        for index, path in enumerate(list_pictures(folder)):
            kind = "test" if index % arguments.every == arguments.every - 1 else "train"
            target = arguments.target / f"{kind}{side}"
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / path.name)


if __name__ == "__main__":
    main()
