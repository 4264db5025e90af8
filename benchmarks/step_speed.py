"""How fast a training step is, against a plain formulation of the same mathematics in the same run.

Processor seconds are what counts: those of a clock say more of a shared machine's other guests.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from i2itool.trainer.config import TrainConfig, make_config
from i2itool.trainer.cyclegan import CycleGanTask
from i2itool.trainer.data import Batch

from benchmarks.plain_cyclegan import PlainCycleGan, copy_weights

Losses = dict[str, float]
PLAIN = "plain fp32"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `speed`."""
    parser.add_argument("--sizes", nargs="*", type=int, default=[128, 256])
    parser.add_argument("--turns", type=int, default=5, help="timed steps of each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--drift-steps", type=int, default=50, help="equal steps, for how far losses part")
    parser.add_argument("--drift-px", type=int, default=128)


def run(arguments: argparse.Namespace) -> None:
    """Print medians and ratios, ResNet-9 and critics of width 64, batch 1; then how far the losses part."""
    torch.set_num_threads(arguments.threads)
    if arguments.sizes:
        print("px    what        s a step   times as fast")
    for px in arguments.sizes:
        steps = make_steps(px)
        batch = random_batch(px, seed=0)
        for step in steps.values():
            step(batch)
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(arguments.turns):
            for name, step in steps.items():
                began = time.process_time()
                step(batch)
                seconds[name].append(time.process_time() - began)
        plain = statistics.median(seconds[PLAIN])
        for name, values in seconds.items():
            median = statistics.median(values)
            print(f"{px:<5} {name:11} {median:8.3f} {plain / median:15.2f}", flush=True)
    if arguments.drift_steps:
        print_drift(arguments.drift_px, arguments.drift_steps)


def print_drift(px: int, count: int) -> None:
    """Print how far `count` equal steps lead away from the plain ones: the objective, and each loss."""
    steps = make_steps(px)
    losses: dict[str, Losses] = {}
    for index in range(count):
        batch = random_batch(px, seed=index)
        losses = {name: step(batch) for name, step in steps.items()}
    print(f"after {count} equal steps at {px} px, away from the plain formulation, in %:")
    for name, values in losses.items():
        if name != PLAIN:
            parted = {key: 100 * abs(values[key] / losses[PLAIN][key] - 1) for key in values}
            whole = 100 * abs(objective(values) / objective(losses[PLAIN]) - 1)
            print(f"{name:11} objective {whole:.3f}  " + " ".join(f"{k} {v:.2f}" for k, v in parted.items()))


def objective(losses: Losses) -> float:
    """What the generators minimise."""
    gan, cycle, identity = (losses[f"{kind}_A"] + losses[f"{kind}_B"] for kind in ("G", "cycle", "idt"))
    return gan + 10 * cycle + 5 * identity


def make_steps(px: int) -> dict[str, Callable[[Batch], Losses]]:
    """The plain step and the trainer's in its precisions, all from the same weights."""
    torch.manual_seed(0)
    plain = PlainCycleGan(width=64, blocks=9, critic_width=64)
    steps: dict[str, Callable[[Batch], Losses]] = {PLAIN: lambda batch: plain.step(batch.a, batch.b)}
    for precision in ("fp32", "bf16"):
        task = CycleGanTask(make_recipe(px, precision), torch.device("cpu"))
        if precision == "fp32":
            copy_weights(task.networks, plain.networks)
        copy_weights(plain.networks, task.networks)
        steps[f"ours {precision}"] = partial(task.step, progress=0.0)
    return steps


def make_recipe(px: int, precision: str) -> TrainConfig:
    """CycleGAN as it comes, at `px` pixels."""
    flags = {"name": "speed", "domain_a": "a", "domain_b": "b", "steps": 1000, "crop_px": px}
    return make_config({}, flags | {"precision": precision})


def random_batch(px: int, *, seed: int) -> Batch:
    """A batch of one pair of smooth random pictures; a is dark and b bright."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 1, 3, px // 8, px // 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse.flatten(0, 1), size=(px, px), mode="bilinear")
    return Batch(a=smooth[:1] - 0.9, b=smooth[1:] - 0.1)
