"""Convert videos and print what has changed beside the pictures: nothing should have.

    python benchmarks/fidelity.py clip.mp4 other.mkv --preset day2night

Without --preset the network is the identity, so that the pictures can be compared too.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from torch import nn

from i2itool import convert
from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.options import ConvertOptions
from i2itool.translator import Translator
from i2itool.video.reader import VideoReader

Packets = list[tuple[Fraction, bytes]]
COLUMNS = "file                      frames in/out  same times  worst shift  streams copied  packets  PSNR dB"


class Identity(nn.Identity):
    """Gives back its input; follows the `Generator` protocol."""

    multiple_of = 1


def main() -> None:
    """Print one line for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--crf", type=int, default=ConvertOptions().crf)
    arguments = parser.parse_args()
    print(COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        for source in arguments.files:
            target = Path(folder) / source.name
            if arguments.preset:
                convert(source, target, preset=arguments.preset, crf=arguments.crf)
            else:
                convert_as_it_is(source, target, arguments.crf)
            print(compare(source, target, with_pictures=not arguments.preset), flush=True)


def convert_as_it_is(source: Path, target: Path, crf: int) -> None:
    """The whole pipeline with a network that does nothing."""
    with Translator(Identity(), engine="eager") as translator:
        convert_video(source, target, translator, ConvertOptions(crf=crf), SilentReporter())


def compare(source: Path, target: Path, *, with_pictures: bool) -> str:
    """One line of the table."""
    old_times, new_times = frame_times(source), frame_times(target)
    shifts = [abs(new - old) for old, new in zip(old_times, new_times, strict=False)]
    old_packets, new_packets = other_packets(source), other_packets(target)
    num_copied = sum(old == new for old, new in zip(old_packets, new_packets, strict=False))
    num_packets = sum(map(len, old_packets))
    psnr = f"{picture_psnr(source, target):7.1f}" if with_pictures else "      -"
    return (
        f"{source.name:24}  {len(old_times):6}/{len(new_times):<6}  {old_times == new_times!s:>10}  "
        f"{float(max(shifts)) * 1e6:8.1f} us  {num_copied:10} of {len(old_packets)}  {num_packets:7}  {psnr}"
    )


def frame_times(path: Path) -> list[Fraction]:
    """The time of every frame in seconds, straight from the decoder; sorted, for some files mix them up."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sorted(_seconds(frame.pts, frame.time_base) for frame in container.decode(stream))


def other_packets(path: Path) -> list[Packets]:
    """The packets of each stream but the first video: time in seconds and bytes."""
    packets: dict[int, Packets] = defaultdict(list)
    with av.open(str(path)) as container:
        video = container.streams.video[0].index
        for packet in container.demux():
            if packet.stream.index != video and packet.size:
                packets[packet.stream.index].append((_seconds(packet.pts, packet.time_base), bytes(packet)))
        return [packets[stream.index] for stream in container.streams if stream.index != video]


def picture_psnr(source: Path, target: Path) -> float:
    """Peak signal-to-noise ratio in dB over all frames, in RGB."""
    with VideoReader(source) as old, VideoReader(target) as new:
        squares = [
            np.square(a.pixels.astype(np.float32) - b.pixels).mean() for a, b in zip(old, new, strict=True)
        ]
    return 10 * math.log10(255**2 / max(float(np.mean(squares)), 1e-9))


def _seconds(pts: int | None, time_base: Fraction | None) -> Fraction:
    return (pts or 0) * (time_base or Fraction(0))


if __name__ == "__main__":
    main()
