"""UNIT's domain adaptation on digits: MNIST to MNIST-M, and MNIST to and from optdigits.

MNIST-M is made here as Ganin et al. 2016 made theirs: the absolute difference of a digit and a patch of a
photo. Optdigits stands for USPS, which is not free to share: 1,797 digits of other writers, 8x8 pixels.
Labels of the target are used to score, never to choose; the paper keeps the best step on the test set, so
both are told. A result is written down as soon as its run ends, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from i2itool.trainer.adaptation import adapt, source_classes
from i2itool.trainer.config import make_config
from i2itool.trainer.data import PictureFolder
from i2itool.trainer.initialise import initialise_xavier
from i2itool.trainer.labelled import Examination, LabelledBatch, LabelledData, labels_of
from numpy.typing import NDArray

from i2itool.console import PlainReporter
from i2itool.frames import Pixels
from i2itool.networks.adaptation import SIZE_PX, CoupledCritic32
from i2itool.pictures import list_pictures, read_picture, write_picture

Table = dict[str, Any]  # Any: a line of JSON
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Experiment:
    """source, target: folders of digits.  paper: what the authors report of their nearest experiment."""

    source: str
    target: str
    paper: str


EXPERIMENTS = {
    "mnist-mnistm": Experiment("mnist", "mnistm", "none of UNIT"),
    "mnist-optdigits": Experiment("mnist", "optdigits", "0.9597 (MNIST to USPS)"),
    "optdigits-mnist": Experiment("optdigits", "mnist", "0.9358 (USPS to MNIST)"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `digits`."""
    parser.add_argument("data", type=Path, help="folder with mnist_10k.npz and optdigits_1797_8x8.npz")
    parser.add_argument("photos", type=Path, help="folder of photos, for the patches of MNIST-M")
    parser.add_argument("--results", type=Path, required=True, help="JSON lines, one a run; appended to")
    parser.add_argument("--work", type=Path, required=True, help="folder for the digits and the runs")
    parser.add_argument("--steps", type=int, default=3000, help="of UNIT; a third of it without a target")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=int, default=32, help="of both networks; the authors': 96 and 64")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--names-translated", type=float, default=0.0, help="not in the paper")
    parser.add_argument("--only", choices=EXPERIMENTS, nargs="+", default=list(EXPERIMENTS))
    parser.add_argument("--table", action="store_true", help="only print what there is")


def run(arguments: argparse.Namespace) -> None:
    """Make the digits, train and score what is missing in the results, seed by seed; print the table."""
    torch.set_num_threads(arguments.threads)
    if not arguments.table:
        write_digits(arguments.data, arguments.photos, arguments.work)
    for seed in range(0 if arguments.table else arguments.seeds):
        for name in arguments.only:
            key = {"experiment": name, "seed": seed, "steps": arguments.steps, "width": arguments.width}
            key |= {"names_translated": arguments.names_translated}
            if not any(key.items() <= result.items() for result in read(arguments.results)):
                result = key | train_and_score(arguments, name, seed)
                with arguments.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
    print_table(read(arguments.results))


def read(path: Path) -> list[Table]:
    """The results so far."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_digits(data: Path, photos: Path, work: Path) -> None:
    """Write each set of digits as WORK/NAME/CLASS/NUMBER.png, unless that has been done."""
    mnist, optdigits = (np.load(data / f"{name}.npz") for name in ("mnist_10k", "optdigits_1797_8x8"))
    images, labels = (next(mnist[key] for key in mnist.files if mnist[key].ndim == ndim) for ndim in (3, 1))
    write_set(work / "mnist", images.astype(np.uint8), labels)
    write_set(work / "mnistm", blended(images.astype(np.uint8), list_pictures(photos)), labels)
    images, labels = (
        next(optdigits[key] for key in optdigits.files if optdigits[key].ndim == n) for n in (3, 1)
    )
    large = [
        cv2.resize((image * (255 / 16)).astype(np.float32), (20, 20), interpolation=cv2.INTER_CUBIC)
        for image in images
    ]
    # As in MNIST, a digit fills the middle twenty of twenty-eight pixels.
    framed = np.pad(np.clip(large, 0, 255), ((0, 0), (4, 4), (4, 4))).astype(np.uint8)
    write_set(work / "optdigits", framed, labels)


def blended(digits: NDArray[np.uint8], photos: list[Path]) -> NDArray[np.uint8]:
    """N,28,28 digits to N,28,28,3: the difference of each and a patch of a photo."""
    rng = np.random.default_rng(0)
    pictures = [read_picture(path) for path in photos[:: max(1, len(photos) // 60)]]
    made = []
    for digit in digits:
        picture = pictures[rng.integers(len(pictures))]
        top, left = (int(rng.integers(side - 28)) for side in picture.shape[:2])
        patch = picture[top : top + 28, left : left + 28].astype(int)
        made.append(np.abs(patch - digit[..., None]).astype(np.uint8))
    return np.stack(made)


def write_set(folder: Path, images: NDArray[np.uint8], labels: NDArray[Any]) -> None:
    """Write a set of digits, scaled to 32 pixels by repeating pixels, as the authors do."""
    if (folder / "done").exists():
        return
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / str(int(label)) / f"{index:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colours = np.broadcast_to(image[..., None] if image.ndim == 2 else image, (28, 28, 3)).copy()
        pixels: Pixels = np.empty((SIZE_PX, SIZE_PX, 3), np.uint8)
        cv2.resize(colours, (SIZE_PX, SIZE_PX), dst=pixels, interpolation=cv2.INTER_NEAREST)
        write_picture(path, pixels)
    (folder / "done").touch()


def train_and_score(arguments: argparse.Namespace, name: str, seed: int) -> Table:
    """Shares of the target's digits that are named rightly: by source only, and UNIT's last and best step."""
    experiment = EXPERIMENTS[name]
    folders = (arguments.work / experiment.source, arguments.work / experiment.target)
    began = time.process_time()
    alone = source_only(folders, arguments, seed)
    path = arguments.work / "runs" / f"{name}-{seed}-{arguments.steps}-{arguments.names_translated:g}"
    table: Table = {
        "method": "adapt",
        "name": "digits",
        "domain_a": experiment.source,
        "domain_b": experiment.target,
        "seed": seed,
        "steps": arguments.steps,
        "generator": {"hyper": {"width": arguments.width}},
        "critic": {"width": arguments.width},
        "eval_every": max(1, arguments.steps // 30),
        "checkpoint_every": 200,
        "precision": "bf16" if torch.cpu.get_capabilities().get("avx512_bf16") else "fp32",
        "adapt": {"classes": source_classes(folders[0]), "names_translated": arguments.names_translated},
    }
    _, scores = adapt(make_config({}, table), folders, path, device=CPU, reporter=PlainReporter())
    lines = (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    seen = [line["scores"]["target_accuracy"] for line in map(json.loads, lines) if "scores" in line]
    seconds = time.process_time() - began
    return {
        "source_only": alone,
        "last": scores["target_accuracy"],
        "best": max(seen),
        "processor_seconds": seconds,
    }


def source_only(folders: tuple[Path, Path], arguments: argparse.Namespace, seed: int) -> float:
    """The target's accuracy of the same classifier, taught by the source alone."""
    torch.manual_seed(seed)
    source, target = (PictureFolder(folder, load_px=SIZE_PX) for folder in folders)
    classes = source_classes(folders[0])
    data = LabelledData(
        source, target, 64, SIZE_PX, False, seed, labels=labels_of(source, folders[0], classes)
    )
    critic = CoupledCritic32(width=arguments.width, classes=len(classes))
    initialise_xavier(critic)
    # What the first layer of A has learnt is what pictures of B are shown to.
    critic.first_B = critic.first_A
    adam = torch.optim.Adam(critic.parameters(), 2e-4, (0.5, 0.999), weight_decay=5e-4)
    for batch in data.stream(0, arguments.steps // 3):
        assert isinstance(batch, LabelledBatch)
        adam.zero_grad()
        loss = F.cross_entropy(critic.name(critic.features(batch.a)), batch.labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        adam.step()
    examination = Examination(data, labels_of(target, folders[1], classes))
    scores: dict[str, float] = examination.score(critic.eval(), CPU)
    return scores["target_accuracy"]


def print_table(results: list[Table]) -> None:
    """Mean and deviation over seeds, next to what the authors report."""
    titles = f"{'source only':17}{'UNIT, last step':17}{'best step':17}the authors"
    print(f"{'experiment':18}{'steps':>7}{'seeds':>6}  {titles}")
    groups = {(r["experiment"], r["steps"], r["names_translated"]) for r in results}
    for experiment, steps, weight in sorted(groups):
        found = [
            r
            for r in results
            if (r["experiment"], r["steps"], r["names_translated"]) == (experiment, steps, weight)
        ]
        told = "".join(f"{spread(found, name):17}" for name in ("source_only", "last", "best"))
        extra = f", names of translations {weight:g}" if weight else ""
        print(f"{experiment:18}{steps:7}{len(found):6}  {told}{EXPERIMENTS[experiment].paper}{extra}")


def spread(results: list[Table], name: str) -> str:
    """Mean and deviation of a score."""
    values: list[float] = [result[name] for result in results]
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} +- {deviation:.4f}"
