"""The weights of each method's objective, as tables of a recipe; a weight may move during the run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Variation = Literal["warp", "strokes", "contrast", "colours", "difference"]


class Table(BaseModel):
    """A part of a recipe: frozen, without keys that nobody reads, each value of its kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Ramp(Table):
    """A weight that moves in a straight line from `start` to `end` during the first `until` of the run."""

    start: float = Field(ge=0)
    end: float = Field(ge=0)
    until: float = Field(default=1.0, gt=0, le=1)

    def at(self, progress: float) -> float:
        """The weight when `progress` (0..1) of the run is done."""
        share = min(progress / self.until, 1.0)
        return self.start + (self.end - self.start) * share


class _Weights(Table):
    @model_validator(mode="before")
    @classmethod
    def _numbers_are_constant_ramps(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        ramps = {key for key, field in cls.model_fields.items() if field.annotation is Ramp}
        return {
            key: {"start": weight, "end": weight} if key in ramps and type(weight) in (int, float) else weight
            for key, weight in value.items()
        }


class CycleGanWeights(_Weights):
    """CycleGAN's objective (arXiv:1703.10593, section 3.3); `identity` is a share of the cycle weight."""

    adversarial: Ramp = Ramp(start=1, end=1)
    cycle: Ramp = Ramp(start=10, end=10)
    identity: Ramp = Ramp(start=0.5, end=0.5)


class UnitWeights(_Weights):
    """UNIT's objective (arXiv:1703.00848): lambda_0 to lambda_4.

    same_start: what each domain has of its own begins with the same weights in both; not in the paper.
    """

    adversarial: Ramp = Ramp(start=10, end=10)
    kl: Ramp = Ramp(start=0.1, end=0.1)
    likelihood: Ramp = Ramp(start=100, end=100)
    kl_cycle: Ramp = Ramp(start=0.1, end=0.1)
    likelihood_cycle: Ramp = Ramp(start=100, end=100)
    same_start: bool = False


class Unit2018Weights(_Weights):
    """The objective of the 2018 form of UNIT."""

    adversarial: Ramp = Ramp(start=1, end=1)
    kl: Ramp = Ramp(start=0.01, end=0.01)
    reconstruction: Ramp = Ramp(start=10, end=10)
    kl_cycle: Ramp = Ramp(start=0.01, end=0.01)
    cycle: Ramp = Ramp(start=10, end=10)


class DistillRecipe(_Weights):
    """What a student is held to: its teacher's pictures, their features, and a critic that knows both.

    teacher: name, direction and fingerprint of the network.  features: weights of a MobileNetV2; without
    them the perceptual loss is left out.
    """

    l1: Ramp = Ramp(start=10, end=10)
    perceptual: Ramp = Ramp(start=2, end=2)
    adversarial: Ramp = Ramp(start=0.2, end=0.2)
    teacher: str = ""
    features: str | None = None


class AdaptRecipe(_Weights):
    """UNIT's objective for domain adaptation; `likelihood` and `features` are sums over a picture.

    names_translated: of naming the translations of A, too.  self_training: of naming varied pictures of B as
    the averaged classifier does where it gives a class at least `threshold`, in the mean of as many varied
    `views` (of one: the picture as it is); `balance`, a share of it, of giving all classes alike.  None of
    them is in the paper.  dropout: share of the authors' in the classifier.  translate_every: of how many
    steps one translates; all name.  vary: how pictures are varied to be named, see `trainer.variation`; those
    of A by `vary_source` before that.  invert: of which domain to show pictures as negatives as often as not.
    classes: the names, in the order of the classifier.
    """

    adversarial: Ramp = Ramp(start=1, end=1)
    kl: Ramp = Ramp(start=1e-4, end=1e-4)
    likelihood: Ramp = Ramp(start=1e-3, end=1e-3)
    features: Ramp = Ramp(start=1e-4, end=1e-4)
    names: Ramp = Ramp(start=10, end=10)
    names_translated: Ramp = Ramp(start=0, end=0)
    self_training: Ramp = Ramp(start=0, end=0)
    balance: Ramp = Ramp(start=0.1, end=0.1)
    threshold: float = Field(default=0.9, ge=0, lt=1)
    views: int = Field(default=1, ge=1)
    dropout: float = Field(default=1.0, ge=0, le=1)
    translate_every: int = Field(default=1, ge=1)
    # In a file these three are lists.
    vary: tuple[Variation, ...] = Field(default=(), strict=False)
    vary_source: tuple[Variation, ...] = Field(default=(), strict=False)
    classes: tuple[str, ...] = Field(default=(), strict=False)
    invert: Literal["neither", "source", "target", "both"] = "neither"

    @property
    def self_trains(self) -> bool:
        """Whether the classifier learns from what its average says of B."""
        return max(self.self_training.start, self.self_training.end) > 0

    @field_validator("invert", mode="before")
    @classmethod
    def _once_it_was_the_target_or_not(cls, value: Any) -> Any:
        """Runs that were begun before it had a name go on."""
        return ("target" if value else "neither") if isinstance(value, bool) else value
