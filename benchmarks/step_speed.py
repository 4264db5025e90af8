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
# After so many equal steps losses are compared, as far as there are as many.
LOOKS = (1, 5, 10, 20, 50, 100, 200)


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
        print_speed(px, arguments.turns)
    if arguments.drift_steps:
        print_drift(arguments.drift_px, arguments.drift_steps)


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


def print_drift(px: int, count: int) -> None:
    """Print how far equal steps lead away from the plain ones: the objective, and the worst single loss.

    Beside the trainer's steps stand controls, the plain step itself with other rounding: what they part by
    is what training makes of rounding, and no error of anybody's.
    """
    steps = make_steps(px) | make_controls()
    print(f"away from the plain formulation at {px} px, in %: the objective (the loss that is farthest)")
    print("steps  " + "".join(f"{name:>24}" for name in steps if name != PLAIN))
    for index in range(count):
        batch = random_batch(px, seed=index)
        losses = {name: step(batch) for name, step in steps.items()}
        if index + 1 in LOOKS or index + 1 == count:
            parted = [away(values, losses[PLAIN]) for name, values in losses.items() if name != PLAIN]
            print(f"{index + 1:<7}" + "".join(f"{text:>24}" for text in parted), flush=True)


def away(losses: Losses, plain: Losses) -> str:
    """By how many percent losses differ from the plain ones: their objective, then the farthest loss."""
    whole = 100 * abs(objective(losses) / objective(plain) - 1)
    return f"{whole:.4f} ({max(100 * abs(losses[name] / plain[name] - 1) for name in losses):.3f})"


def objective(losses: Losses) -> float:
    """What the generators minimise."""
    gan, cycle, identity = (losses[f"{kind}_A"] + losses[f"{kind}_B"] for kind in ("G", "cycle", "idt"))
    return gan + 10 * cycle + 5 * identity


def make_steps(px: int) -> dict[str, Step]:
    """The plain step and the trainer's in its precisions, all from the same weights."""
    plain = make_plain()
    steps: dict[str, Step] = {PLAIN: lambda batch: plain.step(batch.a, batch.b)}
    for precision in ("fp32", "bf16"):
        task = CycleGanTask(make_recipe(px, precision), torch.device("cpu"))
        copy_weights(plain.networks, task.networks)
        steps[f"ours {precision}"] = partial(task.step, progress=0.0)
    return steps


def make_controls() -> dict[str, Step]:
    """The plain step with other rounding: other kernels; weights that differ in the last of their bits."""
    other, nudged = make_plain(), make_plain()
    with torch.no_grad():
        for weights in (w for network in nudged.networks.values() for w in network.parameters()):
            weights.copy_(torch.nextafter(weights, torch.full_like(weights, torch.inf)))

    def with_other_kernels(batch: Batch) -> Losses:
        with torch.backends.mkldnn.flags(enabled=False):
            return other.step(batch.a, batch.b)

    return {
        "plain, other kernels": with_other_kernels,
        "plain, last bit": lambda batch: nudged.step(batch.a, batch.b),
    }


def make_plain() -> PlainCycleGan:
    """The plain networks, with the same weights each time: those that the trainer begins with."""
    torch.manual_seed(0)
    plain = PlainCycleGan(width=64, blocks=9, critic_width=64)
    copy_weights(CycleGanTask(make_recipe(256, "fp32"), torch.device("cpu")).networks, plain.networks)
    return plain


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
