"""Choosing: the best step by held-out pictures is kept and exported, and the rate falls on a plateau."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from i2itool.trainer.choice import Choice
from i2itool.trainer.config import AdamRecipe, Metric, TrainConfig
from i2itool.trainer.data import open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.holdout import Holdout, open_holdout
from i2itool.trainer.run import RunFolder
from torch import nn

from i2itool.cli import main
from i2itool.console import SilentReporter
from i2itool.errors import InputError, OptionError
from i2itool.metrics.features import MobileNetV2
from i2itool.preset import find_preset

CPU = torch.device("cpu")
MakeConfig = Callable[..., TrainConfig]
ADAM = AdamRecipe(rate=1e-3)


class Brighten(nn.Module):
    """Adds a constant; follows the `Generator` protocol."""

    multiple_of = 4

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.amount


@pytest.mark.parametrize(("metric", "scores", "best"), [("psnr", [1, 3, 2], 20), ("kid", [3, 1, 2], 20)])
def test_the_best_score_is_the_highest_and_the_lowest_kid(
    metric: Metric, scores: list[float], best: int
) -> None:
    choice = Choice(metric)
    seen = [choice.see(10 * (place + 1), {metric: score}, ADAM) for place, score in enumerate(scores)]
    assert seen == [True, True, False]
    assert choice.step == best


def test_on_a_plateau_the_rate_falls_after_patience_and_again() -> None:
    recipe = AdamRecipe(rate=1e-3, policy="plateau", patience=2)
    assert AdamRecipe.model_validate({"rate": 1e-3, "policy": "plateau"}).gamma == 0.2
    choice = Choice("psnr")
    factors = []
    # 20.1 is a gain, but of less than a hundredth.
    for step, score in enumerate([20, 20.1, 20.1, 20.1, 25, 25, 25, 25, 25, 25]):
        choice.see(step + 1, {"psnr": score}, recipe)
        factors.append(choice.rate_factor)
    assert factors[2] == 1
    assert factors[3] == factors[6] == pytest.approx(recipe.gamma)
    assert factors[-1] == pytest.approx(recipe.gamma**2)


def test_a_choice_goes_on_from_its_state() -> None:
    recipe = AdamRecipe(rate=1e-3, policy="plateau", patience=1)
    whole, first, second = Choice("psnr"), Choice("psnr"), Choice("psnr")
    scores = [1.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    for step, score in enumerate(scores):
        whole.see(step, {"psnr": score}, recipe)
        (first if step < 3 else second).see(step, {"psnr": score}, recipe)
        if step == 2:
            second.load_state(json.loads(json.dumps(first.state())))
    assert second == whole


@pytest.fixture
def held_out(tmp_path: Path, folders: tuple[Path, Path]) -> Path:
    """A ROOT with testA and testB, of which half of the names match."""
    root = tmp_path / "held out"
    for name, folder in (("testA", folders[0]), ("testB", folders[1])):
        (root / name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[:4]:
            (root / name / path.name).write_bytes(path.read_bytes())
    (root / "testB/003.png").rename(root / "testB/other.png")
    return root


def open_tiny(root: Path, *, features: MobileNetV2 | None = None) -> Holdout:
    return open_holdout((root / "testA", root / "testB"), "psnr", load_px=36, features=features)


def test_scores_are_those_of_the_translated_pictures(held_out: Path) -> None:
    holdout = open_tiny(held_out)
    assert len(holdout.truths) == 3
    # The domains are apart by a constant brightness.
    assert holdout.score(Brighten(1.0), CPU)["psnr"] > holdout.score(Brighten(0.0), CPU)["psnr"] + 3
    assert set(holdout.score(Brighten(0.0), CPU)) == {"psnr", "ssim", "map_accuracy"}


def test_kid_needs_a_network_and_paired_scores_need_pairs(held_out: Path) -> None:
    torch.manual_seed(0)
    network = MobileNetV2().eval()
    assert "kid" in open_tiny(held_out, features=network).score(Brighten(0.0), CPU)
    folders = (held_out / "testA", held_out / "testB")
    with pytest.raises(InputError, match="feature network"):
        open_holdout(folders, "kid", load_px=36, features=None)
    for path in folders[1].iterdir():
        path.rename(path.with_name(f"b{path.name}"))
    with pytest.raises(InputError, match="counterpart"):
        open_holdout(folders, "ssim", load_px=36, features=None)


def test_the_best_step_is_kept_and_exported_also_after_a_crash(
    folders: tuple[Path, Path],
    make_tiny_config: MakeConfig,
    tmp_path: Path,
    held_out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = make_tiny_config("cyclegan", eval_every=1, export="best", steps=6)
    data = open_data(folders, config)
    holdout = open_tiny(held_out)
    coming: list[float] = []
    monkeypatch.setattr(Holdout, "score", lambda *_: {"psnr": coming.pop(0)})

    def train(run: Path, scores: list[float]) -> None:
        coming[:] = scores
        fit(config, data, RunFolder(run), device=CPU, reporter=SilentReporter(), holdout=holdout)

    train(tmp_path / "whole", [1, 2, 9, 3, 4, 5])
    # The scores end after step 3: the run dies there and is resumed from step 2.
    with pytest.raises(IndexError):
        train(tmp_path / "broken", [1, 2, 9])
    train(tmp_path / "broken", [9, 3, 4, 5])
    for run in ("whole", "broken"):
        assert [path.stem for path in (tmp_path / run).glob("checkpoints/best-*")] == ["best-00000003"]
        training = find_preset(str(tmp_path / run)).training
        assert training is not None
        assert (training.steps, training.scores) == (3, {"psnr": 9.0})
    weights = [(tmp_path / run / "preset/a2b.safetensors").read_bytes() for run in ("whole", "broken")]
    assert weights[0] == weights[1]
    lines = [json.loads(line) for line in (tmp_path / "broken/metrics.jsonl").read_text().splitlines()]
    assert [line["scores"]["psnr"] for line in lines if "scores" in line] == [1, 2, 9, 3, 4, 5]


def test_a_plateau_or_the_best_without_evaluations_is_refused(make_tiny_config: MakeConfig) -> None:
    for change in ({"export": "best"}, {"adam": {"policy": "plateau"}}):
        with pytest.raises(OptionError, match="give --holdout ROOT and --eval-every"):
            make_tiny_config("cyclegan", **change)


def test_the_command_chooses_by_a_folder_of_held_out_pictures(
    folders: tuple[Path, Path], tmp_path: Path, held_out: Path
) -> None:
    command = [
        *("train", *map(str, folders), "--name", "x", "--out", str(tmp_path / "run"), "--steps", "4"),
        *("--size", "32", "--load-size", "36", "--width", "4", "--blocks", "1", "--critic-width", "4"),
        *("--critic-depth", "2", "--precision", "fp32", "-q", "--eval-every", "2"),
    ]
    alone = CliRunner().invoke(main, command, catch_exceptions=False)
    assert alone.exit_code == 2
    assert "--eval-every 2: no pictures are held out (give --holdout ROOT)" in alone.stderr
    chosen = CliRunner().invoke(main, [*command, "--holdout", str(held_out)], catch_exceptions=False)
    assert chosen.exit_code == 0, chosen.output
    training = find_preset(str(tmp_path / "run")).training
    assert training is not None
    assert training.steps in (2, 4)
    assert set(training.scores) == {"psnr", "ssim", "map_accuracy"}
    assert (training.num_a, training.num_b, training.seed) == (5, 7, 0)
    assert training.version
