"""Kill trainings with signal 9 at random moments, resume each, and compare with a run that was left alone."""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from i2itool.trainer.config import TrainConfig, make_config
from i2itool.trainer.data import open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.run import RunFolder

from i2itool.console import SilentReporter
from i2itool.pictures import write_picture

METHODS = ("cyclegan", "unit", "unit2018")
# Forked, since a new interpreter would need longer to start than a run takes.
FORK = multiprocessing.get_context("fork")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `kills`."""
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)


def run(arguments: argparse.Namespace) -> None:
    """Print how many of the killed runs ended with the same bytes; exit with 1 if one did not."""
    torch.set_num_threads(1)
    dice = random.Random(arguments.seed)
    results: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folders = make_folders(root)
        wholes: dict[str, tuple[str, float]] = {}
        for index in range(arguments.kills):
            method = METHODS[index % len(METHODS)]
            config = make_recipe(method, arguments.steps)
            if method not in wholes:
                began = time.monotonic()
                train(config, folders, root / method)
                wholes[method] = (digest(root / method), time.monotonic() - began)
            wanted, seconds = wholes[method]
            folder = root / f"{method}-{index}"
            train(config, folders, folder, kill_after=dice.uniform(0, seconds))
            left = max((path.name for path in folder.glob("checkpoints/*")), default="nothing")
            train(config, folders, folder)
            is_same = digest(folder) == wanted
            results["identical" if is_same else "DIFFERENT"] += 1
            print(
                f"{index:3} {method:9} killed with {left}: {'same' if is_same else 'DIFFERENT'}", flush=True
            )
    print(f"{results['identical']} of {arguments.kills} identical, bit for bit")
    sys.exit(results["identical"] != arguments.kills)


def train(
    config: TrainConfig, folders: tuple[Path, Path], run_path: Path, *, kill_after: float | None = None
) -> None:
    """Train in a process of its own; kill it after so many seconds, or wait for its end."""
    process = FORK.Process(target=fit_quietly, args=(config, folders, run_path))
    process.start()
    process.join(kill_after)
    process.kill()
    process.join()


def fit_quietly(config: TrainConfig, folders: tuple[Path, Path], run_path: Path) -> None:
    """What a process does."""
    data = open_data(folders, config)
    fit(config, data, RunFolder(run_path), device=torch.device("cpu"), reporter=SilentReporter())


def digest(run_path: Path) -> str:
    """SHA-256 over the exported weights and the last checkpoint."""
    files = [*run_path.glob("preset/*.safetensors"), *run_path.glob("checkpoints/*.safetensors")]
    assert len(files) == 4, f"{run_path} is not a finished run"
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def make_recipe(method: str, steps: int) -> TrainConfig:
    """Networks and crops so small that a run takes seconds, with everything random that there is."""
    hyper = {"width": 4, "blocks": 1} | ({"shared_blocks": 1} if method == "unit" else {})
    table = {
        "name": "kills",
        "method": method,
        "domain_a": "a",
        "domain_b": "b",
        "steps": steps,
        "crop_px": 32,
        "load_px": 36,
        "augment": True,
        "generator": {"hyper": hyper},
        "critic": {"width": 4, "depth": 2},
        "pool_size": 3,
        "checkpoint_every": 4,
        "preview_every": 7,
        "log_every": 1,
    }
    return make_config({}, table)


def make_folders(root: Path) -> tuple[Path, Path]:
    """Six pictures of noise in each of two folders."""
    rng = np.random.default_rng(0)
    folders = root / "a", root / "b"
    for folder in folders:
        folder.mkdir()
        for index in range(6):
            write_picture(folder / f"{index}.png", rng.integers(0, 256, (40, 44, 3), dtype=np.uint8))
    return folders
