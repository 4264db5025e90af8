"""Critics, pool, averages, augmentation and starting weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from i2itool.trainer.augment import adjust_colour, augment, translate
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.discriminators import MultiScaleDiscriminator, PatchDiscriminator, UnitDiscriminator
from i2itool.trainer.ema import Ema
from i2itool.trainer.initialise import initialise
from i2itool.trainer.pool import ImagePool
from i2itool.trainer.unit import UnitTask
from torch import nn

from i2itool.networks import build


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_critics_have_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        assert count_parameters(PatchDiscriminator()) == 2_764_737
        # The reference counts the critics of both domains together.
        assert 2 * count_parameters(UnitDiscriminator(depth=6)) == 50_298_114
        assert count_parameters(MultiScaleDiscriminator()) == 8_271_171


def test_patch_discriminator_has_the_layers_of_the_reference_by_name() -> None:
    convolutions = [name for name in PatchDiscriminator().state_dict() if name.endswith("weight")]
    assert convolutions == [f"model.{index}.weight" for index in (0, 2, 5, 8, 11)]


def test_patch_discriminator_judges_patches_of_70_pixels() -> None:
    critic = PatchDiscriminator(width=2, norm="batch").eval()
    x = torch.zeros(1, 3, 160, 160, requires_grad=True)
    (scores,) = critic(x)
    scores[0, 0, 9, 9].backward()
    assert x.grad is not None
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert rows.max() - rows.min() + 1 == 70


@pytest.mark.parametrize("scales", [1, 3])
def test_multi_scale_discriminator_returns_a_map_a_scale(scales: int) -> None:
    maps = MultiScaleDiscriminator(width=2, depth=2, scales=scales)(torch.zeros(2, 3, 32, 32))
    assert [scores.shape[-1] for scores in maps] == [8, 4, 2][:scales]


def test_pool_of_size_zero_hands_back_what_it_gets() -> None:
    fakes = torch.rand(3, 3, 4, 4)
    assert ImagePool(0).query(fakes) is fakes


def test_full_pool_returns_an_earlier_picture_half_of_the_time_and_keeps_the_new_one() -> None:
    torch.manual_seed(0)
    pool = ImagePool(50)
    for value in range(50):
        assert pool.query(torch.full((1, 1, 1, 1), float(value))).item() == value
    exchanged = 0
    for value in range(50, 1050):
        returned = pool.query(torch.full((1, 1, 1, 1), float(value))).item()
        stored = {picture.item() for picture in pool.pictures}
        assert returned not in stored
        assert (value in stored) == (returned != value)
        exchanged += returned != value
    assert 430 < exchanged < 570


def test_average_of_constant_weights_is_those_weights_and_of_moving_ones_lags_behind() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = Ema(network, decay=0.9)
    average.update(network)
    assert average.network.get_parameter("weight").item() == 1.0
    nn.init.constant_(network.weight, 2.0)
    average.update(network)
    # decay = min(0.9, (1 + 2) / (10 + 2)) = 0.25
    assert average.network.get_parameter("weight").item() == pytest.approx(0.25 * 1 + 0.75 * 2)


def test_translation_moves_pictures_and_fills_with_zeros() -> None:
    torch.manual_seed(3)
    x = torch.rand(4, 3, 16, 24) + 1
    moved = translate(x)
    for before, after in zip(x, moved, strict=True):
        inside = after[0] != 0
        rows, columns = inside.any(1).nonzero().flatten(), inside.any(0).nonzero().flatten()
        height, width = len(rows), len(columns)
        assert height >= 14
        assert width >= 21
        top, left = (16 - height if rows[0] == 0 else 0), (24 - width if columns[0] == 0 else 0)
        kept = after[:, rows[0] : rows[0] + height, columns[0] : columns[0] + width]
        assert torch.equal(kept, before[:, top : top + height, left : left + width])


def test_augmentation_lets_gradients_through_and_differs_for_each_picture() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 16, 16).expand(2, -1, -1, -1).clone().requires_grad_(True)
    seen = augment(x)
    assert not torch.allclose(seen[0], seen[1])
    (gradient,) = torch.autograd.grad(seen.sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).any()


def test_colour_jitter_leaves_gray_pictures_gray() -> None:
    x = torch.rand(2, 1, 8, 8).expand(-1, 3, -1, -1)
    jittered = adjust_colour(x)
    assert torch.allclose(jittered[:, 0], jittered[:, 2], atol=1e-6)


def test_weights_start_at_a_deviation_of_002_with_biases_at_zero() -> None:
    torch.manual_seed(0)
    network = build("resnet", blocks=1, width=16)
    initialise(network)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.numel() > 2000:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name


@pytest.mark.parametrize("same_start", [False, True])
def test_domains_of_unit_that_start_alike_make_the_same_of_a_picture(
    make_tiny_config: Callable[..., TrainConfig], same_start: bool
) -> None:
    config = make_tiny_config("unit", unit={"same_start": same_start})
    coupled = UnitTask(config, torch.device("cpu")).coupled
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        of_a, of_b = coupled.encode(picture, picture).chunk(2)
        in_a, in_b = coupled.decode(of_a)
    assert torch.equal(of_a, of_b) == same_start
    assert torch.equal(in_a, in_b) == same_start
