"""Varied pictures, and a classifier that is taught by its own average."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from i2itool.trainer.adapt import AdaptTask
from i2itool.trainer.adapt_cli import KINDS
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.labelled import LabelledBatch
from i2itool.trainer.objectives import Variation
from i2itool.trainer.self_training import agreement, imbalance, mean_of_views
from i2itool.trainer.variation import VARIATIONS, difference, recolour, vary, vary_strokes, warp

MakeConfig = Callable[..., TrainConfig]


def shares(logits: torch.Tensor) -> np.ndarray:
    exponents = np.exp(logits.numpy() - logits.numpy().max(1, keepdims=True))
    return np.asarray(exponents / exponents.sum(1, keepdims=True))


# The losses


def test_agreement_is_the_cross_entropy_with_what_the_teacher_is_sure_of() -> None:
    torch.manual_seed(0)
    logits, of_teacher = 2 * torch.randn(2, 50, 4)
    taught = shares(of_teacher)
    sure, names = taught.max(1) >= 0.7, taught.argmax(1)
    assert 0 < sure.sum() < 50
    wanted = -np.log(shares(logits)[np.arange(50), names][sure]).sum() / 50
    agreed, share = agreement(logits, of_teacher.softmax(1), threshold=0.7)
    assert float(agreed) == pytest.approx(wanted, rel=1e-5)
    assert float(share) == pytest.approx(sure.mean())


def test_a_teacher_that_is_sure_of_nothing_teaches_nothing() -> None:
    logits = torch.randn(8, 4, requires_grad=True)
    agreed, share = agreement(logits, torch.full((8, 4), 0.25), threshold=0.5)
    agreed.backward()
    assert (agreed.item(), share.item()) == (0, 0)
    assert logits.grad is not None
    assert not logits.grad.any()


def test_views_of_a_picture_count_alike() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3 * 5, 4)
    wanted = shares(logits).reshape(3, 5, 4).mean(0)
    np.testing.assert_allclose(mean_of_views(logits, 3).numpy(), wanted, rtol=1e-5)


def test_imbalance_is_least_where_all_classes_are_named_alike() -> None:
    even = imbalance(torch.eye(4).repeat(3, 1) * 20)
    assert float(even) == pytest.approx(np.log(4), abs=1e-4)
    torch.manual_seed(0)
    logits = torch.randn(12, 4)
    assert float(imbalance(logits)) == pytest.approx(-np.log(shares(logits).mean(0)).mean(), rel=1e-4)
    assert imbalance(logits) > even
    assert imbalance(torch.eye(4)[[0] * 12] * 20) > 5


# The variations


@pytest.mark.parametrize("kind", VARIATIONS)
def test_a_variation_keeps_shape_and_range_and_follows_the_seed(kind: str) -> None:
    pictures = torch.rand(8, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before = pictures.clone()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(vary(pictures, [kind]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].shape == pictures.shape
    assert drawn[0].abs().max() <= 1 + 1e-6
    assert torch.equal(pictures, before)


def test_nothing_is_varied_unless_asked_for() -> None:
    pictures = torch.rand(2, 3, 8, 8)
    assert torch.equal(vary(pictures, ()), pictures)


def test_a_warp_of_no_strength_moves_nothing() -> None:
    pictures = torch.rand(4, 3, 12, 12)
    torch.testing.assert_close(warp(pictures, strength=0, share=0), pictures)
    torch.testing.assert_close(warp(torch.full((4, 3, 12, 12), 0.3)), torch.full((4, 3, 12, 12), 0.3))


def test_a_shift_stays_within_its_share() -> None:
    torch.manual_seed(0)
    dot = torch.zeros(40, 1, 16, 16)
    dot[:, :, 8, 8] = 1
    places = (warp(dot, strength=0, share=0.125)[:, 0] > 0.01).nonzero()[:, 1:]
    assert 8 - 3 <= int(places.min()) < 8 < int(places.max()) <= 8 + 3


def test_strokes_are_blurred_grown_shrunk_or_left_alone() -> None:
    pictures = -torch.ones(8, 3, 16, 16)
    pictures[:, :, 4:12, 6:10] = 1
    whole = pictures.mean((1, 2, 3))
    varied = vary_strokes(pictures)
    change = varied.mean((1, 2, 3)) - whole
    is_grey = (varied.abs() < 0.99).flatten(1).any(1)
    assert int(is_grey.sum()) == 2
    assert [int(number) for number in ((change > 0.1).sum(), (change < -0.1).sum())] == [2, 2]
    assert sum(torch.equal(one, other) for one, other in zip(varied, pictures, strict=True)) == 2


def test_a_difference_turns_black_into_a_colour_and_white_into_its_negative() -> None:
    torch.manual_seed(0)
    black = difference(torch.full((6, 3, 2, 2), -1.0))
    torch.manual_seed(0)
    white = difference(torch.full((6, 3, 2, 2), 1.0))
    torch.testing.assert_close(black, -white)
    torch.manual_seed(0)
    torch.testing.assert_close(difference(black), torch.full((6, 3, 2, 2), -1.0))


def test_every_variation_can_be_asked_for() -> None:
    assert set(VARIATIONS) == set(KINDS) == set(get_args(Variation))


def test_colours_between_black_and_white_stay_between() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 5)[None, None, None].expand(6, 3, 4, 5)
    varied = recolour(ramp)
    torch.testing.assert_close(varied[..., 2], (varied[..., 0] + varied[..., 4]) / 2)
    assert len({round(float(value), 4) for value in varied[:, :, 0, 0].flatten()}) == 18


# The task


def batch_of(seed: int) -> LabelledBatch:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.rand(2, 4, 3, 32, 32, generator=generator) * 2 - 1
    return LabelledBatch(a, b, torch.tensor([0, 1, 0, 1]))


def make_task(make_tiny_config: MakeConfig, **weights: object) -> AdaptTask:
    adapt = {"classes": ("x", "y"), **weights}
    config = make_tiny_config("adapt", crop_px=32, load_px=32, batch_size=4, adapt=adapt)
    torch.manual_seed(0)
    return AdaptTask(config, torch.device("cpu"))


SELF_TAUGHT = {
    **{"self_training": 1.0, "threshold": 0.0, "views": 2},
    **{"vary": ("warp", "strokes"), "translate_every": 2},
}


def test_a_self_taught_run_goes_on_exactly(make_tiny_config: MakeConfig) -> None:
    weights = []
    for stops in (False, True):
        task = make_task(make_tiny_config, **SELF_TAUGHT)
        for step in range(3):
            if stops and step == 2:
                state = task.state()
                task = make_task(make_tiny_config, **SELF_TAUGHT)
                task.load_state(state)
            torch.manual_seed(step)
            losses = task.step(batch_of(step), progress=step / task.config.steps)
        assert losses["sure"] == 1
        weights.append(task.critic.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_only_the_steps_asked_for_translate(make_tiny_config: MakeConfig) -> None:
    """The others change the critic and leave the VAEs as they are."""
    task = make_task(make_tiny_config, **SELF_TAUGHT)
    for step, translates in ((0, False), (1, True), (2, False)):
        before = [task.coupled.mean.weight.clone(), task.critic.first_B.weight.clone()]
        losses = task.step(batch_of(step), progress=step / task.config.steps)
        after = [task.coupled.mean.weight, task.critic.first_B.weight]
        assert ("ll_A" in losses) == translates
        assert "names" in losses
        changed = [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
        assert changed == [translates, True]


def test_a_teacher_names_by_the_mean_of_varied_views(make_tiny_config: MakeConfig) -> None:
    agreed = {}
    for views in (1, 3):
        task, b = make_task(make_tiny_config, **{**SELF_TAUGHT, "views": views}), batch_of(0).b
        torch.manual_seed(0)
        agreed[views] = task._shares_by_teacher(b)
        teacher = task.averages["D"].network
        torch.manual_seed(0)
        with torch.no_grad():
            seen = [b] if views == 1 else [vary(b, ("warp", "strokes")) for _ in range(views)]
            wanted = torch.stack([teacher(view).softmax(1) for view in seen]).mean(0)
        torch.testing.assert_close(agreed[views], wanted)
    assert not torch.equal(agreed[1], agreed[3])


def test_the_targets_own_layer_learns_from_the_teacher_alone(make_tiny_config: MakeConfig) -> None:
    """With all other losses off, self-training still teaches, and without it the weights stay."""
    off = dict.fromkeys(("adversarial", "features", "names", "names_translated"), 0.0)
    moved = []
    for weight in (0.0, 1.0):
        task = make_task(make_tiny_config, **{**SELF_TAUGHT, **off, "self_training": weight})
        task.optimisers["D"].param_groups[0]["weight_decay"] = 0.0
        before = task.critic.first_B.weight.clone()
        task.step(batch_of(0), progress=0.5)
        moved.append(not torch.equal(before, task.critic.first_B.weight))
    assert moved == [False, True]
