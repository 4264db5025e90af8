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
Step = Callable[[Batch], Losses]
PLAIN = "plain fp32"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `speed`."""
    parser.add_argument("--sizes", nargs="*", type=int, default=[128, 256])
    parser.add_argument("--turns", type=int, default=5, help="timed steps of each")
    parser.add_argument("--threads", type=int, default=1)


def run(arguments: argparse.Namespace) -> None:
    """Print medians and ratios, ResNet-9 and critics of width 64, batch 1."""
    torch.set_num_threads(arguments.threads)
    print("px    what        s a step   times as fast")
    for px in arguments.sizes:
        print_speed(px, arguments.turns)


def print_speed(px: int, turns: int) -> None:
    """Print the median seconds of a step of each kind, by turns, and how they compare with the plain one."""
    steps, batch = make_steps(px), random_batch(px, seed=0)
    for step in steps.values():
        step(batch)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            began = time.process_time()
            step(batch)
            seconds[name].append(time.process_time() - began)
    plain = statistics.median(seconds[PLAIN])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{px:<5} {name:11} {median:8.3f} {plain / median:15.2f}", flush=True)


def make_steps(px: int) -> dict[str, Step]:
    """The plain step and the trainer's in its precisions, all from the same weights."""
    plain = make_plain(0, make_recipe(px, "fp32"))
    steps: dict[str, Step] = {PLAIN: lambda batch: plain.step(batch.a, batch.b)}
    for precision in ("fp32", "bf16"):
        task = CycleGanTask(make_recipe(px, precision), torch.device("cpu"))
        copy_weights(plain.networks, task.networks)
        steps[f"ours {precision}"] = partial(task.step, progress=0.0)
    return steps


def make_plain(seed: int, config: TrainConfig) -> PlainCycleGan:
    """The plain networks, with the same weights for the same seed: those that the trainer begins with."""
    torch.manual_seed(seed)
    plain = PlainCycleGan(**config.generator.hyper, critic_width=config.critic.width)
    copy_weights(CycleGanTask(config, torch.device("cpu")).networks, plain.networks)
    return plain


def make_recipe(px: int, precision: str, *, width: int = 64, blocks: int = 9) -> TrainConfig:
    """CycleGAN as it comes, at `px` pixels."""
    flags = {"name": "speed", "domain_a": "a", "domain_b": "b", "steps": 1000, "crop_px": px}
    networks = {"generator": {"hyper": {"width": width, "blocks": blocks}}, "critic": {"width": width}}
    return make_config({}, flags | networks | {"precision": precision})


def random_batch(px: int, *, seed: int) -> Batch:
    """A batch of one pair of smooth random pictures; a is dark and b bright."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 1, 3, px // 8, px // 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse.flatten(0, 1), size=(px, px), mode="bilinear")
    return Batch(a=smooth[:1] - 0.9, b=smooth[1:] - 0.1)
