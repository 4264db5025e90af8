"""Critics that see features of a network which does not learn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from i2itool.trainer.checkpoint import list_checkpoints, load_checkpoint
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.data import Batch
from i2itool.trainer.feature_critic import add_feature_critics
from i2itool.trainer.tasks import TASKS
from torch import Tensor

from i2itool.cli import main
from i2itool.errors import InputError
from i2itool.metrics.features import MobileNetV2

CPU = torch.device("cpu")
MakeConfig = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("weights") / "mobilenet_v2.pth"
    torch.manual_seed(0)
    torch.save(MobileNetV2().state_dict(), path)
    return path


def random_batch() -> Batch:
    return Batch(torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1)


def test_the_scores_come_at_four_depths_after_those_of_the_critic(
    make_tiny_config: MakeConfig, weights: Path
) -> None:
    config = make_tiny_config("cyclegan", critic={"width": 4, "depth": 2, "features": str(weights)})
    task = TASKS["cyclegan"](config, CPU)
    scores = task.networks["D_A"](torch.zeros(1, 3, 64, 64))
    assert [tuple(scale.shape[2:]) for scale in scores[1:]] == [(16, 16), (8, 8), (4, 4), (2, 2)]


@pytest.mark.parametrize("method", ["cyclegan", "unit", "unit2018"])
def test_heads_and_generators_learn_from_features_that_stay(
    make_tiny_config: MakeConfig, weights: Path, method: str
) -> None:
    config = make_tiny_config(method, critic={"width": 4, "depth": 2, "features": str(weights)})
    torch.manual_seed(1)
    task = TASKS[method](config, CPU)
    heads = task.networks["D_A"].critics[1]
    before = {name: value.clone() for name, value in heads.named_parameters()}
    # Nothing but heads is saved, and so nothing but heads can be trained.
    assert {name.split(".")[0] for name in heads.state_dict()} == {"heads"}
    task.step(random_batch(), progress=0)
    assert all(not torch.equal(before[name], value) for name, value in heads.named_parameters())


def test_the_picture_feels_what_the_features_say(weights: Path) -> None:
    class Silent(torch.nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return []

    torch.manual_seed(2)
    jury = add_feature_critics({"D": Silent()}, str(weights), CPU)["D"]
    picture = torch.rand(1, 3, 64, 64).requires_grad_(True)
    torch.stack([scores.mean() for scores in jury(picture)]).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert picture.grad is not None
    assert (picture.grad.abs() > 0).float().mean() > 0.9


def test_a_file_without_such_weights_is_refused(make_tiny_config: MakeConfig, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3, 3)}, other)
    config = make_tiny_config("cyclegan", critic={"width": 4, "depth": 2, "features": str(other)})
    with pytest.raises(InputError, match="MobileNetV2"):
        TASKS["cyclegan"](config, CPU)


def test_the_flag_reaches_the_critics(folders: tuple[Path, Path], tmp_path: Path, weights: Path) -> None:
    tiny = "--steps 1 --size 32 --width 4 --blocks 1 --critic-width 4 --critic-depth 2 --pool-size 0 -q"
    words = ["--name", "tiny", "--out", str(tmp_path / "run"), *tiny.split()]
    told = ["--critic-features", str(weights)]
    result = CliRunner().invoke(main, ["train", *map(str, folders), *words, *told])
    assert result.exit_code == 0, result.output
    (checkpoint,) = list_checkpoints(tmp_path / "run/checkpoints")
    saved = load_checkpoint(checkpoint)["task"]["networks"]["D_A"]
    assert any(name.startswith("critics.1.heads") for name in saved)
    handed_on = json.loads((tmp_path / "run/preset/train.json").read_text())
    assert handed_on["critic"]["features"] == "mobilenet_v2.pth"
    assert str(tmp_path.parent) not in (tmp_path / "run/preset/train.json").read_text()


def test_a_missing_file_of_weights_is_one_line(folders: tuple[Path, Path], tmp_path: Path) -> None:
    words = ["--name", "tiny", "--out", str(tmp_path / "run"), "--steps", "1", "--size", "32"]
    told = ["--critic-features", str(tmp_path / "none.pth")]
    result = CliRunner().invoke(main, ["train", *map(str, folders), *words, *told])
    assert result.exit_code == 3
    assert "none.pth" in result.output
    assert len(result.output.strip().splitlines()) <= 2
