"""Clips and their translations, kept for the benchmarks of flicker.

A network takes longer than everything else, so what it makes is stored once, as npz.
"""

from __future__ import annotations

import argparse
import math
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.frames import Frame, Pixels
from i2itool.loaded import load_preset
from i2itool.networks import multiple_of
from i2itool.networks.steady import SteadyGenerator
from i2itool.pixels import to_network, to_pixels
from i2itool.preset import find_preset
from i2itool.temporal.stream import open_smoothing
from i2itool.temporal.tracking import track_all
from i2itool.video.reader import VideoReader
from i2itool.weights import load_network

TICK = Fraction(1, 100_000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `translate`."""
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--width", type=int, default=640, help="of the frames, in pixels, at most")
    parser.add_argument("--start", type=int, default=30)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--statistics", action="store_true", help="with steady statistics, too")
    parser.add_argument("--work", type=Path, required=True)


def run(arguments: argparse.Namespace) -> None:
    """Keep a stretch of each clip and its translation."""
    arguments.work.mkdir(exist_ok=True)
    for clip in arguments.clips:
        frames, pts = read(clip, arguments.width, arguments.start, arguments.frames)
        outputs = {}
        with load_preset(arguments.preset) as preset:
            outputs["outputs"] = np.stack([preset.translate(frame) for frame in frames])
        if arguments.statistics:
            outputs["steady"] = with_steady_statistics(arguments.preset, frames, pts)
        np.savez(
            arguments.work / f"{clip.stem}-{arguments.preset}.npz",
            allow_pickle=False,
            inputs=frames,
            pts=pts,
            **outputs,
        )
        print(clip.stem, frames.shape, flush=True)


def read(clip: Path, width: int, start: int, count: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Frames N,H,W,3 no wider than `width`, with both sides multiples of 4, and their stamps in ticks."""
    frames, pts = [], []
    with VideoReader(clip) as reader:
        for place, frame in enumerate(reader):
            if place < start:
                continue
            height = frame.pixels.shape[0] * min(1, width / frame.pixels.shape[1])
            size = min(width, frame.pixels.shape[1]) // 4 * 4, round(height / 4) * 4
            frames.append(cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA))
            pts.append(round(frame.pts * frame.time_base / TICK))
            if len(frames) == count:
                break
    return np.stack(frames).astype(np.uint8), np.array(pts)


def with_steady_statistics(name: str, frames: Pixels, pts: NDArray[np.int64]) -> Pixels:
    """The translation with InstanceNorm's statistics smoothed over 0.19 s, in PyTorch."""
    network = load_network(find_preset(name), "a2b")
    generator, remembered, made = SteadyGenerator(network), None, []
    for place, frame in enumerate(frames):
        seconds = float((pts[place] - pts[place - 1]) * TICK) if place else math.inf
        batch = to_network(frame[None], multiple_of=multiple_of(network))
        output, remembered = generator(batch, [-math.expm1(-seconds / 0.19)], remembered)
        made.append(to_pixels(output, height=frame.shape[0], width=frame.shape[1])[0])
    return np.stack(made)


def smooth(inputs: Pixels, outputs: Pixels, pts: NDArray[np.int64], **options: object) -> Pixels:
    """Outputs smoothed as `convert` does; options: of `open_smoothing`."""
    smoothing = open_smoothing(**options)  # type: ignore[arg-type]  # from the table above
    if smoothing is None:
        return outputs
    duration = int(np.median(np.diff(pts)))
    frames = [Frame(one, int(stamp), TICK, duration) for one, stamp in zip(inputs, pts, strict=True)]
    steadied = smoothing.run(zip(track_all(frames), outputs, strict=True))
    return np.stack([item.frame.pixels for item in steadied]).astype(np.uint8)
