"""How near a conversion comes to what its parts allow, all measured in one process.

    python benchmarks/overlap.py clip.mp4 --size 1280x720 --frames 120

Each variant converts the clip once, and then runs each of its stages alone. The ceiling is the lower of the
slowest stage alone and of the cores divided by what all stages together cost a frame. What other programs
took from the machine meanwhile is told, too: it lowers what can be reached.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pipeline import Identity, NoTranslator, make_clip
from i2itool.commands.compile import parse_size
from i2itool.console import SilentReporter
from i2itool.conversion import convert_video, open_translator
from i2itool.device import num_cores
from i2itool.options import ConvertOptions
from i2itool.preset import find_preset
from i2itool.profile import Profile, StageTime
from i2itool.smoothing import Reduction, smoothing_of
from i2itool.temporal.tracking import track_all
from i2itool.translator import Translator
from i2itool.video.encoding import Encoding, FrameEncoder
from i2itool.video.reader import VideoReader

# Of each stage alone; the encoder wants some before it works at its pace.
FRAMES_ALONE = 40


@dataclass
class Watch(SilentReporter):
    """Watches a conversion from when its engine is ready until its last frame is written."""

    profile: Profile | None = None
    num_frames: int = 0

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:  # noqa: ARG002
        """The engine is ready."""
        self.others = busy_seconds() - own_seconds()
        self.profile = Profile().__enter__()

    def advance(self, count: int = 1, *, note: str = "") -> None:  # noqa: ARG002
        """A frame has come out."""
        self.num_frames += count

    def stop(self) -> None:
        """The video is whole."""
        assert self.profile is not None
        self.profile.__exit__(None, None, None)
        self.others = busy_seconds() - own_seconds() - self.others


def main() -> None:
    """Print a table for each variant, and a line of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--preset", default="day2night")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--batch-size", default="auto")
    parser.add_argument("--codec", default="h264")
    parser.add_argument("--encoder-preset", help="as of convert")
    parser.add_argument("--only", nargs="*", default=["smoothed", "unsmoothed", "identity"])
    arguments = parser.parse_args()
    batch_size = arguments.batch_size if arguments.batch_size == "auto" else int(arguments.batch_size)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mp4"
        make_clip(arguments.clip, source, arguments.frames, parse_size(arguments.size))
        for variant in arguments.only:
            options = ConvertOptions(
                codec=arguments.codec,
                encoder_preset=arguments.encoder_preset,
                smooth="auto" if variant == "smoothed" else "off",
                batch_size=batch_size,
                overwrite=True,
            )
            lines.append(measure(variant, source, options, arguments.preset))
    print("\n| | frames/s | stages alone | cores / CPU | ceiling | ratio | others took |")
    print("|---|---|---|---|---|---|---|", *lines, sep="\n")


def measure(variant: str, source: Path, options: ConvertOptions, preset: str) -> str:
    """Convert, time the stages alone, print both, and give the line of the table."""
    if variant == "identity":
        translator: Translator = NoTranslator(Identity(), engine="eager")
    else:
        translator = open_translator(find_preset(preset), options)
    with translator:
        watch = Watch()
        convert_video(source, source.with_name("target.mp4"), translator, options, watch)
        watch.stop()
        gc.collect()
        alone = stages_alone(source, translator, options)
    assert watch.profile is not None
    seconds, cores = watch.profile.seconds, num_cores()
    stages = [item for item in watch.profile.stages() if item.name != "profile" and item.cpu_seconds > 0]
    cpu = sum(item.cpu_seconds for item in stages) / watch.num_frames
    rate, slowest = watch.num_frames / seconds, min(alone, key=lambda name: alone[name])
    ceiling = min(alone[slowest], cores / cpu)
    print(f"\n{variant}, batch size {translator.batch_size}")
    print_stages(stages, alone, watch.num_frames)
    return (
        f"| {variant}, batch size {translator.batch_size} | {rate:.2f} | {slowest} {alone[slowest]:.2f} "
        f"| {cores / cpu:.2f} | {ceiling:.2f} | {rate / ceiling:.2f} "
        f"| {watch.others / seconds:.2f} of {cores} cores |"
    )


def print_stages(stages: list[StageTime], alone: dict[str, float], num_frames: int) -> None:
    """What each costs in the conversion, and how fast it is alone."""
    for item in stages:
        rate = f"{alone[item.name]:8.1f} frames/s alone" if item.name in alone else ""
        print(f"  {item.name:10}{1000 * item.cpu_seconds / num_frames:8.1f} ms CPU a frame{rate}")


def stages_alone(source: Path, translator: Translator, options: ConvertOptions) -> dict[str, float]:
    """Frames per second of each stage with the machine to itself."""
    with VideoReader(source, options) as reader:
        encoding = Encoding.choose(source, reader.info, reader.coding, options)
        rates: dict[str, float] = {}
        frames = timed(rates, "decode", lambda: islice(reader.frames(), FRAMES_ALONE))
    if isinstance(translator, NoTranslator):
        timed(rates, "encode", lambda: encoded(frames, encoding))
        return rates
    reduction = Reduction(translator)
    tracked = list(track_all(reduction.reduced(frames)))
    small = np.stack([item.frame.pixels for item in tracked])
    size = translator.batch_size
    outputs = timed(
        rates,
        "network",
        lambda: (
            picture
            for first in range(0, len(small), size)
            for picture in translator.translate(small[first : first + size])
        ),
    )
    smoothing = smoothing_of(options, translator.device)
    if smoothing is not None:
        timed(rates, "smooth", lambda: smoothing.run(zip(tracked, outputs, strict=True)))
    timed(rates, "encode", lambda: encoded(frames, encoding))
    return rates


def encoded(frames: list[Any], encoding: Encoding) -> Iterable[object]:
    """The packets of frames."""
    encoder = FrameEncoder(encoding)
    for frame in frames:
        yield from encoder.encode(frame)
    yield from encoder.finish()


def timed(rates: dict[str, float], name: str, run: Callable[[], Iterable[Any]]) -> list[Any]:
    """What a stage gives; its frames per second are noted."""
    started = time.perf_counter()
    made = list(run())
    rates[name] = len(made) / (time.perf_counter() - started)
    return made


def busy_seconds() -> float:
    """Processor time of all programs of the machine; Linux only."""
    user, nice, system, _, _, interrupts, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Processor time of this process."""
    spent = os.times()
    return spent.user + spent.system


if __name__ == "__main__":
    main()
