"""Does a build compute what the network says? One real batch, held against PyTorch in float32."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from i2itool.engine.base import Build, Engine
from i2itool.engine.cache import blob_key, user_cache
from i2itool.engine.eager import EagerEngine
from i2itool.errors import EngineError, OutOfMemory
from i2itool.networks import multiple_of
from i2itool.pixels import to_network, to_pixels

logger = logging.getLogger("i2itool.engine")

LEAST_PSNR_DB = 40.0
LEAST_PSNR_DB_INT8 = 35.0
_TRIAL_SIDE_PX = 256
# Of two equal outputs, so that the figure stays one that JSON knows.
_HIGHEST_PSNR_DB = 200.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How near an engine comes to float32 PyTorch. psnr_db: of outputs in [-1, 1], all pictures together."""

    is_finite: bool
    psnr_db: float

    def complaint(self, precision: str) -> str | None:
        """What is wrong with an engine in `precision`; None if nothing."""
        if not self.is_finite:
            return "its output is not finite"
        least = LEAST_PSNR_DB_INT8 if precision == "int8" else LEAST_PSNR_DB
        if self.psnr_db < least:
            return f"its output is {self.psnr_db:.1f} dB from float32, less than {least:.0f} dB"
        return None


def judge(engine: Engine, build: Build) -> Verdict | None:
    """Hold an engine against PyTorch in float32 on the sample of `build`: its floats, and its bytes.

    A build for every size is tried on the middle of the pictures, which takes less time.
    None if there is no sample, or if the device has too little memory for PyTorch itself.
    """
    if build.sample is None:
        return None
    batch = build.sample()[: build.batch_size]
    middle = _middle(batch, multiple_of(build.network))
    height, width = middle.shape[2:]
    if not engine.resize((height, width), len(middle)):
        middle, (height, width) = batch, build.size
    try:
        expected = _reference(middle, build)
        floats = compare(engine(middle), expected)
        pixels = engine.translate_pixels(to_pixels(middle, height=height, width=width))
        return min(floats, compare(to_network(pixels), expected), key=lambda verdict: verdict.psnr_db)
    except OutOfMemory as error:
        logger.info("engine %s is not held against PyTorch: %s", engine.name, error.message)
        return None
    finally:
        engine.resize(build.size, build.batch_size)


def _reference(batch: Tensor, build: Build) -> Tensor:
    size = (batch.shape[2], batch.shape[3])
    exact = replace(build, size=size, batch_size=1, precision="fp32")
    with EagerEngine(exact) as reference:
        return torch.cat([reference(picture[None]) for picture in batch])


def _middle(batch: Tensor, multiple: int) -> Tensor:
    """The middle of pictures N,3,H,W, no larger than it has to be for a fair trial."""
    side = max(multiple, _TRIAL_SIDE_PX // multiple * multiple)
    top, left = (max(0, (length - side) // 2) for length in batch.shape[2:])
    return batch[:, :, top : top + side, left : left + side].contiguous()


def compare(found: Tensor, expected: Tensor) -> Verdict:
    """The distance of outputs in [-1, 1] of one shape."""
    if not torch.isfinite(found).all():
        return Verdict(is_finite=False, psnr_db=0.0)
    error = (found.double() - expected.double()).square().mean().item()
    return Verdict(True, min(_HIGHEST_PSNR_DB, 10 * math.log10(4 / error)) if error else _HIGHEST_PSNR_DB)


def ensure_parity(engine: Engine, build: Build, identity: dict[str, object]) -> None:
    """Raise EngineError unless the engine passes; what was found of a build is remembered.

    identity: all that the build depends on, as in the key of its blob.
    """
    if isinstance(engine, EagerEngine):
        return  # it is what the others are held against
    key, cache = blob_key({**identity, "what": "parity"}), user_cache()
    known = cache.load(key)
    verdict = Verdict(**json.loads(known)) if known is not None else judge(engine, build)
    if verdict is None:
        return
    if known is None:
        cache.store(key, json.dumps(asdict(verdict)).encode())
        logger.debug("engine %s (%s): %.1f dB from float32", engine.name, engine.precision, verdict.psnr_db)
    if complaint := verdict.complaint(engine.precision):
        raise EngineError(f"engine '{engine.name}' in {engine.precision} is refused: {complaint}")
