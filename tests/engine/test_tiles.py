"""Strips of rows put together are the whole picture, whatever is kept and whatever is computed again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2itool.engine import open_engine, rows, tiles
from i2itool.errors import EngineError
from i2itool.networks import build

LEVEL = 2 / 255
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("resnet", {"width": 4, "blocks": 2}),
    ("resnet", {"width": 4, "blocks": 2, "norm": "instance_affine", "dropout": True}),
    ("resnet", {"width": 4, "blocks": 2, "norm": "batch", "upsample": "resize"}),
    ("unet", {"width": 2, "depth": 5, "dropout": True}),
    ("unet", {"width": 2, "depth": 6, "upsample": "resize"}),
    ("unit", {"width": 4, "blocks": 1}),
    ("unit", {"width": 4, "blocks": 1, "upsample": "resize"}),
    ("unit2018", {"width": 4, "blocks": 1}),
    ("light", {"width": 4, "blocks": 1, "factor": 4}),
    ("light", {"width": 4, "blocks": 1, "factor": 4, "gain": True}),
    ("light", {"width": 4, "blocks": 1, "factor": 2}),
]


@pytest.fixture(params=["kept", "computed again"])
def small_strips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of a few rows, with the costly layers kept whole or not."""
    monkeypatch.setattr(tiles, "_STRIP_BYTES", 20_000)
    monkeypatch.setattr(tiles, "_SHARE_KEPT", 1.0 if request.param == "kept" else 0.0)


def picture(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    noise = torch.rand(1, 3, height, width, generator=generator) * 2 - 1
    # Light above, dark below: statistics of a strip are far from those of the picture.
    return (noise * 0.3 + torch.linspace(0.6, -0.6, height).view(1, 1, -1, 1)).clamp(-1, 1)


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize(("name", "hyper"), NETWORKS, ids=lambda value: str(value)[:40])
def test_tiles_equal_the_whole_picture(name: str, hyper: dict[str, Any]) -> None:
    torch.manual_seed(1)
    network = build(name, **hyper).eval()
    size = (128, 64) if name == "unet" else (60, 44)
    with open_engine("tiles", network, size=size, device="cpu") as engine, torch.no_grad():
        found, expected = engine(picture(*size)), network(picture(*size))
    assert (found - expected).abs().max() < LEVEL / 100


@pytest.mark.usefixtures("small_strips")
def test_a_picture_is_worked_on_in_many_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    compute = rows.compute

    def noted(*arguments: Any) -> Tensor:
        nonlocal largest
        part = compute(*arguments)
        largest = max(largest, part.numel())
        return part

    monkeypatch.setattr(tiles, "compute", noted)
    network = build("resnet", width=4, blocks=1)
    with open_engine("tiles", network, size=(256, 64), device="cpu") as engine:
        engine(picture(256, 64))
    # With the rows around it that a strip hangs on, and far from the whole of the widest layer.
    assert 0 < largest < 256 * 64 * 4 / 3


def test_a_network_that_looks_further_than_rows_is_refused() -> None:
    class Pooled(nn.Module):
        multiple_of = 1

        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2d(1)

        def forward(self, x: Tensor) -> Tensor:
            mean: Tensor = self.pool(x)
            return x + mean

    class Flipped(nn.Module):
        multiple_of = 1

        def forward(self, x: Tensor) -> Tensor:
            return x.flip(2)

    for network, reason in ((Pooled(), "AdaptiveAvgPool2d"), (Flipped(), "flip")):
        with pytest.raises(EngineError, match=reason):
            open_engine("tiles", network, size=(8, 8), device="cpu")
