"""A preset for arrays of pictures, as the Python API offers it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np

from i2itool.errors import InputError
from i2itool.frames import Pixels
from i2itool.options import Direction
from i2itool.preset import Preset, find_preset
from i2itool.translator import Translator
from i2itool.weights import load_network
from i2itool.work_size import parse_work_size


class LoadedPreset:
    """A preset ready to translate pictures; close it after use, it is a context manager.

    preset: what preset.toml says.
    """

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self._translators: dict[tuple[str, str], Translator] = {}

    def translate(self, rgb: Pixels, direction: Direction = "a2b", engine: str = "auto") -> Pixels:
        """Translate a picture (H,W,3 uint8 RGB) or several (N,H,W,3); the same shape comes back.

        Raises InputError for any other array, PresetError if the preset cannot go that way, EngineError if
        the engine cannot be had.
        """
        batch = _checked_batch(rgb)
        key = (direction, engine)
        if key not in self._translators:
            network, work_px = load_network(self.preset, direction), parse_work_size("auto", self.preset)
            self._translators[key] = Translator(network, engine=engine, work_px=work_px)
        return self._translators[key].translate(batch).reshape(rgb.shape)

    def close(self) -> None:
        """Free every engine; a second call does nothing."""
        for translator in self._translators.values():
            translator.close()
        self._translators.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load_preset(name: str) -> LoadedPreset:
    """Find a preset by name or path, to translate arrays with; its weights are loaded on first use.

    Raises PresetError if there is none, naming those that there are.
    """
    return LoadedPreset(find_preset(name))


def _checked_batch(rgb: Pixels) -> Pixels:
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = rgb.dtype if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise InputError(f"pictures must be arrays of uint8, not {kind}", hint="levels from 0 to 255")
    if rgb.ndim not in (3, 4) or rgb.shape[-1] != 3 or 0 in rgb.shape:
        raise InputError(f"pictures must be H,W,3 or N,H,W,3, not {rgb.shape}", hint="RGB, without alpha")
    return rgb if rgb.ndim == 4 else rgb[None]
