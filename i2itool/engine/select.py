"""Which engine runs a network: the one asked for, or the fastest that works here, with reasons."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import cast

import torch
from torch import Tensor, nn

from i2itool.device import resolve_device
from i2itool.engine.base import Build, Engine, EngineKind
from i2itool.engine.cache import build_identity
from i2itool.engine.demand import require_memory
from i2itool.engine.parity import ensure_parity
from i2itool.errors import EngineError, MissingExtra, OutOfMemory
from i2itool.networks import multiple_of
from i2itool.options import PRECISION_CHOICES, Precision

logger = logging.getLogger("i2itool.engine")


@dataclass(frozen=True, slots=True)
class Rung:
    """An engine of the table.

    needs: the package that must be there.  pip: what to install to have it.  device_types: what it runs on.
    """

    module: str
    class_name: str
    needs: str
    pip: str
    device_types: tuple[str, ...]


ENGINES: dict[str, Rung] = {
    "tensorrt": Rung(
        "i2itool.engine.tensorrt", "TensorRtEngine", "torch_tensorrt", "i2itool[tensorrt]", ("cuda",)
    ),
    "inductor": Rung("i2itool.engine.inductor", "InductorEngine", "torch", "torch", ("cuda", "cpu")),
    "openvino": Rung("i2itool.engine.openvino", "OpenVinoEngine", "openvino", "openvino", ("cpu",)),
    "eager": Rung("i2itool.engine.eager", "EagerEngine", "torch", "torch", ("cuda", "cpu")),
    "tiles": Rung("i2itool.engine.tiles", "TiledEngine", "torch", "torch", ("cuda", "cpu")),
}
"""Name -> engine."""

LADDER = (
    ("tensorrt", "cuda"),
    ("inductor", "cuda"),
    ("eager", "cuda"),
    ("openvino", "cpu"),
    ("eager", "cpu"),
)
"""Engines and types of device, in the order in which `auto` tries them."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user asks of an engine.

    engine: "auto" or a name of `ENGINES`.  precision: "auto" or a precision.  device: as `resolve_device`.
    """

    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"


def open_engine(
    name: str,
    network: nn.Module,
    *,
    size: tuple[int, int],
    batch_size: int = 1,
    device: str = "auto",
    precision: str = "auto",
    sample: Callable[[], Tensor] | None = None,
    log_level: int = logging.INFO,
) -> Engine:
    """Make `network` ready for batches of up to `batch_size` pictures of one size; close it after use.

    name: "auto" (the fastest that works here) or a name of `ENGINES`.  size: height and width in pixels,
    multiples of what the network asks for.  device: "auto", "cpu", "cuda" or "cuda:N".
    precision: "auto" (the engine's fastest that comes near enough to float32) or one of `PRECISIONS`.
    sample: see `Build`; every engine but eager is held against PyTorch on it, once for each build.
    log_level: of the lines that say what was chosen and why.
    The network itself is left as it is. Raises EngineError if the engine, the precision or the device cannot
    be had, MissingExtra if its package is not installed, OutOfMemory if only memory is lacking.
    """
    _check_size(network, size, batch_size)
    wish, reasons = Wish(name, precision, device), list[str]()
    rungs = list(_rungs(wish, reasons, log_level))
    _refuse_absent_precision(wish, rungs)
    for rung_name, where in rungs:
        # The network's own precision; replaced by each that is tried.
        build = Build(network, size, batch_size, where, "fp32", sample)
        try:
            engine = _open_best(rung_name, build, wish, log_level)
        except OutOfMemory:
            raise  # a smaller batch may do: the caller knows whether it can make one
        except EngineError as error:
            if name != "auto":
                raise
            logger.log(log_level, "engine %s skipped on %s: %s", rung_name, where, error)
            reasons.append(f"{rung_name} on {where}: {error.message}")
            continue
        how = ", chosen by 'auto'" if name == "auto" else ""
        logger.log(log_level, "engine: %s (%s) on %s%s", rung_name, engine.precision, where, how)
        return engine
    raise EngineError("no engine works here", hint="; ".join(reasons))


def reason_against(name: str, device_type: str) -> str | None:
    """Why no device of a type can have an engine here, with its package or without; None if one can."""
    types = ENGINES[name].device_types
    if (device_type == "cuda" or types == ("cuda",)) and not torch.cuda.is_available():
        return "no CUDA device"
    return None if device_type in types else f"it does not run on {device_type}"


def load_kind(name: str) -> EngineKind:
    """The class of an engine of the table; raises MissingExtra, or EngineError if its package is broken."""
    rung = ENGINES[name]
    hint = f"pip install '{rung.pip}'"
    if find_spec(rung.needs) is None:
        raise MissingExtra(f"engine '{name}' needs the package {rung.needs}", hint=hint)
    try:
        # Torch-TensorRT prints when it is imported, and its failures have no class of their own.
        with contextlib.redirect_stdout(io.StringIO()):
            kind = getattr(import_module(rung.module), rung.class_name)
    except EngineError:
        raise
    except Exception as error:  # whatever a broken package raises
        reason = str(error).strip() or type(error).__name__
        raise EngineError(
            f"engine '{name}': {rung.needs} is installed but broken: {reason.splitlines()[-1]}", hint=hint
        ) from error
    return cast(EngineKind, kind)


def _rungs(wish: Wish, reasons: list[str], log_level: int) -> Iterator[tuple[str, torch.device]]:
    """The engines to try, with the device of each; why others are left out is logged and put in `reasons`."""
    if wish.engine != "auto":
        if wish.engine not in ENGINES:
            raise EngineError(f"unknown engine: {wish.engine}", hint=f"one of auto, {', '.join(ENGINES)}")
        yield wish.engine, _find_device(wish.device, wish.engine)
        return
    asked = None if wish.device == "auto" else resolve_device(wish.device)
    for name, device_type in LADDER:
        is_other = asked is not None and asked.type != device_type
        why = f"asked for {asked}" if is_other else reason_against(name, device_type)
        if why is None:
            yield name, asked or torch.device(device_type)
            continue
        # On a machine without a GPU this is no news.
        logger.log(min(log_level, logging.DEBUG), "engine %s skipped on %s: %s", name, device_type, why)
        reasons.append(f"{name} on {device_type}: {why}")


def _refuse_absent_precision(wish: Wish, rungs: Sequence[tuple[str, torch.device]]) -> None:
    """Raise EngineError if none of the engines that `auto` may choose computes in a precision."""
    had: dict[str, None] = {}
    for name, device in rungs if wish.engine == "auto" and wish.precision != "auto" else ():
        with contextlib.suppress(EngineError):  # it will be skipped, with this as the reason
            kind = load_kind(name)
            had |= dict.fromkeys((*kind.precisions(device), *kind.opt_in_precisions(device)))
    if had and wish.precision not in had:
        devices = " or ".join(dict.fromkeys(device.type for _, device in rungs))
        hint = f"one of auto, {', '.join(had)}"
        raise EngineError(f"no engine computes in {wish.precision} on {devices} here", hint=hint)


def _open_best(name: str, build: Build, wish: Wish, log_level: int) -> Engine:
    """The engine in the first precision that it can be had in and that comes near enough to float32."""
    kind = load_kind(name)
    precisions = _precisions(name, kind, build.device, wish.precision)
    for precision in precisions:
        attempt = replace(build, precision=precision)
        try:
            return _open_checked(name, kind, attempt)
        except OutOfMemory:
            raise
        except EngineError as error:
            if precision == precisions[-1]:
                raise
            level = logging.WARNING if precision == wish.precision else log_level
            logger.log(level, "engine %s in %s skipped: %s", name, precision, error)
    raise AssertionError("an engine has a precision at least")


def _open_checked(name: str, kind: EngineKind, build: Build) -> Engine:
    require_memory(name, build)
    engine = kind(build)
    try:
        taken = replace(build, precision=engine.precision)
        ensure_parity(engine, taken, build_identity(name, taken, is_any_size=kind.is_any_size))
    except BaseException:
        engine.close()
        raise
    return engine


def _precisions(name: str, kind: EngineKind, device: torch.device, wanted: str) -> tuple[Precision, ...]:
    """What to try, best first. Int8 is tried before the usual ones: it may turn out not to be good enough."""
    if wanted not in PRECISION_CHOICES:
        raise EngineError(f"unknown precision: {wanted}", hint=f"one of {', '.join(PRECISION_CHOICES)}")
    usual = kind.precisions(device)
    if wanted == "auto":
        return usual
    had = (*usual, *kind.opt_in_precisions(device))
    if wanted not in had:
        raise EngineError(
            f"engine '{name}' does not compute in {wanted} on this {device.type} device",
            hint=f"one of auto, {', '.join(had)}; or another engine",
        )
    return (wanted, *usual) if wanted == "int8" else (wanted,)


def _find_device(device: str, name: str) -> torch.device:
    """The device of that name; "auto" never picks one that the engine does not run on."""
    types = ENGINES[name].device_types
    if device == "auto" and "cuda" not in types:
        return torch.device("cpu")
    found = resolve_device(device)
    if found.type not in types:
        reason = "no CUDA device" if device == "auto" else f"it does not run on {found.type}"
        raise EngineError(
            f"engine '{name}' cannot be had here: {reason}",
            hint=f"--device {' or '.join(types)}, or another engine",
        )
    return found


def _check_size(network: nn.Module, size: tuple[int, int], batch_size: int) -> None:
    multiple = multiple_of(network)
    if min(size) < 1 or any(side % multiple for side in size):
        raise EngineError(
            f"cannot run this network at {size[1]}x{size[0]} pixels",
            hint=f"both sides must be multiples of {multiple}",
        )
    if batch_size < 1:
        raise EngineError(f"batch size {batch_size} is impossible", hint="1 or more")
