"""UNIT's domain adaptation on digits: MNIST to MNIST-M, and MNIST to and from optdigits.

Labels of the target are used to score, never to choose; the paper keeps the best step on the test set, so
both are told. A result is written down as soon as its run ends, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from i2itool.trainer.adaptation import adapt, source_classes
from i2itool.trainer.config import AdamRecipe, make_config
from i2itool.trainer.data import PictureFolder
from i2itool.trainer.initialise import initialise_xavier
from i2itool.trainer.labelled import Examination, LabelledData, labels_of
from i2itool.trainer.schedule import rate_at
from i2itool.trainer.variation import vary

from benchmarks import results
from benchmarks.digit_sets import write_digits
from benchmarks.results import Line, spread
from i2itool.console import PlainReporter
from i2itool.device import resolve_device
from i2itool.networks.adaptation import SIZE_PX, CoupledCritic32


@dataclass(frozen=True, slots=True)
class Experiment:
    """Folders of digits; whose to show as negatives, too; the nearest figure in the paper."""

    source: str
    target: str
    invert: str
    paper: str
    vary: tuple[str, ...]
    vary_source: tuple[str, ...] = ()


# MNIST-M has digits lighter and darker than what they lie on. The authors show MNIST's negatives, too.
EXPERIMENTS = {
    "mnist-mnistm": Experiment(
        "mnist", "mnistm", "source", "none of UNIT", ("contrast", "warp"), ("difference",)
    ),
    "mnist-optdigits": Experiment(
        "mnist", "optdigits", "neither", "0.9597 (MNIST to USPS)", ("warp", "strokes")
    ),
    "optdigits-mnist": Experiment(
        "optdigits", "mnist", "neither", "0.9358 (USPS to MNIST)", ("warp", "strokes")
    ),
}
# What tells one table from another; the rest of a recipe is the same for all.
SETTINGS = (
    *("steps", "batch_size", "width", "critic_width", "rate", "rise", "names_translated", "ema"),
    *("self_training", "threshold", "views", "vary", "translate_every", "dropout", "balance"),
)
# What the classifiers that learn from names alone heed of them.
SETTINGS_ALONE = ("steps", "batch_size", "critic_width", "rate", "dropout")
KINDS = {
    "source_alone": SETTINGS_ALONE,
    "source_varied": SETTINGS_ALONE,
    "target_named": SETTINGS_ALONE,
    "unit": SETTINGS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `digits`."""
    parser.add_argument("data", type=Path, help="folder with mnist_10k.npz and optdigits_1797_8x8.npz")
    parser.add_argument("photos", type=Path, help="folder of photos, for the patches of MNIST-M")
    parser.add_argument("--results", type=Path, required=True, help="JSON lines, one a run; appended to")
    parser.add_argument("--work", type=Path, required=True, help="folder for the digits and the runs")
    parser.add_argument("--steps", type=int, default=4000, help="the authors': 200000")
    parser.add_argument("--batch-size", type=int, default=8, help="the authors': 64")
    parser.add_argument("--width", type=int, default=12, help="of the VAEs; the authors': 96")
    parser.add_argument("--critic-width", type=int, default=16, help="the authors': 64")
    parser.add_argument("--rate", type=float, default=1e-3, help="the authors': 2e-4")
    parser.add_argument(
        "--rise", type=float, default=0.3, help="share of the run in which the adversarial weight grows"
    )
    parser.add_argument("--names-translated", type=float, default=0.0, help="not in the paper")
    parser.add_argument("--self-training", type=float, default=0.0, help="not in the paper")
    parser.add_argument("--threshold", type=float, default=0.9, help="how sure the average must be for that")
    parser.add_argument("--views", type=int, default=1, help="of whose mean it is, varied unless it is one")
    parser.add_argument("--vary", action="store_true", help="vary what is to be named; not in the paper")
    parser.add_argument("--translate-every", type=int, default=1, help="of how many steps")
    parser.add_argument("--balance", type=float, default=0.1, help="share of that, for even classes")
    parser.add_argument("--dropout", type=float, default=1.0, help="share of the authors'")
    parser.add_argument("--ema", type=float, default=0.99, help="decay of the averaged weights")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=EXPERIMENTS, nargs="+", default=list(EXPERIMENTS))
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--table", action="store_true", help="only print what there is")


def run(arguments: argparse.Namespace) -> None:
    """Make the digits, train and score what is missing in the results, seed by seed; print the table."""
    torch.set_num_threads(arguments.threads)
    if not arguments.table:
        write_digits(arguments.data, arguments.photos, arguments.work)
    for seed in range(0 if arguments.table else arguments.seeds):
        for name in arguments.only:
            for kind in arguments.kinds:
                key = {"experiment": name, "seed": seed, "kind": kind} | settings_of(arguments, KINDS[kind])
                if not results.has(arguments.results, key):
                    measure = train_and_score if kind == "unit" else score_by_names
                    results.append(arguments.results, key | measure(arguments, name, seed, kind))
    print_table(results.read(arguments.results))


def settings_of(arguments: argparse.Namespace, names: tuple[str, ...]) -> Line:
    """What all runs of a line of the table have in common."""
    return {name: getattr(arguments, name) for name in names}


def train_and_score(arguments: argparse.Namespace, name: str, seed: int, kind: str) -> Line:
    """Shares of the target's digits that UNIT's classifier names rightly, last and best."""
    experiment = EXPERIMENTS[name]
    folders = (arguments.work / experiment.source, arguments.work / experiment.target)
    began = time.process_time()
    digest = hashlib.sha256(json.dumps(settings_of(arguments, KINDS[kind])).encode()).hexdigest()[:8]
    path = arguments.work / "runs" / f"{name}-{digest}-{seed}"
    config = make_config({}, recipe(arguments, experiment, folders, seed))
    device = resolve_device(arguments.device)
    _, scores = adapt(config, folders, path, device=device, reporter=PlainReporter())
    lines = (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    seen = [line["scores"]["target_accuracy"] for line in map(json.loads, lines) if "scores" in line]
    return {
        "last": scores["target_accuracy"],
        "best": max(seen),
        "source": scores["source_accuracy"],
        "processor_seconds": time.process_time() - began,
    }


def recipe(
    arguments: argparse.Namespace, experiment: Experiment, folders: tuple[Path, Path], seed: int
) -> Line:
    """The losses and weights of the authors, and the sizes that were asked for."""
    return {
        "method": "adapt",
        "name": "digits",
        "domain_a": experiment.source,
        "domain_b": experiment.target,
        "seed": seed,
        "steps": arguments.steps,
        "batch_size": arguments.batch_size,
        "generator": {"hyper": {"width": arguments.width}},
        "critic": {"width": arguments.critic_width},
        "adam": {"rate": arguments.rate, "constant": 0.5},
        "ema": arguments.ema,
        "log_every": 50,
        "eval_every": max(1, arguments.steps // 10),
        "preview_every": max(1, arguments.steps // 4),
        "checkpoint_every": 100,
        "precision": "bf16",
        "adapt": {
            "classes": source_classes(folders[0]),
            "invert": experiment.invert,
            "adversarial": {"start": 0.0, "end": 1.0, "until": arguments.rise} if arguments.rise else 1.0,
            "names_translated": arguments.names_translated,
            "self_training": {"start": 0.0, "end": arguments.self_training, "until": 0.3},
            "balance": arguments.balance,
            "threshold": arguments.threshold,
            "views": arguments.views,
            "vary": experiment.vary if arguments.vary else (),
            "vary_source": experiment.vary_source if arguments.vary else (),
            "translate_every": arguments.translate_every,
            "dropout": arguments.dropout,
        },
    }


def score_by_names(arguments: argparse.Namespace, name: str, seed: int, kind: str) -> Line:
    """The target's accuracy of the same classifier, taught as long by names alone.

    kind: "source_alone" learns names of the source.  "source_varied" sees the negatives and variations of the
    experiment, too.  "target_named" is also told the names of three quarters of the target, and scored on the
    rest: what a classifier of this size can come to.
    """
    experiment = EXPERIMENTS[name]
    root, target_root = arguments.work / experiment.source, arguments.work / experiment.target
    torch.manual_seed(seed)
    source, target = (PictureFolder(path, load_px=SIZE_PX) for path in (root, target_root))
    classes = source_classes(root)

    def lesson(pictures: PictureFolder, folder: Path, invert: str) -> LabelledData:
        labels, size = labels_of(pictures, folder, classes), arguments.batch_size
        return LabelledData(pictures, target, size, SIZE_PX, False, seed, labels=labels, invert=invert)

    # With how the pictures of each are varied.
    lessons = [(lesson(source, root, experiment.invert), experiment.vary_source + experiment.vary)]
    if kind == "source_alone":
        lessons = [(lesson(source, root, "neither"), ())]
    elif kind == "target_named":
        named = PictureFolder(target_root, load_px=SIZE_PX)
        target.paths, named.paths = target.paths[::4], [p for i, p in enumerate(named.paths) if i % 4]
        lessons.append((lesson(named, target_root, "neither"), experiment.vary))
    critic = CoupledCritic32(width=arguments.critic_width, classes=len(classes), dropout=arguments.dropout)
    initialise_xavier(critic)
    # What the first layer of A has learnt is what pictures of B are shown to.
    critic.first_B = critic.first_A
    device = resolve_device(arguments.device)
    critic.to(device)
    rates = AdamRecipe(rate=arguments.rate, constant=0.5)
    adam = torch.optim.Adam(critic.parameters(), arguments.rate, (0.5, 0.999), weight_decay=5e-4)
    for step in range(arguments.steps):
        for group in adam.param_groups:
            group["lr"] = rate_at(rates, step, arguments.steps)
        batches = [(data.batch(step), how) for data, how in lessons]
        pictures = [vary(batch.a.to(device), how) for batch, how in batches]
        labels = torch.cat([batch.labels for batch, _ in batches]).to(device)
        adam.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            logits = critic.name(critic.features(torch.cat(pictures)))
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        adam.step()
    examination = Examination(lessons[0][0], labels_of(target, target_root, classes))
    scores: dict[str, float] = examination.score(critic.eval(), device)
    return {"last": scores["target_accuracy"]}


def print_table(lines: list[Line]) -> None:
    """Mean and deviation over seeds, next to what the authors report."""
    titles = "".join(
        f"{name:18}" for name in ("source alone", "source varied", "target named", "last", "best")
    )
    print(f"{'experiment':18}{'seeds':>5}  {titles}{'seconds':>7}  the authors")
    # What was measured before a setting came to be is left out.
    unit = [line for line in lines if line["kind"] == "unit" and line.keys() >= set(SETTINGS)]
    for experiment, *settings in sorted(
        {(line["experiment"], *(line[k] for k in SETTINGS)) for line in unit}
    ):
        key = {"experiment": experiment} | dict(zip(SETTINGS, settings, strict=True))
        found = [line for line in unit if key.items() <= line.items()]
        alone = {"experiment": experiment} | {name: key[name] for name in SETTINGS_ALONE}
        told = "".join(f"{told_of(lines, alone | {'kind': kind}):18}" for kind in KINDS if kind != "unit")
        told += "".join(f"{spread(found, name):18}" for name in ("last", "best"))
        seconds = sum(line["processor_seconds"] for line in found) / len(found)
        print(f"{experiment:18}{len(found):5}  {told}{seconds:7.0f}  {EXPERIMENTS[experiment].paper}")
        print(f"{'':25}{', '.join(f'{name} {key[name]:g}' for name in SETTINGS)}")


def told_of(lines: list[Line], key: Line) -> str:
    """Mean and deviation of the last scores of the runs of a kind; nothing of none."""
    found = [line for line in lines if key.items() <= line.items()]
    return spread(found, "last") if found else ""
