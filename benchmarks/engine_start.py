"""Seconds from the start of a process to the first frame: nothing cached, then from the cache.

    python benchmarks/engine_start.py --engine openvino

ResNet-9 of width 64 at 256x256; cold includes the comparison with PyTorch. Medians of runs by turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = """
import sys, time
started = float(sys.argv[1])
import numpy as np
from safetensors.torch import load_file
from i2itool.networks import build
from i2itool.translator import Translator
network = build("resnet", width=64, blocks=9)
network.load_state_dict(load_file(sys.argv[3]))
pixels = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)
with Translator(network, engine=sys.argv[2], device="cpu") as translator:
    loaded = time.time()
    translator.translate(pixels)
    print(loaded - started, time.time() - started, time.process_time())
"""
WEIGHTS = """
import sys, torch
from safetensors.torch import save_file
from i2itool.networks import build
torch.manual_seed(0)
save_file(build("resnet", width=64, blocks=9).state_dict(), sys.argv[1])
"""


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    found: dict[str, list[tuple[float, float, float]]] = {"cold": [], "cached": []}
    with tempfile.TemporaryDirectory() as folder:
        weights = f"{folder}/weights.safetensors"
        subprocess.run([sys.executable, "-c", WEIGHTS, weights], check=True)
        for run in range(arguments.runs):
            for kind in found:
                environment = os.environ | {"I2ITOOL_CACHE": f"{folder}/{run}"}
                command = [sys.executable, "-c", PROGRAM, str(time.time()), arguments.engine, weights]
                done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                loaded, first, cpu = map(float, done.stdout.split())
                found[kind].append((loaded, first, cpu))
    for kind, times in found.items():
        loaded, first, cpu = (statistics.median(values) for values in zip(*times, strict=True))
        print(
            f"{arguments.engine:9} {kind:7} first frame after {first:5.2f} s, of which {loaded:5.2f} s "
            f"until the network is read; {cpu:5.2f} s of CPU"
        )


if __name__ == "__main__":
    main()
