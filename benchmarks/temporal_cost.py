"""Milliseconds that smoothing takes, on one thread."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import cv2
import numpy as np
import torch

from benchmarks.temporal_clips import TICK
from i2itool.frames import Frame, Pixels
from i2itool.temporal.stream import open_smoothing
from i2itool.temporal.tracking import Seen, track
from i2itool.work_size import carried, resized, work_size

SIZES = ((720, 1280), (1080, 1920))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `time`."""
    parser.add_argument(
        "--work-size", type=int, default=256, help="short side, in pixels, of the second half"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print medians of processor time for a frame, at full size and at a working size."""
    torch.set_num_threads(1)
    for height, width in SIZES:
        inputs = moving(height, width)
        motion, smoothing, _ = costs(inputs, (height, width))
        print(
            f"{height}p: motion {motion:.1f} ms, smoothing {smoothing:.1f} ms, both "
            f"{motion + smoothing:.1f} ms of one thread; large copies {copy_speed():.1f} GB/s"
        )
        size = work_size(height, width, arguments.work_size, 4)
        motion, smoothing, sizing = costs(inputs, size)
        print(
            f"{height}p at {size[1]}x{size[0]}: motion {motion:.1f} ms, smoothing {smoothing:.1f} ms, both "
            f"{motion + smoothing:.1f} ms; to that size and back, smoothed or not, {sizing:.1f} ms",
            flush=True,
        )


def moving(height: int, width: int) -> list[Pixels]:
    """Frames of a camera that moves over clouds."""
    clouds = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    canvas = cv2.resize(clouds, (width + 99, height + 99)).astype(np.uint8)
    return [np.ascontiguousarray(canvas[3 * i :, 4 * i :][:height, :width]) for i in range(24)]


def costs(inputs: Sequence[Pixels], size: tuple[int, int]) -> tuple[float, float, float]:
    """Median ms of processor time to track a frame, to smooth its output, and to go to `size` and back."""
    smoothing = open_smoothing("recursion")
    assert smoothing is not None
    seen: Seen | None = None
    carry, rows = None, []
    for place, pixels in enumerate(inputs):
        clock = [time.thread_time()]
        small = resized(pixels[None], size)[0]
        clock.append(time.thread_time())
        tracked = track(Frame(small, place * 4000, TICK, 4000), seen)
        clock.append(time.thread_time())
        carry = next(smoothing.run([(tracked, 255 - small)], carry)).carry
        clock.append(time.thread_time())
        carried(small, carry.shown, pixels)
        clock.append(time.thread_time())
        seen = tracked.seen
        rows.append(np.diff(clock))
    smaller, motion, smoothed, larger = 1000 * np.median(rows[4:], axis=0)
    return float(motion), float(smoothed), float(smaller + larger)


def copy_speed() -> float:
    """Gigabytes a second that are read and written by large copies; the median of nine."""
    source = np.zeros(64 << 20, np.uint8)
    target, seconds = np.empty_like(source), []
    for _ in range(9):
        started = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - started)
    return 2 * source.nbytes / statistics.median(seconds) / 1e9
