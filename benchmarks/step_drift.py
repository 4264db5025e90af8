"""How far equal steps of the trainer lead away from the plain formulation, over several seeds.

Beside the trainer's steps stand controls, the plain step itself with other rounding: what they part by is
what training makes of rounding, and no error of anybody's. In float64 rounding is too small to grow that
far, so that what is left of a distance would be a difference of the mathematics.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from functools import partial

import torch
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.cyclegan import CycleGanTask
from i2itool.trainer.data import Batch

from benchmarks.plain_cyclegan import PlainCycleGan, copy_weights
from benchmarks.step_speed import PLAIN, Losses, Step, make_plain, make_recipe, random_batch

CPU = torch.device("cpu")
# Distances in percent: of the objective, and of the loss that is farthest away.
Away = tuple[float, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `drift`."""
    parser.add_argument("--px", type=int, default=32)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--looks", nargs="*", type=int, default=[1, 5, 10, 20], help="steps to print besides")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--double", action="store_true", help="in float64 instead of float32 and bfloat16")
    parser.add_argument("--rate", type=float, default=2e-4, help="Adam's, in all")
    parser.add_argument("--eps", type=float, default=1e-8, help="Adam's, in all")
    parser.add_argument("--width", type=int, default=64, help="of the first layers of all networks")
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)


def run(arguments: argparse.Namespace) -> None:
    """Print, step by step, the mean and deviation over the seeds of how far the losses have parted."""
    torch.set_num_threads(arguments.threads)
    looks = {look for look in arguments.looks if look < arguments.steps} | {arguments.steps}
    parted: dict[tuple[int, str], list[Away]] = {}
    for seed in range(arguments.seeds):
        make = make_double if arguments.double else make_single
        config = make_recipe(arguments.px, "fp32", width=arguments.width, blocks=arguments.blocks)
        steps = make(config, seed, {"lr": arguments.rate, "eps": arguments.eps})
        for done in range(1, arguments.steps + 1):
            batch = random_batch(arguments.px, seed=1000 * seed + done)
            losses = {name: step(batch) for name, step in steps.items()}
            for name in losses.keys() - {PLAIN} if done in looks else ():
                parted.setdefault((done, name), []).append(away(losses[name], losses[PLAIN]))
        for (done, name), values in sorted(parted.items()):
            print(f"seed {seed}  step {done:<4} {name:22} {told(values[-1])}", flush=True)
    print(f"away from the plain formulation at {arguments.px} px, in %, of {arguments.seeds} seeds:")
    for (done, name), values in sorted(parted.items()):
        print(f"step {done:<4} {name:22} {spread(values)}")


def make_single(config: TrainConfig, seed: int, adam: dict[str, float]) -> dict[str, Step]:
    """The plain step, the trainer's in its precisions and the controls, all from the same weights."""
    plain, other, nudged = (make_plain(seed, config) for _ in range(3))
    moved(nudged)
    recipes = {kind: config.model_copy(update={"precision": kind}) for kind in ("fp32", "bf16")}
    tasks = {kind: CycleGanTask(recipe, CPU) for kind, recipe in recipes.items()}
    for task in tasks.values():
        copy_weights(plain.networks, task.networks)
    for formulation in (plain, other, nudged, *tasks.values()):
        set_adam(formulation, adam)

    def with_other_kernels(batch: Batch) -> Losses:
        with torch.backends.mkldnn.flags(enabled=False):
            return other.step(batch.a, batch.b)

    return {
        PLAIN: lambda batch: plain.step(batch.a, batch.b),
        **{f"ours {precision}": partial(task.step, progress=0.0) for precision, task in tasks.items()},
        "plain, other kernels": with_other_kernels,
        "plain, last bit": lambda batch: nudged.step(batch.a, batch.b),
    }


def make_double(config: TrainConfig, seed: int, adam: dict[str, float]) -> dict[str, Step]:
    """The plain step, the trainer's and a control, in float64 and from the same weights."""
    plain, nudged = make_plain(seed, config), make_plain(seed, config)
    ours = CycleGanTask(config, CPU)
    copy_weights(plain.networks, ours.networks)
    for formulation in (plain, nudged, ours):
        set_adam(formulation, adam)
    averages = {name: average.network for name, average in ours.averages.items()}
    for networks in (plain.networks, nudged.networks, ours.networks, averages):
        for network in networks.values():
            network.double()
    moved(nudged)
    steps: dict[str, Step] = {
        PLAIN: lambda batch: plain.step(batch.a, batch.b),
        "ours": partial(ours.step, progress=0.0),
        "plain, last bit": lambda batch: nudged.step(batch.a, batch.b),
    }
    return {name: partial(_doubled, step) for name, step in steps.items()}


def _doubled(step: Step, batch: Batch) -> Losses:
    return step(Batch(batch.a.double(), batch.b.double()))


def set_adam(formulation: PlainCycleGan | CycleGanTask, adam: dict[str, float]) -> None:
    """Give both optimisers other settings, by PyTorch's names."""
    for optimiser in formulation.optimisers.values():
        for group in optimiser.param_groups:
            group.update(adam)


def moved(plain: PlainCycleGan) -> None:
    """Move each weight by the last of its bits."""
    with torch.no_grad():
        for weights in (w for network in plain.networks.values() for w in network.parameters()):
            weights.copy_(torch.nextafter(weights, torch.full_like(weights, torch.inf)))


def away(losses: Mapping[str, float], plain: Mapping[str, float]) -> Away:
    """By how many percent losses differ from the plain ones: their objective, and the farthest of them."""
    whole = 100 * abs(objective(losses) / objective(plain) - 1)
    return whole, max(100 * abs(losses[name] / plain[name] - 1) for name in losses)


def objective(losses: Mapping[str, float]) -> float:
    """What the generators minimise."""
    gan, cycle, identity = (losses[f"{kind}_A"] + losses[f"{kind}_B"] for kind in ("G", "cycle", "idt"))
    return gan + 10 * cycle + 5 * identity


def told(distance: Away) -> str:
    """Distances of one seed: the objective (the farthest loss)."""
    return f"{distance[0]:.3g} ({distance[1]:.3g})"


def spread(distances: list[Away]) -> str:
    """Mean and deviation of the objective's distance over seeds; the largest; the farthest single loss."""
    wholes = [whole for whole, _ in distances]
    deviation = statistics.stdev(wholes) if len(wholes) > 1 else 0.0
    farthest = max(single for _, single in distances)
    return f"{statistics.mean(wholes):.3g} +- {deviation:.2g}, at most {max(wholes):.3g} ({farthest:.3g})"
