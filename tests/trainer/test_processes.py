"""Several processes under torchrun: one training, as exact and as resumable as in one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from i2itool.trainer.checkpoint import load_checkpoint
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.cyclegan import CycleGanTask
from i2itool.trainer.data import Batch, PictureFolder, UnpairedData, open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.run import RunFolder
from safetensors.torch import load_file

from i2itool.cli import main
from i2itool.console import SilentReporter
from i2itool.errors import TrainingError

CPU = torch.device("cpu")

# What each of two processes does: a step in double precision, in which what is left of a difference is no
# rounding; a whole run; and that run again, as if it had been killed in its third step.
SCRIPT = """
import shutil
import sys
from pathlib import Path

import torch
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.data import Batch, open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.processes import open_processes
from i2itool.trainer.run import RunFolder
from i2itool.trainer.tasks import make_task
from safetensors.torch import save_file

from i2itool.console import SilentReporter

config = TrainConfig.model_validate_json(sys.argv[1])
here, *folders = map(Path, sys.argv[2:])
processes, device = open_processes(torch.device("cpu"))

torch.manual_seed(0)
task = make_task(config, device, processes)
for network in (*task.networks.values(), *(average.network for average in task.averages.values())):
    network.double()
a, b = torch.rand(2, 2, 3, 32, 32, dtype=torch.float64) * 2 - 1
mine = slice(processes.rank, processes.rank + 1)
task.step(Batch(a[mine], b[mine]), progress=0)
if processes.rank == 0:
    gradients = {
        f"{name}.{key}": parameter.grad.contiguous()
        for name, network in task.networks.items()
        for key, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    save_file(gradients, here / "gradients.safetensors")

data = open_data(tuple(folders), config, rank=processes.rank)
for name in ("whole", "parted"):
    fit(config, data, RunFolder(here / name), device=device, reporter=SilentReporter(), processes=processes)
    if name == "whole" and processes.rank == 0:
        shutil.copytree(here / "whole", here / "parted")
        (here / "parted/checkpoints/step-00000003.safetensors").unlink()
    processes.wait()
"""


def make_config(
    make_tiny_config: Callable[..., TrainConfig], *, batch_size: int, processes: int
) -> TrainConfig:
    return make_tiny_config(
        "cyclegan", batch_size=batch_size, processes=processes, steps=3, checkpoint_every=1, pool_size=9
    )


@pytest.fixture
def two(folders: tuple[Path, Path], make_tiny_config: Callable[..., TrainConfig], tmp_path: Path) -> Path:
    """What two processes with a batch of 1 each have written."""
    if find_spec("lightning_fabric") is None:
        pytest.skip("needs lightning-fabric (the extra 'distributed')")
    (tmp_path / "script.py").write_text(SCRIPT)
    config = make_config(make_tiny_config, batch_size=1, processes=2).model_dump_json()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [*torchrun, str(tmp_path / "script.py"), config, *map(str, (tmp_path, *folders))],
        capture_output=True, text=True, timeout=250, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return tmp_path


def test_processes_share_out_the_batch_of_one(folders: tuple[Path, Path]) -> None:
    a, b = (PictureFolder(folder, load_px=36) for folder in folders)
    whole = UnpairedData(a, b, 2, 32, True, 0)
    parts = [UnpairedData(a, b, 1, 32, True, 0, rank, 2) for rank in (0, 1)]
    for step in range(4):
        batch = whole.batch(step)
        assert torch.equal(batch.a, torch.cat([part.batch(step).a for part in parts]))
        assert torch.equal(batch.b, torch.cat([part.batch(step).b for part in parts]))


def test_two_processes_train_as_one_with_twice_the_batch_and_resume_to_the_same_bytes(
    two: Path, folders: tuple[Path, Path], make_tiny_config: Callable[..., TrainConfig]
) -> None:
    config = make_config(make_tiny_config, batch_size=2, processes=1)
    torch.manual_seed(0)
    task = CycleGanTask(config, CPU)
    for network in (*task.networks.values(), *(average.network for average in task.averages.values())):
        network.double()
    task.step(Batch(*(torch.rand(2, 2, 3, 32, 32, dtype=torch.float64) * 2 - 1)), progress=0)
    gradients = load_file(two / "gradients.safetensors")
    assert len(gradients) > 30
    assert max(float(gradient.abs().max()) for gradient in gradients.values()) > 0.01
    for name, gradient in gradients.items():
        network, _, key = name.partition(".")
        expected = task.networks[network].get_parameter(key).grad
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-6, msg=name)

    last = "checkpoints/step-00000003.safetensors"
    assert (two / "parted" / last).read_bytes() == (two / "whole" / last).read_bytes()
    steps = [json.loads(line)["step"] for line in (two / "parted/metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]
    pools = load_checkpoint(two / "parted" / last)["task"]["pools"]
    assert {name: len(pictures) for name, pictures in pools.items()} == {"D_A": 6, "D_B": 6}

    # Another number of processes would take other pictures.
    alone = make_config(make_tiny_config, batch_size=1, processes=1)
    data, run = open_data(folders, alone), RunFolder(two / "whole")
    with pytest.raises(TrainingError, match="processes 2 -> 1"):
        fit(alone, data, run, device=CPU, reporter=SilentReporter())


# The command, as docs/training.md has it for several machines: here both are this one.
MACHINE = "-m torch.distributed.run --nnodes 2 --nproc-per-node 1 --master-addr 127.0.0.1"
TINY = (
    "--steps 2 --size 32 --load-size 36 --width 4 --blocks 1 --critic-width 4 --critic-depth 2 --pool-size 2"
    " --precision fp32 --checkpoint-every 1 --preview-every 2 --quiet"
)


def train_on(rank: int, port: int, folders: tuple[Path, Path], run: Path) -> subprocess.Popen[str]:
    """What one of two machines is told to do."""
    here = [*MACHINE.split(), "--master-port", str(port), "--node-rank", str(rank)]
    what = ["-m", "i2itool", "train", *map(str, folders), "--name", "tiny", "--out", str(run), *TINY.split()]
    return subprocess.Popen(
        [sys.executable, *here, *what],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_machines_train_one_preset_and_one_alone_does_not_go_on_with_it(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    if find_spec("lightning_fabric") is None:
        pytest.skip("needs lightning-fabric (the extra 'distributed')")
    run = tmp_path / "run"
    for _ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        machines = [train_on(rank, port, folders, run) for rank in (0, 1)]
        said = [machine.communicate(timeout=250)[1] for machine in machines]
        # Somebody else may have taken the port meanwhile.
        if not any("EADDRINUSE" in text for text in said):
            break
    assert [machine.returncode for machine in machines] == [0, 0], said
    assert (run / "preset/preset.toml").is_file()
    state = load_checkpoint(run / "checkpoints/step-00000002.safetensors")
    assert {name: len(pictures) for name, pictures in state["task"]["pools"].items()} == {"D_A": 4, "D_B": 4}

    before = contents(run)
    words = ["train", *map(str, folders), "--name", "tiny", "--out", str(run), *TINY.split()]
    alone = CliRunner().invoke(main, [*words, "--steps", "3"])
    assert alone.exit_code == 7
    assert "processes 2 -> 1" in alone.stderr
    assert contents(run) == before


def test_a_run_of_one_process_is_not_gone_on_with_by_two(
    folders: tuple[Path, Path], make_tiny_config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    alone = make_config(make_tiny_config, batch_size=2, processes=1)
    fit(alone, open_data(folders, alone), RunFolder(tmp_path / "run"), device=CPU, reporter=SilentReporter())
    before = contents(tmp_path / "run")
    # Though the pictures of a step would be as many.
    two = make_config(make_tiny_config, batch_size=1, processes=2)
    data = open_data(folders, two, rank=1)
    with pytest.raises(TrainingError, match="processes 1 -> 2"):
        fit(two, data, RunFolder(tmp_path / "run"), device=CPU, reporter=SilentReporter())
    assert contents(tmp_path / "run") == before
