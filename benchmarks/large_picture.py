"""Peak memory of one large picture, all at once or by strips of rows; a program of its own for each.

python benchmarks/large_picture.py --size 7680x4320 --engine tiles
python benchmarks/large_picture.py --size 1920x1080 --engine tiles --compare
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from i2itool.engine import open_engine
from i2itool.networks import build
from i2itool.pixels import to_network, to_pixels


def main() -> None:
    """Translate a picture of noise, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="7680x4320")
    parser.add_argument("--engine", default="tiles")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument(
        "--compare", action="store_true", help="hold the result against PyTorch's, all at once"
    )
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    torch.manual_seed(0)
    network = build("resnet", width=arguments.width, blocks=arguments.blocks).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    before = peak_bytes()
    started = time.perf_counter()
    with open_engine(arguments.engine, network, size=(height, width), device="cpu") as engine:
        found = engine.translate_pixels(pixels)
        seconds = time.perf_counter() - started
        print(
            f"{engine.name} {engine.precision} {arguments.size}: {seconds:.0f} s, "
            f"peak {peak_bytes() / 2**30:.1f} GiB, of which {before / 2**30:.1f} before"
        )

    if arguments.compare:
        with open_engine("eager", network, size=(height, width), device="cpu") as engine:
            expected = engine(to_network(pixels))
        with open_engine(arguments.engine, network, size=(height, width), device="cpu") as engine:
            distance = float((engine(to_network(pixels)) - expected).abs().max())
        levels = np.abs(found.astype(int) - to_pixels(expected, height=height, width=width)).max()
        print(f"at most {distance * 127.5:.5f} of 1/255 from all at once in floats, {levels} levels in bytes")


def peak_bytes() -> int:
    """The most memory that this process has had; Linux tells kibibytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
