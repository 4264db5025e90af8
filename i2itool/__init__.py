"""Fit an unpaired image translator on two folders, then run it over videos and pictures.

Every public name is loaded on first use (PEP 562), so that `import i2itool` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from i2itool import engine as engine
    from i2itool import errors as errors
    from i2itool import networks as networks
    from i2itool.conversion import Converted as Converted
    from i2itool.conversion import convert as convert
    from i2itool.errors import EngineError as EngineError
    from i2itool.errors import I2IError as I2IError
    from i2itool.errors import InputError as InputError
    from i2itool.errors import MissingExtra as MissingExtra
    from i2itool.errors import OptionError as OptionError
    from i2itool.errors import OutputError as OutputError
    from i2itool.errors import PresetError as PresetError
    from i2itool.errors import TrainingError as TrainingError
    from i2itool.jobs.outcome import Outcome as Outcome
    from i2itool.jobs.run import convert_many as convert_many
    from i2itool.loaded import load_preset as load_preset
    from i2itool.options import ConvertOptions as ConvertOptions

__version__ = "0.1.0"

_MODULES = ("engine", "errors", "networks")
_HOMES = {
    "ConvertOptions": "options",
    "Converted": "conversion",
    "EngineError": "errors",
    "I2IError": "errors",
    "InputError": "errors",
    "OptionError": "errors",
    "MissingExtra": "errors",
    "Outcome": "jobs.outcome",
    "OutputError": "errors",
    "PresetError": "errors",
    "TrainingError": "errors",
    "convert": "conversion",
    "convert_many": "jobs.run",
    "load_preset": "loaded",
}

__all__ = ["__version__", *_MODULES, *_HOMES]


if not TYPE_CHECKING:  # a type checker would take any misspelt name for a lazy one

    def __getattr__(name: str) -> object:
        """Load a public name on first use; raises AttributeError for any other."""
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
