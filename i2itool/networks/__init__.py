"""Generators: what inference runs and the trainer fits. `build` makes one by name."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, Protocol, cast, get_args

from torch import Tensor, nn

from i2itool.errors import PresetError
from i2itool.networks.adaptation import Unit32Translator
from i2itool.networks.blocks import Norm, Upsample
from i2itool.networks.cyclegan import ResnetGenerator, UnetGenerator
from i2itool.networks.light import LightGenerator
from i2itool.networks.unit import Unit2018Vae, UnitTranslator


class Generator(Protocol):
    """A module that maps N,3,H,W in [-1, 1] to the same shape, for H and W multiples of `multiple_of`."""

    multiple_of: int

    def __call__(self, x: Tensor) -> Tensor:
        """Translate a batch."""
        ...


GENERATORS: dict[str, Callable[..., nn.Module]] = {
    "resnet": ResnetGenerator,
    "light": LightGenerator,
    "unet": UnetGenerator,
    "unit": UnitTranslator,
    "unit2018": Unit2018Vae,
    "unit32": Unit32Translator,
}


_CHOICES = {"norm": get_args(Norm), "upsample": get_args(Upsample)}
_FLAGS = ("dropout", "gain")
_SMALLEST = {"blocks": 0, "shared_blocks": 0, "depth": 5}  # a U-Net has five levels of its own widths


def build(name: str, **hyper: Any) -> nn.Module:  # Any: each generator has hyper-parameters of its own
    """Make the generator `name` with fresh weights; it follows the `Generator` protocol.

    name: resnet, light, unet, unit, unit2018 or unit32.  hyper: keyword arguments of its class.
    Raises PresetError for an unknown name, a hyper-parameter that the generator does not have, or an
    impossible value of one.
    """
    if name not in GENERATORS:
        raise PresetError(f"unknown network: {name}", hint=f"one of {', '.join(GENERATORS)}")
    known = signature(GENERATORS[name]).parameters
    for key, value in hyper.items():
        if key not in known:
            raise PresetError(f"network '{name}' has no setting {key}", hint=f"it has {', '.join(known)}")
        _check(name, key, value)
    return GENERATORS[name](**hyper)


def _check(name: str, key: str, value: object) -> None:
    """Hyper-parameters come from files that people write: refuse what a constructor would misread."""
    if key in _CHOICES:
        wanted = f"one of {', '.join(_CHOICES[key])}"
        is_right = value in _CHOICES[key]
    elif key in _FLAGS:
        wanted = "true or false"
        is_right = isinstance(value, bool)
    else:
        smallest = _SMALLEST.get(key, 1)
        wanted = f"a whole number, {smallest} or more"
        is_right = isinstance(value, int) and not isinstance(value, bool) and value >= smallest
    if not is_right:
        raise PresetError(f"network '{name}' cannot have {key} = {value!r}", hint=wanted)


def multiple_of(network: nn.Module) -> int:
    """The number of pixels that both sides of a network's input must be a multiple of."""
    return cast(Generator, network).multiple_of


def draws_over_input(network: nn.Module) -> bool:
    """Whether a network's output is its input, changed smoothly, so that its edges are the input's own."""
    return isinstance(network, LightGenerator)
