"""Which step of a run is the best so far, and whether it still gets better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .config import AdamRecipe, Metric

# The smaller, the better.
FALLING = ("kid",)


@dataclass(slots=True)
class Choice:
    """The evaluations so far, as far as they matter; part of a run's state.

    step, score: the best evaluation; step 0 before the first.  seen, scores: the last one, with all scores.
    rate_factor: what the policy "plateau" has made of the learning rate.
    """

    metric: Metric
    step: int = 0
    score: float = 0.0
    seen: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    rate_factor: float = 1.0
    _level: float | None = None
    _stale: int = 0

    def see(self, step: int, scores: Mapping[str, float], recipe: AdamRecipe) -> bool:
        """Take in the scores of `step`; returns whether it is the best so far by the metric.

        With the policy "plateau" the rate is multiplied by `gamma` after more than `patience` evaluations
        without a gain of more than the share `threshold`.
        """
        self.seen, self.scores = step, dict(scores)
        score = scores[self.metric]
        if self._level is None or self._gain(score, self._level) > recipe.threshold * abs(self._level):
            self._level, self._stale = score, 0
        else:
            self._stale += 1
        if recipe.policy == "plateau" and self._stale > recipe.patience:
            self.rate_factor *= recipe.gamma
            self._stale = 0
        is_best = self.step == 0 or self._gain(score, self.score) > 0
        if is_best:
            self.step, self.score = step, score
        return is_best

    def _gain(self, score: float, other: float) -> float:
        return other - score if self.metric in FALLING else score - other

    def state(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return asdict(self)

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned; a run that chooses by another metric now begins anew."""
        if state.get("metric") == self.metric:
            for name, value in state.items():
                setattr(self, name, value)
