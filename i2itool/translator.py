"""A generator and its engine, behind arrays of pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2itool.affine import CAUTIOUS, OPEN
from i2itool.device import resolve_device
from i2itool.engine.base import Engine
from i2itool.engine.cache import fingerprint
from i2itool.engine.ladder import Ladder
from i2itool.engine.select import Wish
from i2itool.errors import EngineError, OutOfMemory
from i2itool.frames import AnyPixels, Levels, Pixels
from i2itool.networks import draws_over_input, multiple_of
from i2itool.networks.steady import Statistics, SteadyGenerator
from i2itool.options import BatchSize
from i2itool.pixels import pad_pixels, padded_size, to_levels, to_network
from i2itool.work_size import resized, translate_at, work_size

# Under this name in what a conversion keeps for another run.
_STEPS_DOWN = "steps down for lack of memory"


class Translator:
    """A network that translates pictures of any size, in one direction.

    An engine is opened when a size is first met, and only the latest is kept. When memory runs out, the
    work goes on by smaller steps, which the log tells of; no picture is lost.
    batch_size: how many frames should come together.
    Close it after use; it is a context manager.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
        batch_size: BatchSize = 1,
        work_px: int | None = None,
    ) -> None:
        """work_px: short side at which the network sees larger pictures; None for their own.

        batch_size: "auto" is 1, until `prepare` finds out what is faster.
        """
        self._network = network
        self._is_batch_size_open = batch_size == "auto"
        self.batch_size = 1 if batch_size == "auto" else batch_size
        self._ladder = Ladder(network, Wish(engine, precision, device), self.batch_size)
        self._work_px = work_px
        # In the light that the network adds, when its result is carried to full size.
        self.trust = OPEN if draws_over_input(network) else CAUTIOUS
        self._device = device
        self._steady: SteadyGenerator | None = None
        self._hardware = ""

    def prepare(
        self,
        height: int,
        width: int,
        sample: Callable[[], AnyPixels] | None = None,
        *,
        num_frames: int | None = None,
        batch_size: int | None = None,
    ) -> str:
        """Open the engine for pictures of a size, in pixels; gives its name and its precision.

        sample: gives N,H,W,3 real pictures of that size, on which the engine is held against PyTorch.
        num_frames: that there will be, if that is known: how much a search for the batch size may cost.
        batch_size: what it is to be instead of a search. Both only if it is "auto".
        Raises EngineError if the engine or the device cannot be had.
        """
        size = self.work_size(height, width)
        padded = padded_size(*size, multiple_of(self._network))
        floats = None if sample is None else lambda: self._floats(resized(sample(), size))
        if self._is_batch_size_open and batch_size is None:
            self._ladder.find_batch_size(padded, floats, num_frames)
            self.batch_size = self._ladder.batch_size
        elif self._is_batch_size_open and batch_size is not None:
            self._ladder.ask_for(batch_size)
            self.batch_size = batch_size
        engine = self._ladder.engine(padded, floats)
        self._hardware = engine.hardware
        return f"{engine.name} {engine.precision} at {size[1]}x{size[0]}"

    @property
    def hardware(self) -> str:
        """What the rounding of the engine that `prepare` opened depends on, see `Engine`."""
        return self._hardware

    @property
    def device(self) -> torch.device:
        """Where the network computes; before an engine is open, where it is asked to.

        Raises EngineError if there is no such device.
        """
        return self._ladder.device

    def fingerprint(self) -> str:
        """SHA-256 of the network, of its layers and their weights, in hexadecimal."""
        return fingerprint(self._network)

    def translate(self, pixels: NDArray[Levels]) -> NDArray[Levels]:
        """Translate N,H,W,3 uint8 or uint16 RGB; shape and dtype come back, whatever N, H and W are.

        Raises EngineError if the engine or the device cannot be had.
        """
        return translate_at(self.work_size(*pixels.shape[1:3]), pixels, self._translate, self.trust)

    def translate_steadily(
        self, pixels: NDArray[Levels], shares: Sequence[float], statistics: Statistics | None
    ) -> tuple[NDArray[Levels], Statistics]:
        """The same for frames in order of time, with normalisation that remembers; see `SteadyGenerator`.

        It is PyTorch that computes, in float32, whatever the engine. Raises EngineError if nothing in the
        network can remember.
        """
        if self._steady is None:
            self._steady = SteadyGenerator(self._network, resolve_device(self._device))
        if self._steady.num_norms == 0:
            raise EngineError("this network has no InstanceNorm to smooth", hint="--smooth recursion")
        steady, remembered, multiple = self._steady, statistics, multiple_of(self._network)

        def run(at_work: NDArray[Levels]) -> NDArray[Levels]:
            nonlocal remembered
            floats, remembered = steady(to_network(at_work, multiple_of=multiple), shares, statistics)
            height, width = at_work.shape[1:3]
            return to_levels(floats, at_work.dtype.type, height=height, width=width)

        translated = translate_at(self.work_size(*pixels.shape[1:3]), pixels, run, self.trust)
        assert remembered is not None
        return translated, remembered

    def reduced(self, pixels: AnyPixels) -> AnyPixels:
        """A picture H,W,3 as the network is to see it; itself if it is no larger."""
        small: AnyPixels = resized(pixels[None], self.work_size(*pixels.shape[:2]))[0]
        return small

    def work_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which the network sees pictures of a size; their own if they are no larger."""
        return work_size(height, width, self._work_px, multiple_of(self._network))

    def _translate(self, pixels: NDArray[Levels]) -> NDArray[Levels]:
        """The same, at the size that the pictures have."""
        height, width = pixels.shape[1:3]
        waiting = pad_pixels(pixels, multiple_of(self._network))
        done: list[NDArray[Levels]] = []
        while len(waiting):
            engine = self._ladder.engine(waiting.shape[1:3], lambda: self._floats(pixels))
            piece = waiting[: engine.batch_size]
            try:
                done.append(_run(engine, piece))
            except OutOfMemory as error:
                self._ladder.go_down(error)
                continue
            waiting = waiting[len(piece) :]
        return np.concatenate(done)[:, :height, :width]

    def state(self) -> dict[str, NDArray[np.int64]]:
        """What another run has to know to go on alike: empty, unless memory has run out."""
        steps = self._ladder.num_steps_down
        return {_STEPS_DOWN: np.array(steps)} if steps else {}

    def resume(self, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Go on where the run that left `state` had got to; returns what in it is not the translator's."""
        if _STEPS_DOWN in state:
            self._ladder.restore(int(state[_STEPS_DOWN]))
        return {name: values for name, values in state.items() if name != _STEPS_DOWN}

    def close(self) -> None:
        """Free the engine; a second call does nothing."""
        self._ladder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _floats(self, pixels: AnyPixels) -> Tensor:
        """What the engine is tried and calibrated on: pictures as it takes them."""
        return to_network(pixels, multiple_of=multiple_of(self._network))


def _run(engine: Engine, pixels: NDArray[Levels]) -> NDArray[Levels]:
    """Translate pictures of the engine's own size; 16 bits go through floats, which hold them."""
    if pixels.dtype == np.uint8:
        return cast(NDArray[Levels], engine.translate_pixels(cast(Pixels, pixels)))
    height, width = engine.size
    return to_levels(engine(to_network(pixels)), pixels.dtype.type, height=height, width=width)
