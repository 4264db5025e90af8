"""How the learning rate moves over a run."""

from __future__ import annotations

import math

from .config import AdamRecipe


def rate_at(recipe: AdamRecipe, step: int, steps: int) -> float:
    """The learning rate of optimisation step `step`, counted from 0, in a run of `steps`."""
    progress = step / steps
    if recipe.policy == "step":
        return recipe.rate * recipe.gamma ** (step // recipe.every)
    if recipe.policy == "cosine":
        return recipe.rate * (1 + math.cos(math.pi * progress)) / 2
    if progress < recipe.constant:
        return recipe.rate
    return recipe.rate * (1 - progress) / (1 - recipe.constant)
