"""The loss against flicker."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.data import Batch
from i2itool.trainer.steadiness import shifted, spoilt, unsteadiness
from i2itool.trainer.tasks import TASKS
from torch import Tensor

MakeConfig = Callable[..., TrainConfig]


@pytest.fixture
def smooth() -> Tensor:
    """Two smooth pictures, N,3,H,W in [-1, 1]."""
    y, x = torch.meshgrid(torch.linspace(0, 3, 40), torch.linspace(0, 4, 48), indexing="ij")
    return torch.stack(
        [torch.stack([x.sin(), y.cos(), (x + y).sin()]), torch.stack([y.sin(), x.cos(), x.sin()])]
    )


def test_moving_moves_by_whole_pixels_and_mirrors_at_the_border(smooth: Tensor) -> None:
    moved = shifted(smooth, 3, -2)
    torch.testing.assert_close(moved[..., :-2, 3:], smooth[..., 2:, :-3], rtol=0, atol=0)
    assert moved.shape == smooth.shape
    torch.testing.assert_close(shifted(smooth, 0, 0), smooth, rtol=0, atol=0)


def test_a_spoilt_picture_is_the_same_one(smooth: Tensor) -> None:
    torch.manual_seed(0)
    difference = (spoilt(smooth) - smooth).abs()
    assert 0.005 < float(difference.mean()) < 0.05


def test_what_is_random_follows_the_seed_of_torch(smooth: Tensor) -> None:
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(float(unsteadiness(torch.tanh, smooth, torch.tanh(smooth))))
    assert values[0] == values[1] != values[2]


def test_a_map_of_colours_is_steady_and_a_nervous_one_is_not(smooth: Tensor) -> None:
    def nervous(x: Tensor) -> Tensor:
        return torch.sin(60 * x)

    torch.manual_seed(0)
    calm = unsteadiness(lambda x: -x, smooth, -smooth)
    wild = unsteadiness(nervous, smooth, nervous(smooth))
    assert float(calm) < 0.05
    assert float(wild) > 5 * float(calm)


@pytest.mark.parametrize("method", ["cyclegan", "unit", "unit2018"])
def test_every_method_descends_it_if_asked(method: str, make_tiny_config: MakeConfig) -> None:
    generator = torch.Generator().manual_seed(5)
    a, b = torch.rand(2, 2, 3, 32, 32, generator=generator) * 2 - 1
    losses, weights = {}, {}
    for weight in (0.0, 10.0):
        torch.manual_seed(0)
        task = TASKS[method](make_tiny_config(method, temporal_noise=weight), torch.device("cpu"))
        torch.manual_seed(1)
        losses[weight] = task.step(Batch(a=a, b=b), progress=0)
        weights[weight] = torch.cat([p.detach().flatten() for p in task.translators()["a2b"].parameters()])
    assert not any(name.startswith("steady") for name in losses[0.0])
    assert any(name.startswith("steady") and value > 0 for name, value in losses[10.0].items())
    assert (weights[0.0] != weights[10.0]).any()
