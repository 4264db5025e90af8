"""Generators whose InstanceNorm remembers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from i2itool.networks import build
from i2itool.networks.steady import SteadyGenerator

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet": {"width": 4, "blocks": 1},
    "resnet affine": {"width": 4, "blocks": 1, "norm": "instance_affine"},
    "unit": {"width": 4, "blocks": 1, "shared_blocks": 1},
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(request.param.split()[0], **NETWORKS[request.param]).eval()


@pytest.fixture
def frames() -> Tensor:
    return torch.rand(8, 3, 32, 40, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_with_its_own_statistics_it_is_the_network(network: torch.nn.Module, frames: Tensor) -> None:
    with torch.inference_mode():
        expected = network(frames)
    output, _ = SteadyGenerator(network)(frames, [1.0] * 8, None)
    torch.testing.assert_close(output, expected, rtol=0, atol=2e-4)


def test_the_network_itself_stays_as_it_was(network: torch.nn.Module, frames: Tensor) -> None:
    before = repr(network)
    assert SteadyGenerator(network).num_norms > 0
    assert repr(network) == before


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_the_batch_size_changes_nothing(batch_size: int, network: torch.nn.Module, frames: Tensor) -> None:
    shares = [1.0, 0.2, 0.2, 0.3, 1.0, 0.2, 0.0, 0.2]
    steady, statistics, outputs = SteadyGenerator(network), None, []
    for start in range(0, 8, batch_size):
        part = slice(start, start + batch_size)
        output, statistics = steady(frames[part], shares[part], statistics)
        outputs.append(output)
    expected, last = steady(frames, shares, None)
    torch.testing.assert_close(torch.cat(outputs), expected, rtol=0, atol=1e-5)
    assert statistics is not None
    for one, other in zip(statistics, last, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_cut_forgets_all_and_a_picture_shown_again_changes_nothing(
    network: torch.nn.Module, frames: Tensor
) -> None:
    steady = SteadyGenerator(network)
    alone, of_alone = steady(frames[4:5], [1.0], None)
    _, before = steady(frames[:4], [1.0, 0.2, 0.2, 0.2], None)
    after_cut, of_cut = steady(frames[4:5], [1.0], before)
    torch.testing.assert_close(after_cut, alone, rtol=0, atol=0)
    _, again = steady(frames[4:5], [0.0], of_cut)
    for one, other, third in zip(of_alone, of_cut, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        torch.testing.assert_close(one, third, rtol=0, atol=0)


def test_light_that_flickers_in_a_corner_moves_the_rest_less(network: torch.nn.Module) -> None:
    still = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)).repeat(12, 1, 1, 1) * 2 - 1
    still[::2, :, :8, :8] = 1
    far = (..., slice(40, 64), slice(40, 64))
    with torch.inference_mode():
        alone = network(still)[far]
    together = SteadyGenerator(network)(still, [1.0] + [0.2] * 11, None)[0][far]
    jitters = [float(torch.diff(x[6:].mean((2, 3)), dim=0).abs().mean()) for x in (alone, together)]
    assert jitters[1] < jitters[0] / 2
