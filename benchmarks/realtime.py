"""Presets on video, end to end: frames a second, where the time goes, and what the result is like.

    python -m benchmarks.realtime clip.mp4 --preset day2night --sizes 1280x720 1920x1080

The clip is scaled to each size first. A conversion runs as a user's does, from loading the preset to the
finished file (importing Python's modules apart), with smoothing, by x264 veryfast; the engine is in the
cache. Frames that the network translates at their full size are the measure of those carried to it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.pipeline import make_clip
from i2itool import convert
from i2itool.commands.compile import parse_size
from i2itool.conversion import open_translator
from i2itool.device import num_cores
from i2itool.flicker import measure_flicker
from i2itool.frames import Pixels
from i2itool.metrics.paired import psnr
from i2itool.metrics.warping import gradient_energy
from i2itool.options import ConvertOptions
from i2itool.preset import find_preset
from i2itool.profile import Profile, table
from i2itool.video.reader import VideoReader

# Frames that are also translated at their full size, which takes long.
FRAMES_IN_FULL, FRAMES_OF_FLICKER = 3, 48


def main() -> None:
    """Print the stages of each conversion, then a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--preset", nargs="+", default=["day2night"])
    parser.add_argument("--sizes", nargs="+", default=["1280x720", "1920x1080"])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--in-full", action="store_true", help="compare with the network at full size, too")
    arguments = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            source = Path(folder) / f"{size}.mp4"
            make_clip(arguments.clip, source, arguments.frames, parse_size(size))
            for preset in arguments.preset:
                lines.append(measure(preset, source, size, arguments.runs, in_full=arguments.in_full))
    print(
        "\n| preset, size | frames/s | CPU ms/frame | E_warp, ratio to unsmoothed | PSNR, dB | sharpness |",
        "|---|---|---|---|---|---|",
        *lines,
        sep="\n",
    )


def measure(preset: str, source: Path, size: str, runs: int, *, in_full: bool) -> str:
    """Convert a clip several times; print the stages of one more, and give its line of the table."""
    target, plain = source.with_name("target.mp4"), source.with_name("plain.mp4")
    # The first, which nobody counts, fills the cache of engines.
    run(preset, source, target)
    with Profile() as profile:
        num_frames = run(preset, source, target)
    seconds = statistics.median(timed(preset, source, target) for _ in range(runs))
    print(f"\n{preset} at {size}, {num_cores()} cores\n{table(profile, num_frames, num_cores())}")
    cpu = sum(item.cpu_seconds for item in profile.stages() if item.name != "profile") / num_frames
    short = source.with_name("short.mp4")
    make_clip(source, short, FRAMES_OF_FLICKER, parse_size(size))
    convert(short, target, preset=preset, overwrite=True)
    convert(short, plain, preset=preset, overwrite=True, smooth="off")
    flicker = measure_flicker(short, target, plain)
    if in_full:
        print(against_full(preset, source))
    return (
        f"| {preset}, {size} | {num_frames / seconds:.1f} | {1000 * cpu:.0f} | {flicker.ratio:.3f} "
        f"| {flicker.psnr:.1f} | {flicker.sharpness:.3f} |"
    )


def run(preset: str, source: Path, target: Path) -> int:
    """One conversion from beginning to end; the number of frames."""
    return convert(source, target, preset=preset, overwrite=True, encoder_preset="veryfast").num_frames


def timed(preset: str, source: Path, target: Path) -> float:
    """Seconds of a conversion that nobody watches: to see where time goes takes a fiftieth of it."""
    began = time.monotonic()
    run(preset, source, target)
    return time.monotonic() - began


def against_full(preset: str, source: Path) -> str:
    """What carrying costs in likeness to the network at full size, and gains in time."""
    with VideoReader(source) as reader:
        frames = [np.asarray(frame.pixels, np.uint8) for frame in islice(reader, FRAMES_IN_FULL)]
    (carried, quick), (full, slow) = (translated(preset, frames, how) for how in ("auto", "full"))
    likeness = statistics.mean(psnr(x, y) for x, y in zip(carried, full, strict=True))
    sharpness = statistics.mean(
        gradient_energy(x) / gradient_energy(y) for x, y in zip(carried, full, strict=True)
    )
    return (
        f"carried, to the network at full size: {likeness:.1f} dB, sharpness {sharpness:.2f}, "
        f"{1000 * quick:.0f} ms a frame instead of {1000 * slow:.0f}"
    )


def translated(preset: str, frames: list[Pixels], work_size: str) -> tuple[list[Pixels], float]:
    """Frames, each on its own, and the seconds of one; the engine is made before."""
    with open_translator(find_preset(preset), ConvertOptions(work_size=work_size)) as translator:
        translator.translate(frames[0][None])
        seconds, made = [], []
        for frame in frames:
            began = time.monotonic()
            made.append(np.asarray(translator.translate(frame[None])[0], np.uint8))
            seconds.append(time.monotonic() - began)
    return made, statistics.median(seconds)


if __name__ == "__main__":
    main()
