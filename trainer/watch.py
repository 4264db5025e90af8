"""Watchdogs: a run that goes wrong is named in plain words while its last good checkpoint still stands."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from i2itool.errors import TrainingError

from .data import Batch
from .preview import Translators, translate

logger = logging.getLogger("i2itool.trainer")

# Loss of a critic that cannot tell real from fake: by CycleGAN's loss, or by method.
# A Wasserstein critic has no such level and is not watched.
CHANCE = {
    "lsgan": 0.25,
    "vanilla": math.log(2),
    "unit": 2 * math.log(2),
    "unit2018": 1.5,
    "distill": 0.25,
    "adapt": 2 * math.log(2),
}
# A critic this far below chance over a window has stopped teaching the generator.
SATURATED_SHARE = 0.05
WINDOW_STEPS = 300
# Correlation of lumas below which light and dark count as swapped.
INVERTED_CORRELATION = -0.3
# Outputs that differ among themselves by less than this share of how the inputs differ have collapsed.
COLLAPSED_SHARE = 0.1
# Mean change, in levels of 255, under which a translation is hardly one.
IDENTITY_LEVELS = 2.0
# A change of a loss by less than this share of it between two windows of PLATEAU_STEPS is none.
PLATEAU_SHARE, PLATEAU_STEPS = 0.01, 5000
# To look at so many steps takes milliseconds, and they tell hardly more from one to the next.
_STEPS_BETWEEN_LOOKS = 100
# Losses that swing for ever, or go by what a classifier believes: the others tell whether anything moves.
UNTELLING = ("D_", "G_", "agreement", "imbalance", "sure")
# At first every generator is near something degenerate.
PATIENCE_STEPS = 500


AFTER_NAN = "the same steps end alike: look for near-constant pictures, or --restart with a lower --lr"


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is wrong (`name`, one word) and what it means and what helps (`message`)."""

    name: str
    message: str


def check_finite(losses: Mapping[str, float], step: int) -> None:
    """Raise TrainingError if a loss of optimisation step `step` is NaN or infinite."""
    broken = [name for name, loss in losses.items() if not math.isfinite(loss)]
    if broken:
        raise TrainingError(f"loss {', '.join(broken)} is not finite at step {step}", hint=AFTER_NAN)


def check_finite_weights(networks: Mapping[str, Mapping[str, Tensor]], done: int) -> None:
    """Raise TrainingError if a weight is NaN or infinite after `done` steps.

    The losses of the last of them were taken before its update, and may still be finite.
    """
    for name, weights in networks.items():
        if not all(bool(values.isfinite().all()) for values in weights.values()):
            raise TrainingError(f"the weights of {name} are not finite after step {done}", hint=AFTER_NAN)


@dataclass(slots=True)
class Watchdogs:
    """Everything that is watched in a run, and which alarms are up.

    They watch only: their memory is not part of the run's state, and starts anew when a run is resumed.
    critic_kind: a key of CHANCE.  stops: whether an alarm ends the run.
    """

    critic_kind: str
    stops: bool = False
    up: dict[str, Alarm] = field(default_factory=dict)
    _critics: dict[str, deque[float]] = field(default_factory=dict)
    _telling: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=2 * PLATEAU_STEPS))

    def see_losses(self, losses: Mapping[str, float]) -> None:
        """Remember the losses of one step."""
        for name, loss in losses.items():
            if name.startswith("D_"):
                self._critics.setdefault(name, deque(maxlen=WINDOW_STEPS)).append(loss)
        self._telling.append({name: loss for name, loss in losses.items() if not name.startswith(UNTELLING)})

    def judge_losses(self, step: int) -> None:
        """Raise or drop the alarms about losses; logs new ones."""
        self._settle(("saturated",), self._saturated(), step)
        if step % _STEPS_BETWEEN_LOOKS == 0:
            self._settle(("plateau",), self._plateau(), step)

    def judge_pictures(self, samples: Batch, translators: Translators, step: int) -> None:
        """Raise or drop the alarms about translations of the preview's pictures; logs new ones."""
        if step < PATIENCE_STEPS:
            return
        alarms = [
            alarm
            for direction, network in translators.items()
            for real in [samples.a if direction == "a2b" else samples.b]
            for alarm in watch_pictures(direction, real, translate(network, real))
        ]
        self._settle(("inverted", "collapsed", "identity"), alarms, step)

    def _settle(self, names: tuple[str, ...], alarms: list[Alarm], step: int) -> None:
        new = [alarm for alarm in alarms if alarm.name not in self.up]
        self.up = {name: alarm for name, alarm in self.up.items() if name not in names}
        self.up |= {alarm.name: alarm for alarm in alarms}
        for alarm in new:
            logger.warning("step %d: %s", step, alarm.message)
        if self.stops and new:
            hint = "--on-watchdog warn goes on all the same"
            raise TrainingError(f"stopped at step {step}: {new[0].message}", hint=hint)

    def _saturated(self) -> list[Alarm]:
        limit = SATURATED_SHARE * CHANCE.get(self.critic_kind, 0.0)
        return [
            Alarm(
                "saturated",
                f"critic {name} tells real from fake nearly without fail (loss {_mean(window):.4f}), so the "
                "generator learns little from it; augment = true, or a narrower critic, helps",
            )
            for name, window in self._critics.items()
            if len(window) == WINDOW_STEPS and _mean(window) < limit
        ]

    def _plateau(self) -> list[Alarm]:
        if len(self._telling) < 2 * PLATEAU_STEPS:
            return []
        steps = list(self._telling)
        before, after = _means(steps[:PLATEAU_STEPS]), _means(steps[PLATEAU_STEPS:])
        # Each by itself: a large one would hide that a small one falls.
        moved = (
            abs(after[name] - before[name]) > PLATEAU_SHARE * abs(before[name])
            for name in before.keys() & after.keys()
        )
        if any(moved):
            return []
        return [Alarm("plateau", f"the losses have not moved for {PLATEAU_STEPS} steps; the run may be done")]


def watch_pictures(direction: str, real: Tensor, fake: Tensor) -> list[Alarm]:
    """Look at translations of a few pictures for swapped light, collapse and nothing happening.

    real, fake: N,3,H,W in [-1, 1], N of at least 2.
    """
    alarms = []
    correlation = luma_correlation(real, fake)
    if correlation < INVERTED_CORRELATION:
        what = f"{direction} swaps light and dark (luma correlation {correlation:.2f})"
        remedy = "another --seed, more --lambda-identity, or for UNIT same_start = true"
        alarms.append(Alarm("inverted", f"{what}; restart with {remedy}"))
    share = diversity(fake) / max(diversity(real), 1e-6)
    if share < COLLAPSED_SHARE:
        what = (
            f"{direction} gives nearly the same picture whatever it sees ({share:.0%} of the inputs' variety)"
        )
        alarms.append(Alarm("collapsed", f"{what}; restart with another --seed or a lower --lr"))
    levels = 127.5 * float((fake - real).abs().mean())
    if levels < IDENTITY_LEVELS:
        what = f"{direction} changes its input by {levels:.1f} levels only"
        alarms.append(Alarm("identity", f"{what}; lower --lambda-identity or --lambda-cycle"))
    return alarms


def luma_correlation(real: Tensor, fake: Tensor) -> float:
    """Mean over pictures (N,3,H,W) of the correlation of their lumas, -1 to 1."""
    lumas = [x.float().mean(1).flatten(1) for x in (real, fake)]
    a, b = (luma - luma.mean(1, keepdim=True) for luma in lumas)
    scale = a.norm(dim=1) * b.norm(dim=1)
    return float(((a * b).sum(1) / scale.clamp_min(1e-6)).mean())


def diversity(pictures: Tensor) -> float:
    """Mean absolute difference between each of N,3,H,W and the mean of all; 0 if they are all the same."""
    return float((pictures - pictures.mean(0, keepdim=True)).abs().mean())


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def _means(steps: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Of each loss, over the steps that have it."""
    values: dict[str, list[float]] = {}
    for losses in steps:
        for name, loss in losses.items():
            values.setdefault(name, []).append(loss)
    return {name: _mean(found) for name, found in values.items()}
