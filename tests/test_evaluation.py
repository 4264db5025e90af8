"""Scoring a preset: against doing nothing, against counterparts, as a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from i2itool.cli import main
from i2itool.console import SilentReporter
from i2itool.errors import InputError
from i2itool.evaluation import Scores, evaluate
from i2itool.metrics.features import MobileNetV2
from i2itool.translator import Translator


class Brighten(nn.Module):
    """Adds 0.5 to everything; follows the `Generator` protocol."""

    multiple_of = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.5


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Six dark pictures, and the same brightened by half of the range."""
    rng = np.random.default_rng(0)
    for index in range(6):
        dark = rng.integers(0, 128, (16, 20, 3), dtype=np.uint8)
        for name, picture in (("a", dark), ("b", dark + 64)):
            (tmp_path / name).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), picture)
    return tmp_path / "a", tmp_path / "b"


def score(network: nn.Module, folders: tuple[Path, Path], *, features: MobileNetV2 | None = None) -> Scores:
    with Translator(network, engine="eager") as translator:
        return evaluate(
            translator, *folders, features=features, size_px=None, limit=None, reporter=SilentReporter()
        )


def test_a_translator_that_makes_the_counterparts_beats_doing_nothing(folders: tuple[Path, Path]) -> None:
    scores = score(Brighten(), folders)
    assert (scores.num_a, scores.num_b) == (6, 6)
    assert scores.paired is not None
    assert scores.paired.num_pairs == 6
    assert scores.paired.psnr > 45
    assert scores.paired.identity_psnr < 13
    assert scores.paired.map_accuracy == 1.0
    assert scores.paired.identity_map_accuracy == 0.0
    assert scores.luma_correlation > 0.99


def test_kid_closes_the_gap_for_it_and_not_for_doing_nothing(folders: tuple[Path, Path]) -> None:
    torch.manual_seed(0)
    features = MobileNetV2().eval()
    good, nothing = (
        score(Brighten(), folders, features=features),
        score(Identity(), folders, features=features),
    )
    assert good.kid is not None
    assert nothing.kid is not None
    assert good.kid.gap_closed > 0.9
    assert nothing.kid.gap_closed == pytest.approx(0.0, abs=1e-6)


class Identity(nn.Identity):
    """Gives back its input."""

    multiple_of = 1


def test_kid_of_three_pictures_is_refused(folders: tuple[Path, Path]) -> None:
    for index in (3, 4, 5):
        (folders[0] / f"{index}.png").unlink()
    with pytest.raises(InputError, match="at least four"):
        score(Brighten(), folders, features=MobileNetV2())


def test_the_command_prints_a_table_or_json(
    folders: tuple[Path, Path], make_preset: Callable[[str], Path], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    torch.save(MobileNetV2().state_dict(), tmp_path / "features.pth")
    command = [
        "evaluate",
        str(make_preset("tiny")),
        "--a",
        str(folders[0]),
        "--b",
        str(folders[1]),
        "--engine",
        "eager",
    ]
    command += ["--features", str(tmp_path / "features.pth"), "--limit", "5", "-q"]
    table = CliRunner().invoke(main, command, catch_exceptions=False)
    assert table.exit_code == 0, table.output
    for words in ("5 of A, 5 of B", "gap closed", "map accuracy"):
        assert words in table.stdout
    scores = json.loads(CliRunner().invoke(main, [*command, "--json"], catch_exceptions=False).stdout)
    assert scores["num_a"] == 5
    assert set(scores["kid"]) == {"translated", "nothing", "floor", "gap_closed"}
