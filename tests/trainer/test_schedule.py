"""The learning rate over a run, by hand."""

from __future__ import annotations

import pytest
from i2itool.trainer.config import AdamRecipe
from i2itool.trainer.schedule import rate_at


def rates(recipe: AdamRecipe, *steps: int) -> list[float]:
    return [rate_at(recipe, step, 100) for step in steps]


def test_linear_stays_and_then_falls_to_zero() -> None:
    recipe = AdamRecipe(rate=2.0, constant=0.5)
    assert rates(recipe, 0, 49, 50, 75, 99) == pytest.approx([2.0, 2.0, 2.0, 1.0, 0.04])


def test_constant_is_linear_that_never_falls() -> None:
    assert rates(AdamRecipe(rate=2.0), 0, 99) == [2.0, 2.0]


def test_step_multiplies_every_so_many_steps() -> None:
    recipe = AdamRecipe(rate=2.0, policy="step", every=40, gamma=0.1)
    assert rates(recipe, 0, 39, 40, 80) == pytest.approx([2.0, 2.0, 0.2, 0.02])


def test_cosine_falls_from_the_rate_to_zero_through_a_half() -> None:
    assert rates(AdamRecipe(rate=2.0, policy="cosine"), 0, 50) == pytest.approx([2.0, 1.0])
    assert rate_at(AdamRecipe(rate=2.0, policy="cosine"), 100, 100) == pytest.approx(0.0)
