"""Where imported files and presets lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Saver = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saver:
    """Writes a Python object as torch.save does and gives the path."""

    def save(thing: object, name: str = "latest_net_G_A.pth", **options: Any) -> Path:
        path = tmp_path / name
        torch.save(thing, path, **options)
        return path

    return save


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's presets folder, empty and alone."""
    folder = tmp_path / "presets"
    monkeypatch.setenv("I2ITOOL_PRESETS", str(folder))
    return folder
