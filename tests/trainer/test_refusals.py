"""Wrong usage of the trainings: refused before any work, in one line, by the flags that say it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from i2itool.trainer.config import TrainConfig, make_config
from i2itool.trainer.data import Batch
from i2itool.trainer.processes import OneProcess
from i2itool.trainer.refusals import refuse_impossible
from i2itool.trainer.tasks import make_task

from i2itool.cli import main
from i2itool.errors import OptionError

from .conftest import write_noise


def run(words: str, folders: tuple[Path, Path]) -> Result:
    """A command with A and B in the places of those words, in an empty folder with a run called x."""
    places = {"A": str(folders[0]), "B": str(folders[1])}
    arguments = [places.get(word, word) for word in shlex.split(words)]
    return CliRunner().invoke(main, [*arguments, "--name", "x", "-q"], catch_exceptions=False)


def assert_refused(result: Result, named: str) -> None:
    """Exit code 2 and a single line that begins with what is wrong and ends with a remedy in brackets."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(f"error: {named}: ")
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--size 30", "--size 30"),
        ("--size 34 --critic-depth 2", "--size 34"),
        ("--size 32 --critic-depth 5", "--size 32 with --critic-depth 5"),
        ("--size 64 --load-size 40", "--size 64 with --load-size 40"),
        ("--load-size 128", "--load-size 128"),
        ("--batch-size 3 --accumulate 2", "--batch-size 3 with --accumulate 2"),
        ("--accumulate 2", "--accumulate 2"),
        ("--epochs 3", "--steps 2 with --epochs 3"),
        ("--epochs-decay 3", "--steps 2 with --epochs-decay 3"),
        ("--method unit --generator resnet-9", "--generator resnet-9"),
        ("--method unit --pool-size 5", "--pool-size 5"),
        ("--method unit2018 --gan vanilla", "--gan vanilla"),
        ("--method unit2018 --upsample resize", "--upsample resize"),
        ("--method unit --lambda-cycle 5", "--lambda-cycle 5.0"),
        ("--shared-blocks 2", "--shared-blocks 2"),
        ("--generator light-4 --upsample resize", "--generator light-4 with --upsample resize"),
        ("--generator unet-128 --blocks 3", "--generator unet-128 with --blocks 3"),
        ("--eval-every 1", "--eval-every 1"),
        ("--holdout A", "--holdout A"),
        ("--features mobilenet.pth", "--features mobilenet.pth"),
        ("--metric ssim", "--metric ssim"),
        ("--metric kid --holdout A --eval-every 1", "--metric kid"),
        ("--export best", "--export best"),
        ("--lr-policy plateau", "--lr-policy plateau"),
        ("--lr nan", "--lr nan"),
        ("--lr inf", "--lr inf"),
        ("--beta1 1.5", "--beta1 1.5"),
        ("--lambda-cycle -3", "--lambda-cycle -3.0"),
        ("--temporal-noise nan", "--temporal-noise nan"),
        ("--seed 4294967296", "--seed 4294967296"),
        ("--dataroot C", "--dataroot C with A"),
    ],
)
def test_flags_that_cannot_be_are_named_with_their_values(
    flags: str, named: str, folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(f"train A B --steps 2 {flags}", folders)
    assert_refused(result, named.replace(" A", f" {folders[0]}"))


def test_a_run_without_a_step_is_refused(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run("train A B --epochs 0 --epochs-decay 0", folders), "--epochs 0 with --epochs-decay 0")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--size 30 --load-size 36", "--size 30"),
        ("--size 64 --load-size 40", "--size 64 with --load-size 40"),
        ("--generator unet-128 --blocks 2", "--generator unet-128 with --blocks 2"),
        ("--lambda-features 2", "--lambda-features 2.0"),
        ("--eval-every 2", "--eval-every 2"),
        ("--lambda-l1 nan", "--lambda-l1 nan"),
    ],
)
def test_a_student_that_cannot_be_is_refused_by_the_flags(
    flags: str, named: str, folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run(f"distill day2night A {flags}", folders), named)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--lambda-names -1", "--lambda-names -1.0"),
        ("--balance 1", "--balance 1.0"),
        ("--self-training 0 --balance 1", "--balance 1.0"),
        ("--vary warp --threshold 0.5", "--threshold 0.5"),
        ("--self-training 1 --threshold nan", "--threshold nan"),
        ("--self-training 1 --balance nan", "--balance nan"),
        ("--dropout nan", "--dropout nan"),
        ("--vary warp --views 2", "--views 2"),
        ("--self-training 1 --views 2", "--views 2"),
        ("--steps 5 --translate-every 6", "--translate-every 6 with --steps 5"),
        ("--translate-every 20001", "--translate-every 20001"),
    ],
)
def test_a_classifier_that_cannot_be_is_refused_by_the_flags(
    flags: str, named: str, folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        write_noise(tmp_path / "classes" / name, 1, brightness=90)
    assert_refused(run(f"adapt classes A {flags}", folders), named)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("steps = 'many'", "steps = 'many'"),
        ("batch_size = '4'", "batch_size = '4'"),
        ("method = ['unit']", "`train` has no method ['unit']"),
        ("method = 'distill'", "`train` has no method 'distill'"),
        ("method = 'unit'\npool_size = 3", "pool_size = 3"),
        ("colour = 'red'", "colour = 'red'"),
        ("metric = 'source_accuracy'", "metric with method"),
        ("steps = 2\nepochs = 3", "--steps 2 with --epochs 3"),
        ("[adam]\nrate = true", "adam.rate = True"),
        ("[cyclegan]\ncycle = -1", "cyclegan.cycle = -1"),
        ("[generator.hyper]\nnorm = 'weird'", "generator.name with generator.hyper.norm"),
    ],
)
def test_a_recipe_in_a_file_that_cannot_be_is_refused_by_its_key(
    text: str, named: str, folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.toml").write_text(text)
    result = run("train A B --config train.toml", folders)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"error: {named}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("key", ["a = 5", "device = 3", "epochs = 'three'"])
def test_a_value_of_the_wrong_kind_in_a_file_is_refused(
    key: str, folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.toml").write_text(key)
    result = run("train A B --config train.toml", folders)
    assert (result.exit_code, result.stderr[: len(key) + 7]) == (2, f"error: {key}")


def test_what_is_typed_wins_over_another_way_to_say_it_in_a_file(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = "--size 32 --width 4 --blocks 1 --critic-width 4 --critic-depth 2 --dry-run"

    def recipe(text: str, words: str) -> TrainConfig:
        Path("train.toml").write_text(text)
        result = run(f"train {words} {tiny} --config train.toml", folders)
        assert result.exit_code == 0, result.output
        table = json.loads(result.stdout)
        del table["estimate"]
        return TrainConfig.model_validate_json(json.dumps(table))

    assert recipe("epochs = 3", "A B --steps 5").steps == 5
    # 7 pictures are 7 steps; 100 epochs of decay follow.
    assert recipe("steps = 5", "A B --epochs 2").steps == 102 * 7
    assert recipe("dataroot = 'elsewhere'", "A B --steps 1").domain_a == "dark"
    (tmp_path / "dark").rename(tmp_path / "A")
    (tmp_path / "bright").rename(tmp_path / "B")
    assert recipe("a = 'elsewhere'\nb = 'too'", f"--dataroot {tmp_path} --steps 1").domain_b == "B"
    assert recipe("b = 'elsewhere'", f"{tmp_path} --steps 1").domain_b == "B"


def test_epochs_leave_the_other_settings_of_adam_alone(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = "--epochs 3 --epochs-decay 1 --lr 0.01 --beta1 0.9 --lr-policy cosine"
    tiny = "--size 32 --width 4 --blocks 1 --critic-width 4 --critic-depth 2 --dry-run"
    adam = json.loads(run(f"train A B {flags} {tiny}", folders).stdout)["adam"]
    assert (adam["rate"], adam["beta1"], adam["policy"], adam["constant"]) == (0.01, 0.9, "cosine", 0.75)


def test_the_number_of_shared_blocks_is_a_flag(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = (
        "--method unit --size 32 --width 2 --blocks 1 --critic-width 2 --critic-depth 2 --steps 1 --dry-run"
    )
    recipe = json.loads(run(f"train A B --shared-blocks 3 {tiny}", folders).stdout)
    assert recipe["generator"]["hyper"]["shared_blocks"] == 3


def tiny_recipe(method: str, name: str, hyper: dict[str, object], depth: int, crop_px: int) -> TrainConfig:
    table = {"method": method, "name": "x", "domain_a": "a", "domain_b": "b", "steps": 1}
    networks = {"generator": {"name": name, "hyper": hyper}, "critic": {"width": 2, "depth": depth}}
    return make_config({}, table | networks | {"crop_px": crop_px})


def smallest_crop_px(method: str, name: str, hyper: dict[str, object], depth: int) -> int:
    """The smallest crop, up to 256 px, that is not refused."""
    for crop_px in range(8, 257):
        try:
            refuse_impossible(tiny_recipe(method, name, hyper, depth, crop_px), {})
        except OptionError:
            continue
        return crop_px
    raise AssertionError("no crop is taken")


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(
    ("method", "name", "hyper"),
    [
        ("cyclegan", "resnet", {"blocks": 1, "width": 2}),
        ("cyclegan", "light", {"factor": 4, "blocks": 1, "width": 2}),
        ("cyclegan", "light", {"factor": 8, "blocks": 1, "width": 2}),
        ("cyclegan", "unet", {"depth": 5, "width": 2}),
        ("unit", "unit", {"blocks": 1, "shared_blocks": 2, "width": 2}),
        ("unit2018", "unit2018", {"blocks": 1, "width": 2}),
        ("distill", "light", {"factor": 8, "blocks": 1, "width": 2}),
    ],
)
def test_the_smallest_crop_that_is_not_refused_can_be_trained_on(
    method: str, name: str, hyper: dict[str, object], depth: int
) -> None:
    crop_px = smallest_crop_px(method, name, hyper, depth)
    task = make_task(tiny_recipe(method, name, hyper, depth, crop_px), torch.device("cpu"), OneProcess())
    a, b = torch.rand(2, 1, 3, crop_px, crop_px) * 2 - 1
    assert all(loss == loss for loss in task.step(Batch(a, b), progress=0.0).values())
