"""Two tiny domains of pictures, and recipes that train on them in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from i2itool.trainer.config import TrainConfig, make_config


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small are slower on two threads, much slower on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def write_noise(folder: Path, count: int, *, brightness: int, size: tuple[int, int] = (40, 48)) -> None:
    """`count` PNG pictures of blurred noise around a brightness; every one is different."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(brightness)
    for index in range(count):
        noise = cv2.GaussianBlur(rng.normal(0, 90, (*size, 3)), (0, 0), 3) * 3
        picture = np.clip(noise + brightness, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index:03}.png"), picture)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "dark", tmp_path / "bright"
    write_noise(a, 5, brightness=60)
    write_noise(b, 7, brightness=190)
    return a, b


@pytest.fixture
def make_tiny_config() -> Callable[..., TrainConfig]:
    def make(method: str, **changes: Any) -> TrainConfig:  # Any: any setting of the recipe
        hyper = {"cyclegan": {"width": 4, "blocks": 1}, "unit": {"width": 4, "blocks": 1, "shared_blocks": 1}}
        hyper["unit2018"] = {"width": 4, "blocks": 1}
        hyper["adapt"] = {"width": 4}
        hyper["distill"] = {"width": 4, "blocks": 1, "factor": 4}
        tiny: dict[str, Any] = {
            "method": method,
            "name": "tiny",
            "domain_a": "dark",
            "domain_b": "bright",
            "steps": 6,
            "crop_px": 32,
            "load_px": 36,
            "generator": {"hyper": hyper[method]},
            "critic": {"width": 4, "depth": 2},
            "pool_size": 2,
            "checkpoint_every": 2,
            "preview_every": 4,
            "log_every": 1,
        }
        return make_config({}, tiny | changes)

    return make
