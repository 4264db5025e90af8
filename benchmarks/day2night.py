"""What the recipe of `day2night` owes to its generator and to each of its parts, at an equal number of steps.

    python -m benchmarks.day2night TRAIN HELD_OUT CAMERAS --features mobilenet_v2.pth --work FOLDER

TRAIN holds trainA and trainB, HELD_OUT and CAMERAS testA and testB; the names of CAMERAS' pictures begin with
the camera's. Each variant is the recipe with one thing changed, and all are shorter and have a generator of
width 48. KID is that of HELD_OUT, PSNR that of CAMERAS, to the camera's own B. A result is written to
FOLDER/results.jsonl as soon as its run ends, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from i2itool.trainer.config import TrainConfig, make_config, read_train_toml
from i2itool.trainer.data import open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.run import RunFolder

from benchmarks import results
from benchmarks.changed_batches import as_drawn, drawn_by, jittered_a, larger_late
from benchmarks.preset_scores import judges_of, medians, paired_psnr, read_pictures, translations
from i2itool.console import PlainReporter
from i2itool.metrics.kid import kernel_distance
from i2itool.networks import build
from i2itool.translator import Translator

Table = dict[str, Any]  # Any: a part of a recipe


def light(factor: int, width: int, blocks: int, **others: bool) -> Table:
    """A recipe's table of a light generator."""
    return {"name": "light", "hyper": {"factor": factor, "width": width, "blocks": blocks, **others}}


def resnet(width: int) -> Table:
    """A recipe's table of a ResNet-6 without checkerboards."""
    return {"name": "resnet", "hyper": {"width": width, "blocks": 6, "upsample": "resize"}}


# The preset's own is narrower, and was chosen last.
COMMON: Table = {"generator": light(4, 48, 6, gain=True)}
# What stands in each instead of the recipe's own.
VARIANTS: dict[str, Table] = {
    "light, factor 4, width 32, 6 blocks": {"generator": light(4, 32, 6, gain=True)},
    "light, factor 4, width 48, 6 blocks": {},
    "light, factor 4, width 48, 6 blocks, sum alone": {"generator": light(4, 48, 6)},
    "light, factor 4, width 64, 4 blocks": {"generator": light(4, 64, 4, gain=True)},
    "light, factor 4, width 64, 6 blocks": {"generator": light(4, 64, 6, gain=True)},
    "light, factor 8, width 64, 6 blocks": {"generator": light(8, 64, 6, gain=True)},
    "light, factor 8, width 128, 4 blocks": {"generator": light(8, 128, 4, gain=True)},
    "light, factor 8, width 128, 6 blocks": {"generator": light(8, 128, 6, gain=True)},
    "resnet, width 16, 6 blocks": {"generator": resnet(16)},
    "resnet, width 32, 6 blocks": {"generator": resnet(32)},
    "seed 1": {"seed": 1},
    "seed 2": {"seed": 2},
    "critics without features": {"critic": {"width": 32, "depth": 3}},
    "differentiable augmentation": {"augment": True},
    "cycle 10 throughout": {"cyclegan": {"cycle": 10, "identity": 0}},
    "identity 0.5 falling to 0": {
        "cyclegan": {"cycle": {"start": 5, "end": 2}, "identity": {"start": 0.5, "end": 0, "until": 0.5}}
    },
    "rate 2e-4": {"adam": {"rate": 2e-4, "constant": 0.5}},
    "colour jitter on A alone": {},
    # The pool mixes pictures of all steps, and so wants them of one size.
    "larger crops late, no pool": {"pool_size": 0},
    "no pool": {"pool_size": 0},
}
WAYS = {"colour jitter on A alone": jittered_a, "larger crops late, no pool": larger_late}
RECIPE = Path(__file__).parents[1] / "presets" / "day2night" / "train.toml"
# What the network sees of a video of 16:9.
FRAME = (256, 456)
TIMED_FRAMES = 11


def main() -> None:
    """Train and score what is missing; print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("train", "held_out", "cameras"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--second-features", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--only", choices=VARIANTS, nargs="+", default=list(VARIANTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    written = arguments.work / "results.jsonl"
    for name in arguments.only:
        key = {"variant": name, "steps": arguments.steps}
        if not results.has(written, key):
            folder = arguments.work / f"{results.slug(name)}-{arguments.steps}"
            results.append(written, key | train_and_score(arguments, name, folder))
    lines = [line(found) for found in results.read(written) if found["steps"] == arguments.steps]
    print("| variant | KID | by the second judge | PSNR, dB | CPU ms a frame | CPU s a step |")
    print("|---|---|---|---|---|---|", *lines, sep="\n")


def train_and_score(arguments: argparse.Namespace, name: str, folder: Path) -> results.Line:
    """KID by each judge, PSNR, and processor seconds of a step; of a frame in milliseconds."""
    config = make_recipe(name, arguments.features, arguments.steps)
    data = open_data((arguments.train / "trainA", arguments.train / "trainB"), config)
    began = time.process_time()
    data = drawn_by(data, WAYS.get(name, as_drawn), arguments.steps)
    fit(config, data, RunFolder(folder), device=torch.device("cpu"), reporter=PlainReporter())
    seconds = (time.process_time() - began) / arguments.steps
    preset = str(folder)
    a, b = (read_pictures(arguments.held_out / side) for side in ("testA", "testB"))
    fakes = list(translations(preset, "a2b", "auto", a.values()))
    judges = judges_of(arguments.features, arguments.second_features)
    distances = [kernel_distance(judge(fakes), judge(b.values())) for judge in judges]
    seen, truth = (read_pictures(arguments.cameras / side) for side in ("testA", "testB"))
    of_cameras = translations(preset, "a2b", "auto", seen.values())
    return {
        "kid": [(distance.mean, distance.deviation) for distance in distances],
        "psnr": paired_psnr(seen, of_cameras, medians(truth)),
        "frame_ms": milliseconds(config),
        "step_s": seconds,
    }


def make_recipe(name: str, features: Path, steps: int) -> TrainConfig:
    """The recipe of the preset `day2night` with what a variant changes."""
    table = read_train_toml(RECIPE) | COMMON | VARIANTS[name]
    del table["features"], table["eval_every"], table["metric"]
    if "features" in table["critic"]:
        table["critic"]["features"] = str(features)
    # Averaged over a hundred steps: a thousand would hold too much of the start of so short a run.
    return make_config(table, {"name": "variant", "steps": steps, "ema": 0.99})


def milliseconds(config: TrainConfig) -> float:
    """Processor time of the network alone, with fresh weights: they do not change it."""
    network = build(config.generator.name, **config.generator.hyper).eval()
    frame = np.random.default_rng(0).integers(0, 256, (1, *FRAME, 3), np.uint8)
    with Translator(network) as translator:
        translator.translate(frame)
        taken = []
        for _ in range(TIMED_FRAMES):
            began = time.process_time()
            translator.translate(frame)
            taken.append(time.process_time() - began)
    return 1000 * statistics.median(taken)


def line(found: results.Line) -> str:
    """A line of the table."""
    distances = [f"{mean:.3f} +- {deviation:.3f}" for mean, deviation in found["kid"]] + [""]
    return (
        f"| {found['variant']} | {distances[0]} | {distances[1]} | {found['psnr']:.2f} "
        f"| {found['frame_ms']:.0f} | {found['step_s']:.2f} |"
    )


if __name__ == "__main__":
    main()
