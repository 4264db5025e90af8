"""Down the ladder when memory runs out: fewer pictures at once, tiles, the CPU; no picture is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from i2itool.device import resolve_device
from i2itool.engine.base import Build, Engine
from i2itool.engine.batching import best_of, time_runs, try_batches
from i2itool.engine.demand import require_memory
from i2itool.engine.select import Wish, open_engine
from i2itool.errors import OutOfMemory
from i2itool.profile import stage

logger = logging.getLogger("i2itool.engine")


@dataclass(frozen=True, slots=True)
class Step:
    """Where on the ladder an engine stands: what is asked for, and the most pictures at once."""

    wish: Wish
    batch_size: int

    def words(self) -> str:
        """For the log: what is new on this step."""
        where = "" if self.wish.device == "auto" else f" on {self.wish.device}"
        name = "" if self.wish.engine == "auto" else f"engine {self.wish.engine}"
        pictures = "1 picture" if self.batch_size == 1 else f"{self.batch_size} pictures"
        return f"{name}{where} with {pictures} at once".strip()


def below(step: Step, wished: Wish, device_type: str) -> Step | None:
    """The next step down; None if there is none that the user has not ruled out.

    wished: what was asked for first; an engine, a precision or a device that was named is not replaced.
    device_type: where the step that failed computes.
    """
    if step.batch_size > 1:
        return replace(step, batch_size=step.batch_size // 2)
    may_tile = wished.engine == "auto" and wished.precision in ("auto", "fp32")
    if may_tile and step.wish.engine != "tiles":
        return Step(replace(step.wish, engine="tiles"), 1)
    if device_type != "cpu" and wished.device == "auto" and wished.engine == "auto":
        return Step(replace(wished, device="cpu"), 1)
    return None


class Ladder:
    """The engine of a network at the size that is needed, on the highest step that fits into memory.

    Once down it stays down. Close it after use.
    """

    def __init__(self, network: nn.Module, wish: Wish, batch_size: int) -> None:
        self._network = network
        self._wished = wish
        self._steps = [Step(wish, batch_size)]
        self._engine: Engine | None = None
        self._has_announced = False
        self._opening_seconds = 0.0

    @property
    def batch_size(self) -> int:
        """The most pictures at once, at present."""
        return self._steps[-1].batch_size

    def ask_for(self, batch_size: int) -> None:
        """Take so many pictures at once from now on, unless memory has run out before."""
        if self.num_steps_down == 0:
            self._steps = [Step(self._wished, batch_size)]

    def find_batch_size(
        self, size: tuple[int, int], sample: Callable[[], Tensor] | None, num_frames: int | None
    ) -> None:
        """Try how many pictures at once go fastest, and take as many from now on; else as `engine`.

        num_frames: that there are to do, if that is known.
        """
        self.ask_for(1)
        engine = self.engine(size, sample)
        if self.num_steps_down or engine.most_useful == 1:
            return
        is_any_size = engine.resize(size, engine.batch_size)
        try:
            trials = try_batches(
                lambda count: self._seconds_of(count, size, sample),
                largest=engine.most_useful,
                num_frames=num_frames,
                opening_seconds=0.0 if is_any_size else self._opening_seconds,
            )
        except OutOfMemory as error:
            self.go_down(error)
            return
        best = best_of(trials)
        self.ask_for(best.batch_size)
        tried = ", ".join(f"{trial.frames_per_second:.2f} with {trial.batch_size}" for trial in trials)
        logger.info("batch size: %d, chosen by 'auto' (frames/s: %s)", best.batch_size, tried)

    def _seconds_of(
        self, batch_size: int, size: tuple[int, int], sample: Callable[[], Tensor] | None
    ) -> float:
        self.ask_for(batch_size)
        engine = self._engine_for(size, sample)
        pixels = np.random.default_rng(0).integers(0, 256, (batch_size, *size, 3), np.uint8)
        with stage("network"):
            return time_runs(lambda: engine.translate_pixels(pixels))

    @property
    def num_steps_down(self) -> int:
        """How often memory has run out."""
        return len(self._steps) - 1

    @property
    def device(self) -> torch.device:
        """Where the engine computes; before one is open, where it is asked for; raises EngineError."""
        return resolve_device(self._steps[-1].wish.device) if self._engine is None else self._engine.device

    def engine(self, size: tuple[int, int], sample: Callable[[], Tensor] | None) -> Engine:
        """The engine for pictures of a size (height, width); see `open_engine`, whose errors it raises.

        Raises OutOfMemory only if there is no lower step.
        """
        while True:
            try:
                return self._engine_for(size, sample)
            except OutOfMemory as error:
                self.go_down(error)

    def go_down(self, error: OutOfMemory) -> None:
        """Close the engine and take the next step down, saying so; raises `error` if there is none."""
        step = self._steps[-1]
        device_type = self._device_type()
        lower = below(step, self._wished, device_type)
        self.close()
        if lower is None:
            raise error
        logger.warning("%s: going on with %s", error.message, lower.words())
        self._steps.append(lower)

    def restore(self, num_steps_down: int) -> None:
        """Go down to where another run had got to, as far as there are steps."""
        while self.num_steps_down < num_steps_down:
            lower = below(self._steps[-1], self._wished, self._device_type())
            if lower is None:
                return
            self.close()
            logger.warning("memory ran out before: going on with %s", lower.words())
            self._steps.append(lower)

    def close(self) -> None:
        """Free the engine; a later call of `engine` opens another one."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _engine_for(self, size: tuple[int, int], sample: Callable[[], Tensor] | None) -> Engine:
        step = self._steps[-1]
        asked = (size, step.batch_size)
        if self._engine is not None and (self._engine.size, self._engine.batch_size) == asked:
            return self._engine
        if self._engine is not None and self._engine.resize(size, step.batch_size):
            engine = self._engine
            build = Build(self._network, size, step.batch_size, engine.device, engine.precision)
            require_memory(engine.name, build)
            return engine
        self.close()
        started = time.monotonic()
        with stage("network"):
            self._engine = open_engine(
                step.wish.engine,
                self._network,
                size=size,
                batch_size=step.batch_size,
                device=step.wish.device,
                precision=step.wish.precision,
                sample=sample,
                # Pictures of many sizes may open many engines, all chosen alike.
                log_level=logging.DEBUG if self._has_announced else logging.INFO,
            )
        self._has_announced = True
        self._opening_seconds = time.monotonic() - started
        return self._engine

    def _device_type(self) -> str:
        """Where the present step computes, also if no engine could be opened there."""
        if self._engine is not None:
            return self._engine.device.type
        device = self._steps[-1].wish.device
        if device != "auto":
            return device.partition(":")[0]
        return "cuda" if torch.cuda.is_available() else "cpu"
