"""What a training run is made of: the recipe, merged from defaults, a train.toml and flags.

The defaults are those of the papers; the merged recipe is saved beside the run and inside every checkpoint.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from i2itool.errors import InputError, OptionError
from i2itool.preset import PresetName

from .complaints import Misfit, complaint
from .defaults import DEFAULTS, merge
from .objectives import AdaptRecipe, CycleGanWeights, DistillRecipe, Table, Unit2018Weights, UnitWeights

Method = Literal["cyclegan", "unit", "unit2018", "distill", "adapt"]
GanLoss = Literal["lsgan", "vanilla", "wgangp"]
Metric = Literal["kid", "psnr", "ssim", "map_accuracy", "source_accuracy"]


class GeneratorRecipe(Table):
    """Which generator, and its hyper-parameters; see `i2itool.networks.build`."""

    name: str
    hyper: dict[str, Any] = Field(default_factory=dict)


class CriticRecipe(Table):
    """Width of the first layer and number of strided layers of each discriminator.

    features: weights of a MobileNetV2, for critics beside them that see its features.
    """

    width: int = Field(default=64, ge=1)
    depth: int = Field(ge=1, le=8)
    features: str | None = None


class AdamRecipe(Table):
    """Adam, and how its rate moves; see `i2itool.trainer.schedule`.

    policy: "linear" stays for the share `constant` of the run, then falls to zero; "step" is multiplied by
    `gamma` every `every` steps; "cosine" falls to zero over the run; "plateau" is multiplied by `gamma` (0.2
    if not given) after more than `patience` evaluations without a gain of the share `threshold`.
    """

    rate: float = Field(gt=0)
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    policy: Literal["linear", "step", "cosine", "plateau"] = "linear"
    constant: float = Field(default=1.0, ge=0, le=1)
    every: int = Field(default=100_000, ge=1)
    gamma: float = Field(default=0.5, gt=0, le=1)
    patience: int = Field(default=5, ge=0)
    threshold: float = Field(default=0.01, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _plateaus_fall_deeper(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("policy") == "plateau":
            return {"gamma": 0.2, **value}
        return value


class TrainConfig(Table):
    """The whole recipe of a run.

    load_px: short side to which pictures are resized.  crop_px: side of the random square crop.
    gan: CycleGAN's adversarial loss.  steps: optimisation steps in all.
    temporal_noise: weight of steadiness under what differs between the frames of a video.
    augment: differentiable augmentation of what the critics see.  weights_dtype, work_size: of the exported
    preset; "full" where the pictures are parts of larger ones, such as tiles of maps.
    accumulate: parts that a batch is worked through in; only one is in memory.  recompute: run generators
    twice rather than keep what they compute.  compile: by torch.compile.
    eval_every: steps between evaluations on held-out pictures, 0 for none.  metric: what the best step is
    chosen by.  export: which step the preset is made of.  processes: that train together, each with a batch.
    """

    method: Method
    name: PresetName
    domain_a: str
    domain_b: str
    seed: int = Field(default=0, ge=0, lt=2**32)
    steps: int = Field(ge=1)
    batch_size: int = Field(default=1, ge=1)
    load_px: int = Field(ge=8)
    crop_px: int = Field(ge=8)
    flip: bool = True
    precision: Literal["fp32", "bf16"] = "fp32"
    accumulate: int = Field(default=1, ge=1)
    recompute: bool = False
    compile: bool = False
    generator: GeneratorRecipe
    critic: CriticRecipe
    adam: AdamRecipe
    cyclegan: CycleGanWeights = CycleGanWeights()
    unit: UnitWeights = UnitWeights()
    unit2018: Unit2018Weights = Unit2018Weights()
    distill: DistillRecipe = DistillRecipe()
    adapt: AdaptRecipe = AdaptRecipe()
    gan: GanLoss = "lsgan"
    pool_size: int = Field(default=50, ge=0)
    augment: bool = False
    temporal_noise: float = Field(default=0.0, ge=0)
    ema: float = Field(default=0.999, ge=0, lt=1)
    weights_dtype: Literal["fp32", "fp16"] = "fp32"
    work_size: int | Literal["full"] | None = None
    eval_every: int = Field(default=0, ge=0)
    metric: Metric = "psnr"
    export: Literal["best", "last"] = "last"
    processes: int = Field(default=1, ge=1)
    log_every: int = Field(default=20, ge=1)
    preview_every: int = Field(default=500, ge=1)
    checkpoint_every: int = Field(default=500, ge=1)

    @model_validator(mode="after")
    def _parts_fit(self) -> TrainConfig:
        if self.crop_px > self.load_px:
            problem = f"the crop ({self.crop_px} px) is larger than the picture ({self.load_px} px)"
            remedy = "a smaller --size, or a larger --load-size"
            raise Misfit(problem, "crop_px", "load_px", remedy=remedy)
        if self.batch_size % self.accumulate:
            problem = f"a batch of {self.batch_size} has no {self.accumulate} equal parts"
            remedy = "a --batch-size that is a multiple of --accumulate"
            raise Misfit(problem, "batch_size", "accumulate", remedy=remedy)
        if self.eval_every == 0 and self.export == "best":
            raise Misfit("no step is known to be the best", "export", remedy=HOW_TO_HOLD_OUT)
        if self.eval_every == 0 and self.adam.policy == "plateau":
            raise Misfit("no scores that it could follow", "adam.policy", remedy=HOW_TO_HOLD_OUT)
        if (self.metric == "source_accuracy") != (self.method == "adapt"):
            problem = f"method {self.method} is not judged by {self.metric}"
            raise Misfit(problem, "metric", "method", remedy="choose another --metric")
        if self.generator.name not in TRAINABLE[self.method]:
            problem = f"method {self.method} cannot train generator '{self.generator.name}'"
            remedy = f"one of {', '.join(TRAINABLE[self.method])}, or another --method"
            raise Misfit(problem, "method", "generator.name", remedy=remedy)
        return self

    def portable(self) -> TrainConfig:
        """The recipe as it is handed on: of the weights that it reads it keeps the files' names alone."""
        tables: dict[str, CriticRecipe | DistillRecipe] = {"critic": self.critic, "distill": self.distill}
        names = {
            key: table.model_copy(update={"features": Path(table.features).name})
            for key, table in tables.items()
            if table.features is not None
        }
        return self.model_copy(update=names)


HOW_TO_HOLD_OUT = "give --holdout ROOT and --eval-every STEPS"

# The generators that each method can train.
TRAINABLE: dict[Method, tuple[str, ...]] = {
    "cyclegan": ("resnet", "light", "unet"),
    "unit": ("unit",),
    "unit2018": ("unit2018",),
    "distill": ("resnet", "light", "unet"),
    "adapt": ("unit32",),
}


def read_train_toml(path: Path) -> dict[str, Any]:
    """The tables of a train.toml; raises InputError if it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def make_config(
    file: dict[str, Any], flags: dict[str, Any], *, given: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Merge the method's defaults, a train.toml and what flags say, both as tables of the recipe.

    The picture size follows the crop as in CycleGAN (286 for 256) where it is not given.
    given: the flags by the names of the command's parameters, for complaints.
    Raises OptionError for what cannot be.
    """
    method = flags.get("method") or file.get("method") or "cyclegan"
    if not isinstance(method, str) or method not in DEFAULTS:
        raise OptionError(f"unknown method: {method}", hint=f"one of {', '.join(DEFAULTS)}")
    table = merge(DEFAULTS[method], file, flags, {"method": method})
    if isinstance(table.get("crop_px"), int):
        table.setdefault("load_px", -(-table["crop_px"] * 286 // 256))
    try:
        return TrainConfig(**table)
    except ValidationError as error:
        raise complaint(error, given or {}) from error


# What a resumed run may change: the length, and what leaves the training itself as it is.
CHANGEABLE = {
    "steps",
    "weights_dtype",
    "work_size",
    "log_every",
    "preview_every",
    "checkpoint_every",
    "export",
}
# As well, unless the learning rate follows them.
EVALUATION = {"eval_every", "metric"}


def describe_difference(old: TrainConfig, new: TrainConfig) -> str:
    """The settings that differ and must not, as `name old -> new`; empty if none does."""
    ignored = CHANGEABLE if new.adam.policy == "plateau" else CHANGEABLE | EVALUATION
    before, after = (_by_key(config.model_dump(exclude=ignored)) for config in (old, new))
    return ", ".join(
        f"{key} {json.dumps(before.get(key))} -> {json.dumps(after.get(key))}"
        for key in before | after
        if before.get(key) != after.get(key)
    )


def _by_key(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """The settings of nested tables by their whole names, such as "adam.rate"; a ramp is one setting."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        is_table = isinstance(value, dict) and "until" not in value
        found |= _by_key(value, f"{above}{key}.") if is_table else {above + key: value}
    return found
