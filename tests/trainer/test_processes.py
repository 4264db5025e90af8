"""Several processes under torchrun: one training, as exact and as resumable as in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from i2itool.trainer.checkpoint import list_checkpoints, load_checkpoint
from i2itool.trainer.data import PictureFolder, UnpairedData
from torch import Tensor

needs_fabric = pytest.mark.skipif(
    find_spec("lightning_fabric") is None, reason="needs lightning-fabric (the extra 'distributed')"
)
TINY = [
    *("--size", "32", "--load-size", "36", "--width", "4", "--blocks", "1", "--critic-width", "4"),
    *("--critic-depth", "2", "--precision", "fp32", "--checkpoint-every", "1", "-q", "--lr", "1e-4"),
]


def train(
    folders: tuple[Path, Path], run: Path, *extra: str, count: int = 1
) -> subprocess.CompletedProcess[str]:
    """`i2itool train` in `count` processes, as a user would start it."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command = [sys.executable, *(torchrun if count > 1 else ()), "-m", "i2itool", "train"]
    return subprocess.run(
        [*command, *map(str, folders), "--name", "x", "--out", str(run), *TINY, *extra],
        capture_output=True, text=True, timeout=150, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def moments(run: Path) -> list[Tensor]:
    """Adam's first moments after one step, which are half of the gradients."""
    state = load_checkpoint(list_checkpoints(run / "checkpoints")[-1])
    optimisers = state["task"]["optimisers"].values()
    return [values["exp_avg"] for optimiser in optimisers for values in optimiser["state"].values()]


def test_processes_share_out_the_batch_of_one(folders: tuple[Path, Path]) -> None:
    a, b = (PictureFolder(folder, load_px=36) for folder in folders)
    whole = UnpairedData(a, b, 2, 32, True, 0)
    parts = [UnpairedData(a, b, 1, 32, True, 0, rank, 2) for rank in (0, 1)]
    for step in range(4):
        batch = whole.batch(step)
        assert torch.equal(batch.a, torch.cat([part.batch(step).a for part in parts]))
        assert torch.equal(batch.b, torch.cat([part.batch(step).b for part in parts]))


@needs_fabric
def test_two_processes_have_the_gradients_of_one_with_twice_the_batch_and_resume(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    alone = train(folders, one, "--steps", "1", "--batch-size", "2")
    assert alone.returncode == 0, alone.stderr
    both = train(folders, two, "--steps", "1", "--batch-size", "1", count=2)
    assert both.returncode == 0, both.stderr
    assert both.stdout.count("wrote") == 1
    pairs = list(zip(moments(one), moments(two), strict=True))
    assert len(pairs) > 20
    for of_one, of_two in pairs:
        torch.testing.assert_close(of_two, of_one, rtol=0, atol=1e-6)

    # The same command with more steps goes on, and one process cannot take over.
    longer = train(folders, two, "--steps", "3", "--batch-size", "1", count=2)
    assert longer.returncode == 0, longer.stderr
    steps = [json.loads(line)["step"] for line in (two / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))
    assert steps[-1] == 3
    pools = load_checkpoint(list_checkpoints(two / "checkpoints")[-1])["task"]["pools"]
    assert {name: len(pictures) for name, pictures in pools.items()} == {"D_A": 6, "D_B": 6}
    refused = train(folders, two, "--steps", "4", "--batch-size", "1")
    assert refused.returncode == 7
    assert "processes 2 -> 1" in refused.stderr
