"""Flicker of stored clips with each way of smoothing, beside each frame alone."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.temporal_clips import smooth
from i2itool.flicker import Flicker, score_frames
from i2itool.metrics.warping import correspondence

# The parameters were chosen on these clips; all others are reported apart.
CHOSEN_ON = ("bikes", "bigbuckbunny", "box")
METHODS: dict[str, dict[str, object]] = {
    "off": {"method": "off"},
    "ema": {"method": "ema"},
    "recursion": {"method": "recursion"},
    "recursion 0.5": {"method": "recursion", "strength": 0.5},
    "lookahead 2": {"method": "recursion", "lookahead": 2},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `score`."""
    parser.add_argument("--work", type=Path, required=True)


def run(arguments: argparse.Namespace) -> None:
    """Print a row for each clip and method, and means over both halves of the clips."""
    print("clip, network              method             ratio  floor   PSNR  sharp  jitter")
    means: dict[tuple[bool, str], list[Flicker]] = {}
    for path in sorted(arguments.work.glob("*.npz")):
        with np.load(path) as stored:
            kept = dict(stored)
        inputs, pts, outputs = kept["inputs"], kept["pts"], kept["outputs"]
        made = {name: smooth(inputs, outputs, pts, **options) for name, options in METHODS.items()}
        if "steady" in kept:
            made["norm-statistics"] = kept["steady"]
            made["norm-statistics, recursion"] = smooth(inputs, kept["steady"], pts, method="recursion")
        ways = [correspondence(*pair) for pair in pairwise(inputs)]
        for name, frames in made.items():
            measured = score_frames(list(inputs), list(frames), list(outputs), ways)
            means.setdefault((path.stem.startswith(CHOSEN_ON), name), []).append(measured)
            print(row(path.stem, name, [measured]), flush=True)
    for (is_chosen_on, name), measured_all in means.items():
        half = "mean, chosen on" if is_chosen_on else "mean, others"
        print(row(f"{half} ({len(measured_all)})", name, measured_all))


def row(label: str, method: str, measured: Sequence[Flicker]) -> str:
    """Means of the figures."""

    def mean(value: Callable[[Flicker], float | None]) -> float:
        return statistics.fmean(value(one) or 0.0 for one in measured)

    figures = (
        f"{mean(lambda one: one.ratio):.3f}  {mean(lambda one: one.floor):.3f}  "
        f"{mean(lambda one: one.psnr and min(one.psnr, 99.0)):5.1f}  {mean(lambda one: one.sharpness):.3f}"
    )
    jitter = f"{mean(lambda one: one.jitter):.2f} of {mean(lambda one: one.reference_jitter):.2f}"
    return f"{label:26} {method:27} {figures}  {jitter}"
