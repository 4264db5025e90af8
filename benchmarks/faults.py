"""Break conversions in many ways and count what came of them: nothing is to be lost or half-written.

    python benchmarks/faults.py --kills 20 --cuts 20 --mutations 200 --full-disks 10

Each conversion runs in a process of its own, with a limit on its time. Prints a table, and a line for
whatever is against the rules; exits with 1 if there is any.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from torch import Tensor, nn

from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.errors import I2IError
from i2itool.networks import build
from i2itool.options import ConvertOptions
from i2itool.translator import Translator
from i2itool.video.job import work_folder
from i2itool.video.reader import VideoReader

SAMPLE = Path(__file__).parents[1] / "i2itool/samples/bigbuckbunny.mp4"
SEGMENT_FRAMES = 6
LIMIT_SECONDS = 300
HEADER_BYTES = 4096
CONTAINERS = {"mp4": "libx264", "mkv": "libx264", "ts": "libx264", "avi": "mpeg4", "webm": "libvpx-vp9"}
# What a process says by its exit code; a signal is negative.
CONVERTED, REFUSED, TRACEBACK = 0, 3, 99


class Negative(nn.Module):
    """Turns pictures into their negatives; follows the `Generator` protocol."""

    multiple_of = 1

    def forward(self, x: Tensor) -> Tensor:
        """-x."""
        return -x


def tiny() -> nn.Module:
    """The smallest network of the usual kind."""
    torch.manual_seed(0)
    return build("resnet", width=4, blocks=1).eval().requires_grad_(False)


@dataclass(frozen=True)
class Conversion:
    """Something to do in a process of its own. most_bytes: that a file may have, as if the disk were full."""

    source: Path
    target: Path
    network: Callable[[], nn.Module] = Negative
    trim: str | None = None
    most_bytes: int | None = None

    def __call__(self) -> None:
        """Convert, and leave with the exit code that says how it went."""
        os._exit(self._run())

    def _run(self) -> int:
        logging.disable()
        if self.most_bytes is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.most_bytes, hard))
        try:
            with Translator(self.network(), engine="eager", batch_size=2) as translator:
                options = ConvertOptions(batch_size=2, trim=self.trim)
                convert_video(
                    self.source,
                    self.target,
                    translator,
                    options,
                    SilentReporter(),
                    segment_frames=SEGMENT_FRAMES,
                )
        except I2IError:
            return REFUSED
        except BaseException:  # noqa: BLE001 - whatever it is, this is what is looked for
            traceback.print_exc()
            return TRACEBACK
        return CONVERTED

    def start(self) -> multiprocessing.process.BaseProcess:
        """A process that is at it. Forked, for importing torch takes longer than the work."""
        process = multiprocessing.get_context("fork").Process(target=self)
        process.start()
        return process

    def finish(self) -> str:
        """How it went, in a word."""
        return outcome(self.start())


def outcome(process: multiprocessing.process.BaseProcess) -> str:
    """Wait for a process, but not for ever."""
    process.join(LIMIT_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        return "HANG"
    known = {CONVERTED: "converted", REFUSED: "refused", TRACEBACK: "TRACEBACK", -signal.SIGKILL: "killed"}
    return known.get(process.exitcode, f"CRASH {process.exitcode}")


def kills(folder: Path, count: int, dice: random.Random, trim: str | None) -> Iterator[str]:
    """Kill -9 at a random moment, then the same again in peace: is the file as if nothing had been?"""
    if count == 0:
        return
    whole = Conversion(SAMPLE, folder / "whole.mp4", tiny, trim)
    started = time.monotonic()
    assert whole.finish() == "converted"
    seconds = time.monotonic() - started
    num_killed = 0
    while num_killed < count:
        again = Conversion(SAMPLE, folder / "again.mp4", tiny, trim)
        process = again.start()
        process.join(dice.uniform(0, seconds))
        process.kill()
        died = outcome(process)
        # On a busy machine, some are done earlier than the first one was.
        is_there = again.target.exists()
        kept = len(list(work_folder(again.target).glob("*.packets")))
        result = compared(again, whole.target, is_done=is_there)
        num_killed += not is_there
        print(f"  {died}, {'done before' if is_there else f'{kept} pieces kept'}: {result}", flush=True)
        again.target.unlink(missing_ok=True)
        yield f"{'done before' if is_there else died}: {result}"


def full_disks(folder: Path, count: int, dice: random.Random) -> Iterator[str]:
    """No room for files beyond some size, then the same again with room."""
    source = make_clip(folder / "source.mkv", "libx264")
    whole = Conversion(source, folder / "whole.mkv")
    assert whole.finish() == "converted"
    for i in range(count):
        most_bytes = dice.randrange(whole.target.stat().st_size)
        target = folder / f"{i}.mkv"
        first = Conversion(source, target, most_bytes=most_bytes).finish()
        if target.exists():
            yield "PARTIAL"
            continue
        yield f"{first}: {compared(Conversion(source, target), whole.target)}"


def cuts(folder: Path, count: int, dice: random.Random) -> Iterator[str]:
    """Inputs that end too early, at random places, over the containers."""
    sources = make_clips(folder)
    for i in range(count):
        source = sources[i % len(sources)]
        data = source.read_bytes()
        yield judged(source, data[: dice.randrange(len(data))], folder / f"cut{i}{source.suffix}")


def mutations(folder: Path, count: int, dice: random.Random) -> Iterator[str]:
    """Inputs with some bytes changed: every other one in its header only."""
    sources = make_clips(folder)
    for i in range(count):
        source = sources[i % len(sources)]
        data = bytearray(source.read_bytes())
        reach = HEADER_BYTES if (i // len(sources)) % 2 else len(data)
        for _ in range(dice.choice([1, 3, 10, 100])):
            data[dice.randrange(min(reach, len(data)))] = dice.randrange(256)
        yield judged(source, bytes(data), folder / f"mutation{i}{source.suffix}")


def judged(source: Path, data: bytes, path: Path) -> str:
    """Convert `data`; what is converted must be whole, and what is refused must leave nothing."""
    path.write_bytes(data)
    target = path.with_name(f"out_{path.name}")
    result = Conversion(path, target).finish()
    if (result == "converted") != target.exists() or (target.exists() and not is_whole(target)):
        result = f"PARTIAL ({result})"
    if result.isupper() or " " in result:
        kept = Path(tempfile.gettempdir()) / f"fault_{path.name}"
        kept.write_bytes(data)
        print(f"  {result}: {kept}, made of {source.name}", flush=True)
    else:
        path.unlink()
    target.unlink(missing_ok=True)
    return result


def is_whole(path: Path) -> bool:
    """Whether a video can be read to its end."""
    with VideoReader(path) as reader:
        try:
            return sum(1 for _ in reader) > 0
        except I2IError:
            return False


def compared(conversion: Conversion, whole: Path, *, is_done: bool = False) -> str:
    """Do it unless it is done, and tell whether the file is the same as `whole`."""
    result = "converted" if is_done else conversion.finish()
    if result != "converted":
        return result.upper()
    same = conversion.target.read_bytes() == whole.read_bytes()
    is_clean = is_done or not work_folder(conversion.target).exists()
    return "identical" if same and is_clean else "DIFFERENT"


def make_clips(folder: Path) -> list[Path]:
    """A small clip in each container."""
    return [make_clip(folder / f"source.{suffix}", codec) for suffix, codec in CONTAINERS.items()]


def make_clip(path: Path, codec: str) -> Path:
    """Two seconds of coloured waves and noise."""
    y, x = np.mgrid[0:48, 0:64] / 64
    noise = np.random.default_rng(0).normal(scale=0.1, size=(2, 960)).astype(np.float32)
    with av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=25)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = output.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48000)
        assert isinstance(sound, AudioStream)
        for i in range(50):
            waves = [np.sin(3 * x + i / 9), np.cos(4 * y - i / 7), np.sin(5 * x * y + i / 5)]
            pixels = np.stack([130 + 90 * wave for wave in waves], axis=-1).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = i, Fraction(1, 25)
            output.mux(video.encode(picture))
            for j in range(2):
                packed = noise.T.reshape(1, -1) if path.suffix == ".webm" else noise
                samples = av.AudioFrame.from_ndarray(
                    packed, "flt" if path.suffix == ".webm" else "fltp", "stereo"
                )
                samples.sample_rate, samples.pts = 48000, (2 * i + j) * 960
                samples.time_base = Fraction(1, 48000)
                output.mux(sound.encode(samples))
        output.mux(video.encode(None))
        output.mux(sound.encode(None))
    return path


def main() -> None:
    """Print how many conversions went which way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("kills", "cuts", "mutations", "full-disks"):
        parser.add_argument(f"--{name}", type=int, default=3, metavar="N")
    parser.add_argument(
        "--trim", metavar="START:END", help="Kill conversions of this part of the sample clip."
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    faults: dict[str, Callable[[Path, int, random.Random], Iterator[str]]] = {
        "kills": partial(kills, trim=arguments.trim),
        "cuts": cuts,
        "mutations": mutations,
        "full-disks": full_disks,
    }
    lines, is_bad = [], False
    for name, fault in faults.items():
        with tempfile.TemporaryDirectory() as folder:
            count = getattr(arguments, name.replace("-", "_"))
            results: Counter[str] = Counter(fault(Path(folder), count, random.Random(arguments.seed)))
        is_bad |= any(word.isupper() for result in results for word in result.replace(":", "").split())
        told = ", ".join(f"{number} {result}" for result, number in sorted(results.items()))
        lines.append(f"{name:11} {results.total():4}  {told}")
        print(lines[-1], flush=True)
    print("\nfault       runs  outcomes", *lines, sep="\n")
    sys.exit(is_bad)


if __name__ == "__main__":
    main()
