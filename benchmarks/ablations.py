"""What CycleGAN, UNIT and UNIT without its parts reach with the same number of steps and small networks.

Scores are those of test pairs that no training saw, next to doing nothing. A result is written down as soon
as its run ends, and a run that was stopped goes on: the same command, however often.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from i2itool.trainer.config import TrainConfig, make_config
from i2itool.trainer.data import Batch, open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.processes import OneProcess
from i2itool.trainer.run import RunFolder
from i2itool.trainer.tasks import make_task

from benchmarks import results
from benchmarks.results import Line, spread
from i2itool.console import PlainReporter, SilentReporter
from i2itool.evaluation import PairedScores, evaluate
from i2itool.metrics.paired import map_accuracy, psnr, ssim
from i2itool.pictures import list_pictures, read_picture
from i2itool.preset import read_preset
from i2itool.translator import Translator
from i2itool.weights import load_network

Table = dict[str, Any]  # Any: a part of a recipe
PX = 64
PROBE_STEPS = 15
UNIT: Table = {
    "method": "unit",
    "generator": {"hyper": {"width": 16, "blocks": 2, "shared_blocks": 1}},
    "critic": {"depth": 4},
}


def hyper(shared: int) -> Table:
    """UNIT's sizes with so many shared blocks on each side: three blocks in all, or four, all shared."""
    return {"width": 16, "blocks": max(0, 3 - shared), "shared_blocks": shared}


def likelihood(weight: float) -> Table:
    """UNIT's weights of pictures coming back as they were: the authors' is 100."""
    return {"likelihood": weight, "likelihood_cycle": weight}


# Each differs from UNIT in one thing; untied blocks stand where the shared ones were.
VARIANTS: dict[str, Table] = {
    "cyclegan": {"method": "cyclegan", "generator": {"hyper": {"width": 16, "blocks": 6}}},
    "unit": UNIT,
    "unit, nothing shared": UNIT | {"generator": {"hyper": {"width": 16, "blocks": 3, "shared_blocks": 0}}},
    "unit, no cycle": UNIT | {"unit": {"kl_cycle": 0, "likelihood_cycle": 0}},
    **{f"unit, critic depth {depth}": UNIT | {"critic": {"depth": depth}} for depth in (3, 5, 6)},
    **{f"unit, {shared} shared": UNIT | {"generator": {"hyper": hyper(shared)}} for shared in (2, 3, 4)},
    **{f"unit, likelihood {weight}": UNIT | {"unit": likelihood(weight)} for weight in (10, 1000)},
    "unit2018": {"method": "unit2018", "generator": {"hyper": {"width": 16, "blocks": 2}}},
}
METHODS = ["cyclegan", "unit", "unit2018"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `quality`."""
    parser.add_argument("data", type=Path, help="folder with trainA, trainB, testA and testB")
    parser.add_argument("--results", type=Path, required=True, help="JSON lines, one a run; appended to")
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--steps", type=int, default=1500, help="budget of each run")
    parser.add_argument("--minutes", type=float, help="budget instead, by steps that a probe finds to fit")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=VARIANTS, nargs="+", default=list(VARIANTS))
    parser.add_argument("--table", action="store_true", help="only print what there is")


def run(arguments: argparse.Namespace) -> None:
    """Train and score what is missing in the results, seed by seed; print the table."""
    torch.set_num_threads(arguments.threads)
    logging.basicConfig(level=logging.WARNING)
    for seed in range(0 if arguments.table else arguments.seeds):
        for variant in arguments.only:
            key = {"variant": variant, "seed": seed, **budget(arguments)}
            if not results.has(arguments.results, key):
                steps = arguments.steps if arguments.minutes is None else steps_of(arguments, variant)
                scores, seconds = train_and_score(arguments, variant, seed, steps)
                line = {"steps": steps} | key | asdict(scores) | {"processor_seconds": seconds}
                results.append(arguments.results, line)
    print_table(
        [line for line in results.read(arguments.results) if budget(arguments).items() <= line.items()]
    )
    print(
        "one colour for all             " + "".join(f"{score:<16.3f}" for score in one_colour(arguments.data))
    )


def one_colour(data: Path) -> tuple[float, float, float]:
    """PSNR, map accuracy and SSIM of the mean colour of trainB everywhere: what anybody has for nothing."""
    pictures = [read_picture(path) for path in list_pictures(data / "trainB")]
    colour = np.mean([picture.mean((0, 1)) for picture in pictures], axis=0).round().astype(np.uint8)
    truths = [read_picture(path) for path in list_pictures(data / "testB")]
    flat = [np.broadcast_to(colour, truth.shape) for truth in truths]
    pairs = list(zip(flat, truths, strict=True))
    psnrs, accuracies, likenesses = ([score(*pair) for pair in pairs] for score in (psnr, map_accuracy, ssim))
    return float(np.mean(psnrs)), float(np.mean(accuracies)), float(np.mean(likenesses))


def budget(arguments: argparse.Namespace) -> Table:
    """What all runs of a table have in common."""
    if arguments.minutes is None:
        return {"steps": arguments.steps}
    return {"minutes": arguments.minutes}


def steps_of(arguments: argparse.Namespace, variant: str) -> int:
    """How many steps fit into the minutes; found once for all seeds, so that these are of one length."""
    for line in results.read(arguments.results):
        if line["variant"] == variant and line.get("minutes") == arguments.minutes:
            return int(line["steps"])
    return max(1, int(60 * arguments.minutes / seconds_of_a_step(make_recipe(variant, 0, 1))))


def seconds_of_a_step(config: TrainConfig) -> float:
    """Median of some, in processor seconds: of one thread they are seconds of a machine that is idle else."""
    task = make_task(config, torch.device("cpu"), OneProcess())
    batch = Batch(*(torch.rand(2, 1, 3, PX, PX) * 2 - 1))
    seconds = []
    for _ in range(PROBE_STEPS):
        began = time.process_time()
        task.step(batch, progress=0.0)
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def train_and_score(
    arguments: argparse.Namespace, variant: str, seed: int, steps: int
) -> tuple[PairedScores, float]:
    """Scores of A to B on the test pairs, and the processor time that this process spent on training."""
    config = make_recipe(variant, seed, steps)
    data = open_data((arguments.data / "trainA", arguments.data / "trainB"), config)
    folder = RunFolder(arguments.work / results.slug(f"{variant}-{seed}"))
    began = time.process_time()
    fit(config, data, folder, device=torch.device("cpu"), reporter=PlainReporter())
    seconds = time.process_time() - began
    preset = read_preset(folder.preset)
    with Translator(load_network(preset, "a2b"), engine="eager") as translator:
        scores = evaluate(
            translator,
            arguments.data / "testA",
            arguments.data / "testB",
            features=None,
            size_px=None,
            limit=None,
            reporter=SilentReporter(),
        )
    assert scores.paired is not None, "the test folders hold pairs of one name"
    return scores.paired, seconds


def make_recipe(variant: str, seed: int, steps: int) -> TrainConfig:
    """The weights of the papers, narrow networks, one rate for all; in fp32, which every machine has."""
    common: Table = {
        "name": "quality",
        "domain_a": "satellite",
        "domain_b": "relief",
        "seed": seed,
        "steps": steps,
        "crop_px": PX,
        "load_px": PX,
        "flip": False,  # the light of a relief comes from one side
        "critic": {"width": 16},
        "adam": {"rate": 4e-4, "constant": 0.5},
        "ema": 0.99,
        "log_every": 50,
        "preview_every": 500,
        "checkpoint_every": 250,
    }
    return make_config(common, VARIANTS[variant])


def print_table(lines: list[Line]) -> None:
    """Mean and deviation over seeds of each variant."""
    print("variant                 seeds  PSNR, dB       map accuracy    SSIM            processor s")
    for variant in VARIANTS:
        found = [line for line in lines if line["variant"] == variant]
        if found:
            scores = [spread(found, name) for name in ("psnr", "map_accuracy", "ssim")]
            seconds = statistics.mean(line["processor_seconds"] for line in found)
            print(f"{variant:22} {len(found):6}  {scores[0]:14} {scores[1]:15} {scores[2]:15} {seconds:8.0f}")
    for line in lines[:1]:
        nothing = [line[f"identity_{name}"] for name in ("psnr", "map_accuracy", "ssim")]
        print("doing nothing                  " + "".join(f"{value:<16.3f}" for value in nothing))
