"""Convert a short clip and a long one and print the peak memory of each: it should not grow with the length.

python benchmarks/memory.py --minutes 1 20
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from torch import nn

from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.options import ConvertOptions
from i2itool.translator import Translator

RATE, SOUND_RATE = 25, 48000
WIDTH, HEIGHT = 96, 72


class Identity(nn.Identity):
    """Gives back its input; follows the `Generator` protocol."""

    multiple_of = 1


def main() -> None:
    """Print one line for each length, and the growth from the shortest to the longest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 20])
    arguments = parser.parse_args()
    print("minutes   frames/s  peak MiB")
    peaks = [measure(minutes) for minutes in sorted(arguments.minutes)]
    print(f"growth {100 * (peaks[-1] / peaks[0] - 1):.1f} %")


def measure(minutes: float) -> float:
    """Peak memory of a conversion in a process of its own, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mp4"
        run_apart(make_clip, source, round(minutes * 60 * RATE))
        started = time.monotonic()
        peak = run_apart(convert_as_it_is, source) / 1024
        rate = minutes * 60 * RATE / (time.monotonic() - started)
    print(f"{minutes:7.1f} {rate:10.0f} {peak:9.0f}", flush=True)
    return peak


def run_apart(function: object, *arguments: object) -> int:
    """Call `function` in a new process; returns its peak memory in KiB."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_tell_peak, args=(sender, function, arguments))
    process.start()
    # Held open here, it would never tell that the process has died.
    sender.close()
    peak: int = receiver.recv()
    process.join()
    return peak


def _tell_peak(sender: object, function: object, arguments: tuple[object, ...]) -> None:
    function(*arguments)  # type: ignore[operator]  # pickled, and so no longer typed
    sender.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # type: ignore[attr-defined]  # as above


def convert_as_it_is(source: Path) -> None:
    """The whole pipeline with a network that does nothing."""
    with Translator(Identity(), engine="eager") as translator:
        target = source.with_name("target.mp4")
        convert_video(source, target, translator, ConvertOptions(), SilentReporter())


def make_clip(path: Path, num_frames: int) -> None:
    """Moving waves and noise."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / WIDTH
    noise = np.random.default_rng(0).normal(scale=0.1, size=(2, SOUND_RATE // RATE)).astype(np.float32)
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = output.add_stream("aac", rate=SOUND_RATE)
        assert isinstance(sound, AudioStream)
        for i in range(num_frames):
            waves = [np.sin(3 * x + i / 9), np.cos(4 * y - i / 7), np.sin(5 * x * y + i / 5)]
            pixels = np.stack([130 + 90 * wave for wave in waves], axis=-1).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = i, Fraction(1, RATE)
            output.mux(video.encode(picture))
            samples = av.AudioFrame.from_ndarray(noise, "fltp", "stereo")
            samples.sample_rate, samples.pts = SOUND_RATE, i * (SOUND_RATE // RATE)
            samples.time_base = Fraction(1, SOUND_RATE)
            output.mux(sound.encode(samples))
        output.mux(video.encode(None))
        output.mux(sound.encode(None))


if __name__ == "__main__":
    main()
