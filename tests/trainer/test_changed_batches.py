"""The benchmarks' other ways to draw batches: what they change, and that they change nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.data import UnpairedData, open_data

from benchmarks.changed_batches import as_drawn, drawn_by, jitter, jittered_a, larger_late


@pytest.fixture
def data(folders: tuple[Path, Path], make_tiny_config: Callable[..., TrainConfig]) -> UnpairedData:
    return open_data(folders, make_tiny_config("cyclegan", crop_px=24, load_px=36))


def test_nothing_is_changed_unless_asked_for(data: UnpairedData) -> None:
    same = drawn_by(data, as_drawn, 6).batch(3)
    assert torch.equal(same.a, data.batch(3).a)
    assert torch.equal(same.b, data.batch(3).b)


def test_colours_of_a_alone_are_others_and_the_same_again(data: UnpairedData) -> None:
    plain, (first, second) = data.batch(3), (drawn_by(data, jittered_a, 6).batch(3) for _ in range(2))
    assert torch.equal(first.a, second.a)
    assert torch.equal(first.b, plain.b)
    assert 0.01 < (first.a - plain.a).abs().mean() < 0.4


def test_each_factor_does_what_it_is_called() -> None:
    torch.manual_seed(0)
    x, one = torch.rand(2, 3, 8, 8) * 2 - 1, torch.ones(2, 1, 1, 1)
    torch.testing.assert_close(jitter(x, one, one, one), x)
    torch.testing.assert_close(jitter(x, one / 2, one, one) + 1, (x + 1) / 2)
    flat = jitter(x, one, one * 0, one)
    torch.testing.assert_close(flat, x.mean((1, 2, 3), keepdim=True).expand_as(x))
    gray = jitter(x, one, one, one * 0)
    torch.testing.assert_close(gray, x.mean(1, keepdim=True).expand_as(x))


def test_the_last_third_has_larger_crops(data: UnpairedData) -> None:
    changed = drawn_by(data, larger_late, 6)
    assert [changed.batch(step).a.shape[-1] for step in range(6)] == [24, 24, 24, 24, 32, 32]
    assert torch.equal(changed.batch(0).a, data.batch(0).a)
