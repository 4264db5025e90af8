"""Training moves the translation towards the other domain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.data import open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.run import RunFolder

from i2itool.console import SilentReporter
from i2itool.weights import load_network


@pytest.mark.parametrize("method", ["cyclegan", "unit", "unit2018"])
def test_dark_pictures_become_bright_and_bright_ones_dark(
    folders: tuple[Path, Path], make_tiny_config: Callable[..., TrainConfig], tmp_path: Path, method: str
) -> None:
    config = make_tiny_config(
        method,
        steps=120,
        checkpoint_every=1000,
        preview_every=1000,
        generator={"hyper": {"width": 8, "blocks": 1}},
        critic={"width": 8, "depth": 2},
        adam={"rate": 2e-3},
        cyclegan={"identity": 0.0, "cycle": 2.0},
        unit2018={"reconstruction": 1.0, "cycle": 1.0},
        unit={"likelihood": 5.0, "likelihood_cycle": 5.0},
    )
    data = open_data(folders, config)
    device = torch.device("cpu")
    preset = fit(config, data, RunFolder(tmp_path / "run"), device=device, reporter=SilentReporter())
    samples = data.samples(4)
    to_bright = load_network(preset, "a2b")(samples.a).mean() - samples.a.mean()
    to_dark = load_network(preset, "b2a")(samples.b).mean() - samples.b.mean()
    gap = samples.b.mean() - samples.a.mean()
    assert to_bright > 0.5 * gap
    assert to_dark < -0.5 * gap
