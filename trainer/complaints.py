"""What is wrong with a recipe, in the words in which it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from i2itool.errors import OptionError

# Keys of a recipe that have another name among the commands' parameters.
_PARAMETERS = {
    "adam.rate": "lr",
    "adam.beta1": "beta1",
    "adam.policy": "lr_policy",
    "critic.width": "critic_width",
    "critic.depth": "critic_depth",
    "critic.features": "critic_features",
    "generator.name": "generator",
    "generator.hyper.width": "width",
    "generator.hyper.blocks": "blocks",
    "generator.hyper.upsample": "upsample",
    "generator.hyper.shared_blocks": "shared_blocks",
    "cyclegan.cycle": "lambda_cycle",
    "cyclegan.identity": "lambda_identity",
    "distill.l1": "lambda_l1",
    "distill.perceptual": "lambda_features",
    "distill.adversarial": "lambda_adversarial",
    "adapt.names": "lambda_names",
    "adapt.names_translated": "lambda_names_translated",
    "adapt.features": "lambda_features",
    "adapt.self_training": "self_training",
    "adapt.balance": "balance",
    "adapt.threshold": "threshold",
    "adapt.views": "views",
    "adapt.dropout": "dropout",
    "adapt.translate_every": "translate_every",
}
# Parameters that are spelled otherwise as flags.
_SPELLED = {"crop_px": "--size", "load_px": "--load-size"}


class Misfit(ValueError):
    """Settings of a recipe, by their keys, that do not go together; `remedy` says what helps."""

    def __init__(self, problem: str, *keys: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.keys = keys
        self.remedy = remedy


def complaint(error: ValidationError, flags: Mapping[str, Any]) -> OptionError:
    """The first problem of a recipe, and the flag that it came by, else its key; with the value.

    flags: by the names of the command's parameters; None stands for one that was not given.
    """
    problems = error.errors()
    # Another may follow from what a flag says, as the picture's size does from the crop's.
    first = next((item for item in problems if _given(_key(item["loc"]), flags)), problems[0])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, Misfit):
        return refusal(cause, flags)
    problem = first["msg"].removeprefix("Value error, ")
    key = _key(first["loc"])
    if given := _given(key, flags):
        return OptionError(f"{given}: {problem}")
    return OptionError(f"{key} = {first['input']!r}: {problem}", hint="see docs/training.md")


def refusal(misfit: Misfit, flags: Mapping[str, Any]) -> OptionError:
    """What does not go together, by the flags that say it, or by the recipe's keys if none does."""
    given = [said for key in misfit.keys if (said := _given(key, flags))]
    *others, last = given or misfit.keys
    named = f"{', '.join(others)} with {last}" if others else last
    return OptionError(f"{named}: {misfit.problem}", hint=misfit.remedy)


def spelled(parameter: str) -> str:
    """A command's parameter as the flag that a user writes."""
    return _SPELLED.get(parameter, "--" + parameter.replace("_", "-"))


def _given(key: str, flags: Mapping[str, Any]) -> str | None:
    """The flag by which a key of the recipe was given, with its value; None if by none."""
    parameter = _PARAMETERS.get(key, key)
    value = flags.get(parameter)
    return None if value is None else f"{spelled(parameter)} {value}"


def _key(path: tuple[int | str, ...]) -> str:
    """The key of the recipe that a place in it belongs to: a weight is one, though it may be a table."""
    parts = [str(part) for part in path]
    known = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((key for key in known if key in _PARAMETERS), ".".join(parts))
