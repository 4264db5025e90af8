"""What is wrong with a recipe, in the words in which it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from i2itool.errors import OptionError, TrainingError

# Keys of a recipe that have another name as flags.
_FLAGS = {
    "name": "--name",
    "crop_px": "--size",
    "load_px": "--load-size",
    "adam.rate": "--lr",
    "adam.beta1": "--beta1",
    "critic.width": "--critic-width",
    "critic.depth": "--critic-depth",
    "cyclegan.cycle": "--lambda-cycle",
    "cyclegan.identity": "--lambda-identity",
    "distill.l1": "--lambda-l1",
    "distill.perceptual": "--lambda-features",
    "distill.adversarial": "--lambda-adversarial",
}
# The flags that only CycleGAN heeds.
_OF_CYCLEGAN = {"lambda_cycle": "--lambda-cycle", "lambda_identity": "--lambda-identity", "gan": "--gan"}


def complaint(error: ValidationError, flags: Mapping[str, Any]) -> TrainingError | OptionError:
    """The first problem of a recipe: the flag if it was given by one, else the key; and the value."""
    problems = error.errors()
    # Another may follow from what a flag says, as the picture's size does from the crop's.
    first = next((item for item in problems if _flag(item["loc"], flags)), problems[0])
    problem = first["msg"].removeprefix("Value error, ")
    if flag := _flag(first["loc"], flags):
        return OptionError(f"{flag} {first['input']}: {problem}")
    if not first["loc"]:
        return TrainingError(problem, hint="see docs/training.md")
    key = ".".join(str(part) for part in first["loc"])
    return TrainingError(f"{key} = {first['input']!r}: {problem}", hint="see docs/training.md")


def refuse_flags_of_another_method(method: str, flags: Mapping[str, Any]) -> None:
    """Raise OptionError for flags that a method would pass over."""
    if method == "cyclegan":
        return
    given = [name for flag, name in _OF_CYCLEGAN.items() if flags[flag] is not None]
    if given:
        raise OptionError(f"{' and '.join(given)}: of CycleGAN, and the method is {method}")


def _flag(path: tuple[int | str, ...], flags: Mapping[str, Any]) -> str | None:
    """The flag by which a key of the recipe was given; None if by none."""
    key = [str(part) for part in path[:2]]
    value: Any = flags
    for part in key:
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if value is None else _FLAGS.get(".".join(key))
