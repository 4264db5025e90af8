"""What cannot be trained, found before any work: flags that nobody would heed, networks that cannot be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from i2itool.errors import InputError, OptionError, PresetError
from i2itool.networks import build, multiple_of
from i2itool.networks.adaptation import SIZE_PX

from .complaints import Misfit, refusal, spelled
from .config import GeneratorRecipe, Method, TrainConfig

# The parameters that only some methods heed.
_HEEDED_BY: dict[str, tuple[Method, ...]] = {
    "generator": ("cyclegan",),
    "lambda_cycle": ("cyclegan",),
    "lambda_identity": ("cyclegan",),
    "gan": ("cyclegan",),
    "pool_size": ("cyclegan",),
    "shared_blocks": ("unit",),
    "upsample": ("cyclegan", "unit"),
}
# Those of them that stand in a train.toml by the same name.
_KEYS_OF_A_FILE = ("gan", "pool_size")


def refuse_settings_of_another_method(method: str, flags: Mapping[str, Any], file: Mapping[str, Any]) -> None:
    """Raise OptionError for a flag, or a key of a train.toml, that `method` would pass over."""
    for name, methods in _HEEDED_BY.items():
        if method in methods:
            continue
        problem = f"only for {' and '.join(methods)}, and the method is {method}"
        hint = f"leave it out, or choose --method {methods[0]}"
        if flags[name] is not None:
            raise OptionError(f"{spelled(name)} {flags[name]}: {problem}", hint=hint)
        if name in _KEYS_OF_A_FILE and name in file:
            raise OptionError(f"{name} = {file[name]!r}: {problem}", hint=hint)


def refuse_lonely_flags(
    config: TrainConfig, flags: Mapping[str, Any], holdout: Path | None, features: Path | None
) -> None:
    """Raise OptionError for flags about held-out pictures that lack those that belong to them."""
    if holdout is None:
        remedy = "give --holdout ROOT"
        if config.eval_every:
            raise refusal(Misfit("no pictures are held out", "eval_every", remedy=remedy), flags)
        if features is not None:
            raise OptionError(f"--features {features}: no pictures are held out", hint=remedy)
        if flags["metric"] is not None:
            raise OptionError(f"--metric {flags['metric']}: no pictures are held out", hint=remedy)
    elif not config.eval_every:
        raise OptionError(f"--holdout {holdout}: they are never looked at", hint="give --eval-every STEPS")
    elif config.metric == "kid" and features is None:
        remedy = "give --features FILE, or choose another --metric"
        raise refusal(Misfit("KID needs a feature network", "metric", remedy=remedy), flags)


def refuse_impossible(config: TrainConfig, flags: Mapping[str, Any]) -> None:
    """Raise OptionError if the networks of `config` cannot be made, or do not take its crops.

    InputError if the weights of a network that it hears of are not there.
    """
    for path in (config.critic.features, config.distill.features):
        if path is not None and not Path(path).is_file():
            raise InputError(f"no such file: {path}")
    multiple = network_multiple(config.generator, flags)
    try:
        _check_crop(config, multiple)
    except Misfit as misfit:
        raise refusal(misfit, flags) from misfit


def network_multiple(generator: GeneratorRecipe, flags: Mapping[str, Any]) -> int:
    """What the sides of a generator's pictures are a multiple of; raises OptionError if it cannot be made."""
    try:
        with torch.device("meta"):  # nothing is computed, and the largest takes no memory
            return multiple_of(build(generator.name, **generator.hyper))
    except PresetError as error:
        about = [name for name in generator.hyper if name in re.findall(r"\w+", error.message)]
        keys = ("generator.name", *(f"generator.hyper.{name}" for name in about))
        misfit = Misfit(error.message, *keys, remedy=error.hint or "see docs/training.md")
        raise refusal(misfit, flags) from error


def _check_crop(config: TrainConfig, multiple: int) -> None:
    if config.method == "adapt":
        if (config.crop_px, config.load_px) != (SIZE_PX, SIZE_PX):
            remedy = f"crop_px = load_px = {SIZE_PX}"
            raise Misfit(f"a classifier learns on {SIZE_PX} px", "crop_px", "load_px", remedy=remedy)
        return
    least_px = _least_px(config, multiple)
    if config.crop_px < least_px:
        problem = f"a crop of {config.crop_px} px is too small for these networks"
        # `distill` has no flag for its critic.
        remedy = f"at least --size {least_px}" + (
            ", or a smaller --critic-depth" if config.method != "distill" else ""
        )
        raise Misfit(problem, "crop_px", "critic.depth", remedy=remedy)
    if config.crop_px % multiple:
        nearest = config.crop_px // multiple * multiple
        problem = f"the crop of {config.crop_px} px must be a multiple of {multiple}"
        raise Misfit(problem, "crop_px", "generator.name", remedy=f"--size {nearest}")


def refuse_lonely_flags_of_a_classifier(config: TrainConfig, flags: Mapping[str, Any]) -> None:
    """Raise OptionError for flags of `i2itool adapt` that would do nothing for want of another."""
    weights = config.adapt
    for name, needed, is_there in (
        ("balance", "--self-training WEIGHT", weights.self_trains),
        ("threshold", "--self-training WEIGHT", weights.self_trains),
        ("views", "--self-training WEIGHT and --vary", weights.self_trains and bool(weights.vary)),
    ):
        _refuse_alone(flags, name, needed, is_there=is_there)
    if weights.translate_every > config.steps:
        remedy = f"at most --translate-every {config.steps}"
        misfit = Misfit("no step would translate", "adapt.translate_every", "steps", remedy=remedy)
        raise refusal(misfit, flags)


def _least_px(config: TrainConfig, multiple: int) -> int:
    """The smallest crop that generator and critics take."""
    # A trunk reflects at its edges, and so needs two pixels; a U-Net may go down to one.
    of_generator = multiple if config.generator.name == "unet" else 2 * multiple
    # UNIT's critics pad with zeros and so take anything.
    of_critics = 4 * 2**config.critic.depth if config.method != "unit" else 1
    return -(-max(of_generator, of_critics) // multiple) * multiple


def refuse_lonely_flags_of_a_student(flags: Mapping[str, Any], holdout: Path | None) -> None:
    """Raise OptionError for flags of `i2itool distill` that would do nothing for want of another."""
    for name, needed, is_there in (
        ("eval_every", "--holdout FOLDER", holdout is not None),
        ("lambda_features", "--features FILE", flags["features"] is not None),
    ):
        _refuse_alone(flags, name, needed, is_there=is_there)


def _refuse_alone(flags: Mapping[str, Any], name: str, needed: str, *, is_there: bool) -> None:
    if flags[name] is not None and not is_there:
        raise OptionError(f"{spelled(name)} {flags[name]}: does nothing by itself", hint=f"give {needed}")
