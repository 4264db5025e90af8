"""Flicker of translated clips with each way of smoothing, and what it costs.

    python benchmarks/temporal.py translate CLIP... --preset NAME --work FOLDER
    python benchmarks/temporal.py score --work FOLDER
    python benchmarks/temporal.py truth --work FOLDER
    python benchmarks/temporal.py time

`translate` keeps frames and their translations in FOLDER as npz, since a network takes longer than everything
else. `score` smooths them and prints a table; `truth` does so with a translation that is consistent by
construction and then made to flicker. Scores are of frames in memory, before any encoder.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from i2itool.flicker import Flicker, score_frames
from i2itool.frames import Frame, Pixels
from i2itool.metrics.warping import correspondence
from i2itool.networks import multiple_of
from i2itool.networks.steady import SteadyGenerator
from i2itool.pixels import to_network, to_pixels
from i2itool.preset import find_preset
from i2itool.temporal.stream import open_smoothing
from i2itool.temporal.tracking import Seen, track, track_all
from i2itool.translator import load_preset
from i2itool.video.reader import VideoReader
from i2itool.weights import load_network

# The parameters were chosen on these clips; all others are reported apart.
CHOSEN_ON = ("bikes", "bigbuckbunny", "box")
TICK = Fraction(1, 100_000)
METHODS: dict[str, dict[str, object]] = {
    "off": {"method": "off"},
    "ema": {"method": "ema"},
    "recursion": {"method": "recursion"},
    "recursion 0.5": {"method": "recursion", "strength": 0.5},
    "lookahead 2": {"method": "recursion", "lookahead": 2},
}
SIZES = ((720, 1280), (1080, 1920))


def main() -> None:
    """Run the part that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    translate_parser = parts.add_parser("translate")
    translate_parser.add_argument("clips", nargs="+", type=Path)
    translate_parser.add_argument("--preset", required=True)
    translate_parser.add_argument("--width", type=int, default=640, help="of the frames, in pixels, at most")
    translate_parser.add_argument("--start", type=int, default=30)
    translate_parser.add_argument("--frames", type=int, default=24)
    translate_parser.add_argument("--statistics", action="store_true", help="with steady statistics, too")
    for name in ("score", "truth"):
        parts.add_parser(name)
    for sub in (translate_parser, parts.choices["score"], parts.choices["truth"]):
        sub.add_argument("--work", type=Path, required=True)
    parts.add_parser("time")
    arguments = parser.parse_args()
    # One thread, as beside a network that takes the others.
    cv2.setNumThreads(1)
    {"translate": translate, "score": score, "truth": truth, "time": cost}[arguments.part](arguments)


def translate(arguments: argparse.Namespace) -> None:
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


def score(arguments: argparse.Namespace) -> None:
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


def truth(arguments: argparse.Namespace) -> None:
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


def cost(_: argparse.Namespace) -> None:
    """Print milliseconds of processor time for a frame, on one thread, and the speed of large copies."""
    torch.set_num_threads(1)
    for height, width in SIZES:
        canvas = cv2.resize(
            np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8), (width + 99, height + 99)
        )
        inputs = [np.ascontiguousarray(canvas[3 * i :, 4 * i :][:height, :width]) for i in range(20)]
        tracking, smoothing = costs([one.astype(np.uint8) for one in inputs])
        print(
            f"{height}p: motion {1000 * tracking:.1f} ms, smoothing {1000 * smoothing:.1f} ms, "
            f"both {1000 * (tracking + smoothing):.1f} ms of one thread; large copies {copy_speed():.1f} GB/s"
        )


def costs(inputs: Sequence[Pixels]) -> tuple[float, float]:
    """Median seconds of processor time to track a frame and to smooth its output."""
    smoothing = open_smoothing("recursion")
    assert smoothing is not None
    seen: Seen | None = None
    carry, tracking, smoothed = None, [], []
    for place, pixels in enumerate(inputs):
        started = time.thread_time()
        tracked = track(Frame(pixels, place * 4000, TICK, 4000), seen)
        middle = time.thread_time()
        carry = next(smoothing.run([(tracked, 255 - pixels)], carry)).carry
        ended = time.thread_time()
        seen = tracked.seen
        tracking.append(middle - started)
        smoothed.append(ended - middle)
    return statistics.median(tracking[2:]), statistics.median(smoothed[2:])


def copy_speed() -> float:
    """Gigabytes a second that are read and written by large copies; the median of nine."""
    source = np.zeros(64 << 20, np.uint8)
    target, seconds = np.empty_like(source), []
    for _ in range(9):
        started = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - started)
    return 2 * source.nbytes / statistics.median(seconds) / 1e9


if __name__ == "__main__":
    main()
