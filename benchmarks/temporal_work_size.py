"""Flicker at full size of clips that are translated and smoothed at a preset's working size, then carried."""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.temporal_clips import read, smooth
from benchmarks.temporal_score import METHODS, row
from i2itool.flicker import score_frames
from i2itool.frames import Pixels
from i2itool.metrics.warping import correspondence
from i2itool.preset import find_preset
from i2itool.translator import Translator
from i2itool.weights import load_network
from i2itool.work_size import carried, parse_work_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `work-size`."""
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--width", type=int, default=1280, help="of the frames, in pixels, at most")
    parser.add_argument("--start", type=int, default=30)
    parser.add_argument("--frames", type=int, default=16)


def run(arguments: argparse.Namespace) -> None:
    """Print a row for each clip and method, against each frame alone, carried likewise."""
    preset = find_preset(arguments.preset)
    print("clip, working size         method             ratio  floor   PSNR  sharp  jitter")
    with Translator(load_network(preset, "a2b"), work_px=parse_work_size("auto", preset)) as translator:
        for clip in arguments.clips:
            frames, pts = read(clip, arguments.width, arguments.start, arguments.frames)
            small = np.stack([translator.reduced(frame) for frame in frames]).astype(np.uint8)
            outputs = np.concatenate([translator.translate(one[None]) for one in small])
            reference = at_full_size(small, outputs, frames)
            ways = [correspondence(*pair) for pair in pairwise(frames)]
            label = f"{clip.stem}, {small.shape[2]}x{small.shape[1]}"
            for name, options in METHODS.items():
                steady = at_full_size(small, smooth(small, outputs, pts, **options), frames)
                measured = score_frames(list(frames), steady, reference, ways)
                print(row(label, name, [measured]), flush=True)


def at_full_size(small: Pixels, outputs: Pixels, frames: Pixels) -> list[Pixels]:
    """What small frames have become, carried to the size of `frames`."""
    return [carried(*three) for three in zip(small, outputs, frames, strict=True)]
