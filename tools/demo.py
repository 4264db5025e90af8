"""What `make demo` does: convert the sample clip by a shipped preset, train a tiny translator and use it.

Everything lands in demo/; a second run replaces it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import numpy as np

from i2itool.frames import Pixels
from i2itool.pictures import resize_short_side, write_picture
from i2itool.stills import to_8_bits
from i2itool.video.reader import VideoReader

DEMO = Path("demo")
# About a minute on two cores; enough for the dusk to be learnt, not for more.
STEPS = 800
SHORT_SIDE_PX = 96


def main() -> None:
    """Run the whole demonstration."""
    sample = Path(str(resources.files("i2itool.samples"))) / "bigbuckbunny.mp4"
    DEMO.mkdir(exist_ok=True)
    night, trained = DEMO / "bigbuckbunny_day2night.mp4", DEMO / "bigbuckbunny_demo.mp4"

    say("1. Convert the sample clip, with its sound, by the shipped preset")
    i2itool("convert", sample, "--preset", "day2night", "--device", "cpu", "-o", night, "--overwrite")

    say("2. Make two folders of pictures: frames of the first half, and of the second half at dusk")
    count_a, count_b = write_folders(sample, DEMO / "A", DEMO / "B")
    say(f"   {count_a} pictures in {DEMO / 'A'}, {count_b} in {DEMO / 'B'}")

    say("3. Train a tiny translator between them for about a minute")
    started = time.monotonic()
    run = DEMO / "run"
    recipe = ["--steps", STEPS, "--size", 64, "--batch-size", 1, "--lr", 0.001, "--preview-every", 100]
    networks = ["--width", 16, "--blocks", 3, "--upsample", "resize", "--critic-width", 16]
    i2itool("train", DEMO / "A", DEMO / "B", "--name", "demo", "--out", run, "--restart", *recipe, *networks)
    say(f"   trained in {time.monotonic() - started:.0f} s")

    say("4. Convert the clip with what was just trained")
    i2itool("convert", sample, "--preset", run, "--device", "cpu", "-o", trained, "--overwrite")

    say("Done. Look at:")
    for path in (night, trained, run / "previews", run / "preset"):
        say(f"   {path.resolve()}")


def write_folders(clip: Path, folder_a: Path, folder_b: Path) -> tuple[int, int]:
    """Write the clip's first half to A as it is, its second half to B at dusk; returns how many."""
    with VideoReader(clip) as source:
        frames = [resize_short_side(to_8_bits(frame.pixels), SHORT_SIDE_PX) for frame in source]
    half = len(frames) // 2
    for folder, pictures in ((folder_a, frames[:half]), (folder_b, [dusk(frame) for frame in frames[half:]])):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, picture in enumerate(pictures):
            write_picture(folder / f"{number:04d}.png", picture)
    return half, len(frames) - half


def dusk(pixels: Pixels) -> Pixels:
    """Darker and bluer: H,W,3 uint8 RGB in and out."""
    darkened: Pixels = (pixels * np.array([0.45, 0.5, 0.85])).astype(np.uint8)
    return darkened


def i2itool(*arguments: object) -> None:
    """Run a command as a user would, and show it; ends the demonstration if it fails."""
    words = [str(argument) for argument in arguments]
    say(f"   $ i2itool {shlex.join(words)}")
    status = subprocess.run([sys.executable, "-m", "i2itool", *words], check=False).returncode
    if status:
        sys.exit(status)


def say(line: str) -> None:
    """Print at once, in order with what the commands print."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
