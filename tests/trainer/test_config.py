"""Merging of recipes, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from i2itool.trainer.config import TrainConfig, make_config, read_train_toml
from i2itool.trainer.objectives import Ramp

from i2itool.cli import main
from i2itool.errors import InputError, OptionError
from i2itool.pictures import write_picture

BASE: dict[str, Any] = {"name": "x", "domain_a": "a", "domain_b": "b", "steps": 100}


def test_defaults_are_those_of_the_papers() -> None:
    cyclegan = make_config({}, BASE)
    assert (cyclegan.method, cyclegan.load_px, cyclegan.crop_px, cyclegan.batch_size) == (
        "cyclegan",
        286,
        256,
        1,
    )
    assert (cyclegan.adam.rate, cyclegan.adam.beta1, cyclegan.pool_size) == (2e-4, 0.5, 50)
    assert cyclegan.cyclegan.cycle.at(0.7) == 10
    unit = make_config({}, BASE | {"method": "unit"})
    assert (unit.adam.rate, unit.adam.weight_decay, unit.critic.depth) == (1e-4, 1e-4, 6)
    weights = unit.unit
    assert [w.at(0) for w in (weights.adversarial, weights.kl, weights.likelihood)] == [10, 0.1, 100]


def test_flags_win_over_the_file_and_the_file_over_the_defaults() -> None:
    file = {"batch_size": 4, "seed": 3, "critic": {"width": 8}}
    config = make_config(file, BASE | {"batch_size": 2, "seed": None, "critic": {"width": None, "depth": 2}})
    assert (config.batch_size, config.seed) == (2, 3)
    assert (config.critic.width, config.critic.depth) == (8, 2)


def test_another_generator_does_not_inherit_hyper_parameters() -> None:
    config = make_config({}, BASE | {"generator": {"name": "unet", "hyper": {"depth": 7}}})
    assert config.generator.hyper == {"depth": 7}


def test_the_picture_size_follows_the_crop() -> None:
    assert make_config({}, BASE | {"crop_px": 128}).load_px == 143


def test_a_ramp_moves_until_its_end_and_then_stays() -> None:
    ramp = Ramp(start=8, end=2, until=0.5)
    assert [ramp.at(progress) for progress in (0, 0.25, 0.5, 1)] == [8, 5, 2, 2]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"steps": 0}, "steps"),
        ({"crop_px": 64, "load_px": 32}, "larger than the picture"),
        ({"method": "pix2pix"}, "unknown method: pix2pix"),
        ({"colour": "red"}, "colour"),
        ({"method": "unit", "generator": {"name": "resnet"}}, "cannot train generator 'resnet'"),
    ],
)
def test_an_impossible_recipe_is_refused_by_name(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(OptionError, match=problem):
        make_config({}, BASE | change)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--lr", "-1"), r"^error: --lr -1.0: .*greater than 0"),
        (("--size", "4"), r"^error: --size 4: "),
        (("--critic-depth", "20"), r"^error: --critic-depth 20: "),
    ],
)
def test_a_flag_that_cannot_be_is_named_with_its_value(
    flags: tuple[str, ...], problem: str, tmp_path: Path
) -> None:
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        write_picture(tmp_path / name / "1.png", np.zeros((40, 40, 3), np.uint8))
    folders = [str(tmp_path / name) for name in ("A", "B")]
    result = CliRunner().invoke(main, ["train", *folders, "--name", "x", "--dry-run", "--steps", "1", *flags])
    assert result.exit_code == 2
    assert re.search(problem, result.stderr)


def test_a_run_of_a_version_that_inverted_the_target_or_not_goes_on() -> None:
    now = make_config({}, BASE)
    for before, after in ((False, "neither"), (True, "target")):
        recipe = now.model_dump(mode="json")
        recipe["adapt"]["invert"] = before
        assert TrainConfig.model_validate_json(json.dumps(recipe)).adapt.invert == after


def test_a_train_toml_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "train.toml").write_text("steps = [")
    for name in ("train.toml", "missing.toml"):
        with pytest.raises(InputError, match=name):
            read_train_toml(tmp_path / name)
