"""Frames per second of the pipeline without a network, against ffmpeg re-encoding the same file alike.

    python benchmarks/pipeline.py clip.mp4

The clip is scaled to 1080p first. Both run by turns, each several times, as programs of their own; the ratio
is that of the medians. Needs ffmpeg (Debian and Ubuntu: apt install ffmpeg).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
from torch import nn

from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.options import ConvertOptions
from i2itool.translator import Translator
from i2itool.video.planes import RgbReader, RgbWriter
from i2itool.video.reader import VideoReader

SIZE = 1080, 1920
OPTIONS = ConvertOptions(codec="h264", crf=18, encoder_preset="veryfast", smooth="off")


class Identity(nn.Identity):
    """Gives back its input; follows the `Generator` protocol."""

    multiple_of = 1


class NoTranslator(Translator):
    """Gives back the very array: the pipeline alone, without a network's floats."""

    def translate(self, pixels):  # type: ignore[no-untyped-def] # whatever comes goes
        """The same pixels."""
        return pixels


def main() -> None:
    """Print the medians, the ratio, and what the parts cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--with-floats", action="store_true", help="an identity network instead of none")
    parser.add_argument("--convert", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.convert:
        convert(arguments.clip, arguments.convert, with_floats=arguments.with_floats)
        return
    if shutil.which("ffmpeg") is None:
        sys.exit("ffmpeg is missing (Debian and Ubuntu: apt install ffmpeg)")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "1080p.mp4"
        make_clip(arguments.clip, source, arguments.frames)
        compare(source, arguments.runs, with_floats=arguments.with_floats)
        costs(source)


def make_clip(clip: Path, target: Path, num_frames: int, size: tuple[int, int] = SIZE) -> None:
    """The first frames of `clip` at a size (height, width); from its beginning again if it is too short."""
    with av.open(str(target), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "18", "preset": "veryfast"})
        stream.height, stream.width = height, width = size
        stream.pix_fmt = "yuv420p"
        tick = stream.codec_context.time_base = Fraction(1, 25)
        made = 0
        while made < num_frames:
            with av.open(str(clip)) as source:
                for frame in source.decode(video=0):
                    if made == num_frames:
                        break
                    scaled = frame.reformat(width, height, format="yuv420p")
                    scaled.pts, scaled.time_base = made, tick
                    output.mux(stream.encode(scaled))
                    made += 1
        output.mux(stream.encode(None))


def convert(source: Path, target: Path, *, with_floats: bool) -> None:
    """Convert once, and print the seconds and those of processors, without the start of Python."""
    kind = Translator if with_floats else NoTranslator
    with kind(Identity(), engine="eager") as translator:
        started, cpu = time.perf_counter(), time.process_time()
        convert_video(source, target, translator, OPTIONS, SilentReporter())
        print(json.dumps([time.perf_counter() - started, time.process_time() - cpu]))


def compare(source: Path, runs: int, *, with_floats: bool) -> None:
    """Run both by turns, and print frames per second."""
    ours, theirs = [], []
    for run in range(runs):
        target = source.with_name(f"{run}.mp4")
        command = [sys.executable, __file__, str(source), "--convert", str(target)]
        result = subprocess.run(
            [*command, *(["--with-floats"] if with_floats else [])], check=True, capture_output=True
        )
        ours.append(json.loads(result.stdout))
        theirs.append(run_ffmpeg(source, source.with_name(f"ffmpeg_{run}.mp4")))
    with av.open(str(source)) as container:
        num_frames = container.streams.video[0].frames
    medians = {}
    for name, runs_of_it in (("i2itool", ours), ("ffmpeg", theirs)):
        rates = ", ".join(f"{num_frames / wall:.1f}" for wall, _ in runs_of_it)
        wall, cpu = medians[name] = tuple(statistics.median(times) for times in zip(*runs_of_it, strict=True))
        print(
            f"{name:8} {num_frames / wall:6.1f} frames/s (median of {rates}), "
            f"{1000 * cpu / num_frames:.1f} ms CPU a frame"
        )
    wall, cpu = (
        theirs_ / ours_ for theirs_, ours_ in zip(medians["ffmpeg"], medians["i2itool"], strict=True)
    )
    print(f"ratio    {wall:6.2f}; of CPU time {cpu:.2f}, which other programs disturb less")


def run_ffmpeg(source: Path, target: Path) -> tuple[float, float]:
    """Seconds that ffmpeg takes, and those of processors."""
    settings = ["-c:v", "libx264", "-crf", str(OPTIONS.quality), "-preset", str(OPTIONS.encoder_preset)]
    started, cpu = time.perf_counter(), cpu_of_children()
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", str(source), *settings, str(target)], check=True)
    return time.perf_counter() - started, cpu_of_children() - cpu


def cpu_of_children() -> float:
    """Seconds of processors that ended programs have taken."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def costs(source: Path) -> None:
    """Print the milliseconds of CPU that a frame costs on its way to RGB, and back to planes."""
    with VideoReader(source) as reader:
        tags = reader.coding.tags
    with av.open(str(source)) as container:
        pictures = [frame for frame, _ in zip(container.decode(video=0), range(20), strict=False)]
    to_rgb, to_planes = RgbReader(), RgbWriter("yuv420p", tags, is_left_sited=True)
    started = time.process_time()
    frames = [to_rgb(picture, tags) for picture in pictures]
    middle = time.process_time()
    for frame in frames:
        to_planes(frame)
    ended = time.process_time()
    for name, seconds in (("to RGB", middle - started), ("to planes", ended - middle)):
        print(f"{name:9} {1000 * seconds / len(pictures):6.1f} ms CPU a frame")


if __name__ == "__main__":
    main()
