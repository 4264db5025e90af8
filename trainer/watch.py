"""Watchdogs: a run that cannot end well is stopped while its last good checkpoint still stands."""

from __future__ import annotations

import math
from collections.abc import Mapping

from i2itool.errors import TrainingError


def check_finite(losses: Mapping[str, float], step: int) -> None:
    """Raise TrainingError if a loss of optimisation step `step` is NaN or infinite."""
    broken = [name for name, loss in losses.items() if not math.isfinite(loss)]
    if broken:
        raise TrainingError(
            f"loss {', '.join(broken)} is not finite at step {step}",
            hint="the last checkpoint is good: look for near-constant pictures, or lower --lr",
        )
