"""Convert videos and print what has changed beside the pictures: nothing should have.

    python benchmarks/fidelity.py clip.mp4 other.mkv --preset day2night

Without --preset the network is the identity, so that the pictures can be compared too.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
from torch import nn

from i2itool import convert
from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.options import ConvertOptions
from i2itool.translator import Translator
from i2itool.verification import verify
from i2itool.video.reader import VideoReader

COLUMNS = "file                      frames in/out  checks  PSNR dB  differs"


class Identity(nn.Identity):
    """Gives back its input; follows the `Generator` protocol."""

    multiple_of = 1


def main() -> None:
    """Print one line for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--crf", type=int, default=ConvertOptions().quality)
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
    verification = verify(source, target)
    differing = [check.name for check in verification.checks if check.verdict == "differs"]
    psnr = f"{picture_psnr(source, target):7.1f}" if with_pictures else "      -"
    frames = verification.checks[0]
    return (
        f"{source.name:24}  {frames.expected:>6}/{frames.found:<6}  {len(verification.checks):6}  {psnr}  "
        f"{', '.join(differing) or 'nothing'}"
    )


def picture_psnr(source: Path, target: Path) -> float:
    """Peak signal-to-noise ratio in dB over all frames, in RGB."""
    with VideoReader(source) as old, VideoReader(target) as new:
        squares = [
            np.square(a.pixels.astype(np.float32) - b.pixels).mean() for a, b in zip(old, new, strict=True)
        ]
    return 10 * math.log10(255**2 / max(float(np.mean(squares)), 1e-9))


if __name__ == "__main__":
    main()
