"""Batches on a real cluster of Ray on this machine: two workers against one, and workers killed."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from i2itool.networks import build
from i2itool.pictures import write_picture
from i2itool.preset import Network, Preset, write_preset
from i2itool.samples import __file__ as samples
from i2itool.weights import save_weights

CLIP = Path(samples).with_name("bigbuckbunny.mp4")


@dataclass(frozen=True)
class Run:
    """What a run of the command line has told. seconds: by the wall; told: a line of JSON a file."""

    seconds: float
    told: list[dict[str, object]]
    returncode: int
    said: str


def start(*words: str, cores: str | None = None) -> subprocess.Popen[str]:
    """`i2itool convert` with a cluster of its own, on some cores only."""
    pin = ["taskset", "-c", cores] if cores else []
    command = [*pin, sys.executable, "-m", "i2itool", "convert", *words, "--cluster", "local", "--json", "-q"]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[str], began: float) -> Run:
    """Wait for it."""
    out, said = process.communicate()
    return Run(
        time.monotonic() - began, [json.loads(line) for line in out.splitlines()], process.returncode, said
    )


def convert(*words: str, cores: str | None = None) -> Run:
    """Start it, and wait for it."""
    began = time.monotonic()
    return finish(start(*words, cores=cores), began)


def sample_frames() -> list[av.VideoFrame]:
    """Real pictures."""
    with av.open(str(CLIP)) as video:
        return list(video.decode(video=0))


def write_clip(path: Path, frames: Sequence[av.VideoFrame], size: tuple[int, int]) -> None:
    """Encode frames at a size, width and height."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"crf": "16", "preset": "veryfast"})
        assert isinstance(video, VideoStream)
        (video.width, video.height), video.pix_fmt = size, "yuv420p"
        for pts, frame in enumerate(frames):
            picture = frame.reformat(*size, format="yuv420p")
            picture.pts, picture.time_base = pts, Fraction(1, 25)
            output.mux(video.encode(picture))
        output.mux(video.encode(None))


def write_clips(folder: Path, lengths: Sequence[int], size: tuple[int, int]) -> None:
    """Clips of the sample, of so many frames each, from other places of it."""
    folder.mkdir()
    frames = sample_frames()
    for number, length in enumerate(lengths):
        around = [frames[(number * 7 + step) % len(frames)] for step in range(length)]
        write_clip(folder / f"{number:02}.mp4", around, size)


def write_tiny_preset(folder: Path) -> str:
    """A network of random weights that takes hardly any time."""
    folder.mkdir()
    generator = build("resnet", width=8, blocks=2)
    weights = save_weights(folder / "a2b.safetensors", generator.state_dict())
    network = Network(name="resnet", hyper={"width": 8, "blocks": 2})
    write_preset(Preset(name="tiny", summary="random", network=network, a2b=weights), folder)
    return str(folder)


def num_different(folder: Path, other: Path) -> int:
    """How many files of a folder are missing in another, or have other bytes."""
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    return sum(
        not (other / name).is_file() or (folder / name).read_bytes() != (other / name).read_bytes()
        for name in names
    )


def speed(arguments: argparse.Namespace, root: Path) -> None:
    """Short clips by two workers and by one, each worker a core of its own; and what a file costs."""
    write_clips(root / "in", [4 if i % 2 else 16 for i in range(arguments.clips)], (640, 360))
    words = (str(root / "in"), "--preset", arguments.preset)
    # So that no run finds the engine compiled, and another does not.
    convert(str(root / "in/00.mp4"), "-o", str(root / "first.mp4"), "--preset", arguments.preset, cores="0")
    two = convert(*words, "-o", str(root / "two"), "--jobs", "2", cores="0,1")
    one = convert(*words, "-o", str(root / "one"), cores="0")
    assert (one.returncode, two.returncode) == (0, 0), one.said + two.said
    print(
        f"{arguments.clips} clips: one worker {one.seconds:.1f} s, two {two.seconds:.1f} s: "
        f"{one.seconds / two.seconds:.2f} times as fast"
    )
    print(f"different outputs: {num_different(root / 'one', root / 'two')} of {arguments.clips}")


def costs(arguments: argparse.Namespace, root: Path) -> None:
    """What a file costs beside its frames, and what a task costs whoever hands it out."""
    preset = write_tiny_preset(root / "preset")
    words = (str(root / "in"), "--preset", preset)
    write_clips(root / "in", [2 if i % 2 else 22 for i in range(arguments.clips)], (640, 360))
    convert(*words, "-o", str(root / "first"))
    told = convert(*words, "-o", str(root / "out")).told
    short, long = (
        statistics.median(float(str(line["seconds"])) for line in told if line["num_frames"] == n)
        for n in (2, 22)
    )
    frame = (long - short) / 20
    rest = short - 2 * frame
    print(f"640x360, a tiny network: {frame * 1000:.0f} ms a frame, {rest * 1000:.0f} ms a file")
    head(root, preset)


def head(root: Path, preset: str) -> None:
    """What a task costs whoever hands it out: with files that are there already it is nearly all there is."""
    for name in ("many", "done"):
        (root / name).mkdir()
    pixels = np.zeros((8, 8, 3), np.uint8)
    seconds = []
    for count in (100, 2100):
        for name in ("many", "done"):
            for i in range(count):
                write_picture(root / name / f"{i}.png", pixels)
        seconds.append(
            convert(str(root / "many"), "-o", str(root / "done"), "--preset", preset, "--jobs", "2").seconds
        )
    print(f"a task that has nothing to do: {(seconds[1] - seconds[0]) / 2000 * 1000:.2f} ms")


def descendants(process: int) -> Iterator[tuple[int, str]]:
    """Processes below one, with their command lines."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            parents.setdefault(parent, []).append(int(path.name))
    waiting = [process]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            waiting.append(child)
            with suppress(FileNotFoundError, ProcessLookupError):
                yield child, Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def wait_for_work(folder: Path) -> None:
    """Until a worker has begun with a file."""
    while not (folder.is_dir() and any(folder.iterdir())):
        time.sleep(0.05)


def kills(arguments: argparse.Namespace, root: Path) -> None:
    """Two workers, one of which is killed at a random moment; outputs against an undisturbed run."""
    dice = random.Random(arguments.seed)
    # The last one is long enough to be shared.
    write_clips(root / "in", [dice.randint(20, 90) for _ in range(8)] + [1100], (96, 64))
    preset = write_tiny_preset(root / "preset")
    words = (str(root / "in"), "--preset", preset, "--engine", "eager", "--jobs", "2")
    process = start(*words, "-o", str(root / "whole"))
    wait_for_work(root / "whole")
    whole = finish(process, time.monotonic())
    assert whole.returncode == 0, whole.said
    num_same = num_killed = 0
    for number in range(arguments.kills):
        process = start(*words, "-o", str(root / f"out{number}"))
        wait_for_work(root / f"out{number}")
        began = time.monotonic()
        time.sleep(dice.uniform(0, 0.6) * whole.seconds)
        actors = [child for child, line in descendants(process.pid) if line.startswith("ray::Actor")]
        with suppress(ProcessLookupError):
            # On a busy machine all may be done before.
            for actor in dice.sample(actors, min(1, len(actors))):
                os.kill(actor, signal.SIGKILL)
                num_killed += 1
        run = finish(process, began)
        is_same = run.returncode == 0 and num_different(root / "whole", root / f"out{number}") == 0
        num_same += is_same
        retried = ", ".join(line for line in run.said.splitlines() if "WARNING" in line)
        print(
            f"{number:3} {'same' if is_same else 'DIFFERENT'}, {len(run.told)} files: {retried}", flush=True
        )
    print(f"{num_same} of {arguments.kills} complete and identical; {num_killed} workers killed")


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fast = commands.add_parser("speed")
    fast.add_argument("--clips", type=int, default=40)
    fast.add_argument("--preset", default="day2night")
    commands.add_parser("costs").add_argument("--clips", type=int, default=40)
    killing = commands.add_parser("kills")
    killing.add_argument("--kills", type=int, default=10)
    killing.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        {"speed": speed, "costs": costs, "kills": kills}[arguments.command](arguments, Path(name))


if __name__ == "__main__":
    main()
