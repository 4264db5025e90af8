"""How much nearer smoothing brings a translation to the truth, one that is steady and was made to flicker."""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from benchmarks.temporal_clips import smooth
from benchmarks.temporal_score import METHODS
from i2itool.flicker import score_frames
from i2itool.frames import Pixels
from i2itool.metrics.warping import correspondence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `truth`."""
    parser.add_argument("--work", type=Path, required=True)


def run(arguments: argparse.Namespace) -> None:
    """Print how much nearer to a translation that does not flicker the smoothed one is."""
    print("clip            method        PSNR before  after   gain  sharp  excess E")
    seen: set[str] = set()
    for path in sorted(arguments.work.glob("*.npz")):
        clip = path.stem.split("-")[0]
        if clip in seen:
            continue
        seen.add(clip)
        with np.load(path) as stored:
            inputs, pts = stored["inputs"], stored["pts"]
        steady = night(inputs)
        flickering = with_flicker(steady)
        ways = [correspondence(*pair) for pair in pairwise(inputs)]
        before = score_frames(list(inputs), list(flickering), list(steady), ways)
        for name in ("ema", "recursion", "lookahead 2"):
            smoothed = smooth(inputs, flickering, pts, **METHODS[name])
            after = score_frames(list(inputs), list(smoothed), list(steady), ways)
            assert before.psnr is not None
            assert after.psnr is not None
            assert after.reference_error is not None
            excess = (after.output_error - after.reference_error) / (
                before.output_error - after.reference_error
            )
            print(
                f"{clip:15} {name:12} {before.psnr:11.1f} {after.psnr:6.1f} {after.psnr - before.psnr:+6.1f} "
                f"{after.sharpness:6.3f} {excess:+8.3f}",
                flush=True,
            )


def night(inputs: Pixels) -> Pixels:
    """A fixed map of colours: no flicker of its own."""
    made = []
    for frame in inputs:
        share = frame.astype(np.float32) / 255
        luma = share @ np.array([0.299, 0.587, 0.114], np.float32)
        dark = 0.45 * share**1.3 * (0.6, 0.75, 1.1) + 0.25 * np.square(luma)[..., None] * (1, 0.8, 0.5)
        made.append(np.rint(dark.clip(0, 1) * 255))
    return np.stack(made).astype(np.uint8)


def with_flicker(steady: Pixels, seed: int = 0) -> Pixels:
    """Brightness, hue, clouds and texture that change from frame to frame."""
    random, made = np.random.default_rng(seed), []
    height, width = steady.shape[1:3]
    for frame in steady.astype(np.float32):
        gain, hue = 1 + 0.08 * random.normal(), 1 + 0.03 * random.normal(size=3)
        cloud = cv2.resize(
            random.normal(size=(5, 8, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        grain = cv2.GaussianBlur(random.normal(size=frame.shape).astype(np.float32), (0, 0), 0.8)
        made.append(np.rint((frame * gain * hue + 4 * cloud + 8 * grain * (frame / 60 + 0.3)).clip(0, 255)))
    return np.stack(made).astype(np.uint8)
