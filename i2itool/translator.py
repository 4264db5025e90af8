"""A generator and its engine, behind arrays of pixels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from i2itool.engine import open_engine
from i2itool.engine.base import Engine
from i2itool.engine.cache import fingerprint
from i2itool.errors import InputError
from i2itool.frames import AnyPixels, Levels, Pixels
from i2itool.networks import multiple_of
from i2itool.options import Direction
from i2itool.pixels import pad_pixels, padded_size, to_levels, to_network
from i2itool.preset import Preset, find_preset
from i2itool.weights import load_network
from i2itool.work_size import parse_work_size, resized, translate_at, work_size


class Translator:
    """A network that translates pictures of any size, in one direction.

    An engine serves one size; it is opened when a size is first met, and only the latest is kept.
    Close it after use; it is a context manager.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
        batch_size: int = 1,
        work_px: int | None = None,
    ) -> None:
        """work_px: short side at which the network sees larger pictures; None for their own."""
        self._network = network
        self._engine_name = engine
        self._precision = precision
        self._device = device
        self._batch_size = batch_size
        self._work_px = work_px
        self._engine: Engine | None = None
        self._size = (0, 0)
        self._has_announced = False

    def prepare(self, height: int, width: int, sample: Callable[[], AnyPixels] | None = None) -> str:
        """Open the engine for pictures of a size, in pixels; gives its name and its precision.

        sample: gives N,H,W,3 real pictures of that size, on which the engine is held against PyTorch.
        Raises EngineError if the engine or the device cannot be had.
        """
        size = self._work_size(height, width)
        engine = self._engine_for(
            padded_size(*size, multiple_of(self._network)), sample and (lambda: resized(sample(), size))
        )
        return f"{engine.name} {engine.precision} at {size[1]}x{size[0]}"

    def fingerprint(self) -> str:
        """SHA-256 of the network, of its layers and their weights, in hexadecimal."""
        return fingerprint(self._network)

    def translate(self, pixels: NDArray[Levels]) -> NDArray[Levels]:
        """Translate N,H,W,3 uint8 or uint16 RGB; shape and dtype come back, whatever N, H and W are.

        Raises EngineError if the engine or the device cannot be had.
        """
        return translate_at(self._work_size(*pixels.shape[1:3]), pixels, self._translate)

    def _work_size(self, height: int, width: int) -> tuple[int, int]:
        return work_size(height, width, self._work_px, multiple_of(self._network))

    def _translate(self, pixels: NDArray[Levels]) -> NDArray[Levels]:
        """The same, at the size that the pictures have."""
        height, width = pixels.shape[1:3]
        padded = pad_pixels(pixels, multiple_of(self._network))
        engine = self._engine_for(padded.shape[1:3], lambda: pixels)
        pieces = [_run(engine, piece) for piece in _pieces(padded, self._batch_size)]
        return np.concatenate(pieces)[:, :height, :width]

    def close(self) -> None:
        """Free the engine; a second call does nothing."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _engine_for(self, size: tuple[int, int], sample: Callable[[], AnyPixels] | None) -> Engine:
        if self._engine is not None and self._size != size and self._engine.resize(size, self._batch_size):
            self._size = size
        if self._engine is None or self._size != size:
            self.close()
            self._engine = open_engine(
                self._engine_name,
                self._network,
                size=size,
                batch_size=self._batch_size,
                device=self._device,
                precision=self._precision,
                sample=None if sample is None else lambda: self._floats(sample()),
                # Pictures of many sizes open many engines, all chosen alike.
                log_level=logging.DEBUG if self._has_announced else logging.INFO,
            )
            self._size = size
            self._has_announced = True
        return self._engine

    def _floats(self, pixels: AnyPixels) -> Tensor:
        """What the engine is tried and calibrated on: pictures as it takes them."""
        return to_network(pixels, multiple_of=multiple_of(self._network))


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


def _run(engine: Engine, pixels: NDArray[Levels]) -> NDArray[Levels]:
    """Translate pictures of the engine's own size; 16 bits go through floats, which hold them."""
    if pixels.dtype == np.uint8:
        return cast(NDArray[Levels], engine.translate_pixels(cast(Pixels, pixels)))
    height, width = engine.size
    return to_levels(engine(to_network(pixels)), pixels.dtype.type, height=height, width=width)


def _pieces(pixels: NDArray[Levels], batch_size: int) -> list[NDArray[Levels]]:
    return [pixels[start : start + batch_size] for start in range(0, len(pixels), batch_size)]


def _checked_batch(rgb: Pixels) -> Pixels:
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = rgb.dtype if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise InputError(f"pictures must be arrays of uint8, not {kind}", hint="levels from 0 to 255")
    if rgb.ndim not in (3, 4) or rgb.shape[-1] != 3 or 0 in rgb.shape:
        raise InputError(f"pictures must be H,W,3 or N,H,W,3, not {rgb.shape}", hint="RGB, without alpha")
    return rgb if rgb.ndim == 4 else rgb[None]
