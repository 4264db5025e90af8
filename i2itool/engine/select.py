"""Which engine runs a network: the one asked for, or the fastest that works here, with reasons."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import nn

from i2itool.device import resolve_device
from i2itool.engine.base import Engine
from i2itool.errors import EngineError, MissingExtra
from i2itool.networks import multiple_of

logger = logging.getLogger("i2itool.engine")


@dataclass(frozen=True, slots=True)
class Rung:
    """An engine of the ladder.

    needs: the package that must be there.  pip: what to install to have it.  device_types: what it runs on.
    """

    module: str
    class_name: str
    needs: str
    pip: str
    device_types: tuple[str, ...]


ENGINES: dict[str, Rung] = {
    "openvino": Rung("i2itool.engine.openvino", "OpenVinoEngine", "openvino", "openvino", ("cpu",)),
    "eager": Rung("i2itool.engine.eager", "EagerEngine", "torch", "torch", ("cuda", "cpu")),
}
"""Name -> engine, in the order in which `auto` tries them."""


def open_engine(
    name: str,
    network: nn.Module,
    *,
    size: tuple[int, int],
    batch_size: int = 1,
    device: str = "auto",
    log_level: int = logging.INFO,
) -> Engine:
    """Make `network` ready for batches of up to `batch_size` pictures of one size; close it after use.

    name: "auto" (the fastest that works here) or a name of `ENGINES`.  size: height and width in pixels,
    multiples of what the network asks for.  device: "auto", "cpu", "cuda" or "cuda:N".
    log_level: of the lines that say what was chosen and why.
    The network itself is left as it is. Raises EngineError if the engine or the device cannot be had,
    MissingExtra if its package is not installed.
    """
    _check_size(network, size, batch_size)
    if name == "auto":
        return _open_first(network, size, batch_size, resolve_device(device), log_level)
    if name not in ENGINES:
        raise EngineError(f"unknown engine: {name}", hint=f"one of auto, {', '.join(ENGINES)}")
    rung = ENGINES[name]
    found = _find_device(device, rung.device_types)
    if found.type not in rung.device_types:
        raise EngineError(
            f"engine '{name}' does not run on {found.type}",
            hint=f"--device {' or '.join(rung.device_types)}, or another engine",
        )
    engine = _load(name, rung)(network, size=size, batch_size=batch_size, device=found)
    logger.log(log_level, "engine: %s (%s) on %s", name, engine.precision, found)
    return engine


def _open_first(
    network: nn.Module, size: tuple[int, int], batch_size: int, device: torch.device, log_level: int
) -> Engine:
    skipped: list[str] = []
    for name, rung in ENGINES.items():
        try:
            if device.type not in rung.device_types:
                raise EngineError(f"does not run on {device.type}")
            engine = _load(name, rung)(network, size=size, batch_size=batch_size, device=device)
        except EngineError as error:
            logger.log(log_level, "engine %s skipped: %s", name, error)
            skipped.append(f"{name}: {error}")
            continue
        logger.log(log_level, "engine: %s (%s) on %s, chosen by 'auto'", name, engine.precision, device)
        return engine
    raise EngineError("no engine works here", hint="; ".join(skipped))


def _load(name: str, rung: Rung) -> Callable[..., Engine]:
    """The engine's class, imported; raises MissingExtra, or EngineError if its package is broken."""
    hint = f"pip install '{rung.pip}'"
    if find_spec(rung.needs) is None:
        raise MissingExtra(f"engine '{name}' needs the package {rung.needs}", hint=hint)
    try:
        engine: Callable[..., Engine] = getattr(import_module(rung.module), rung.class_name)
    except ImportError as error:
        raise EngineError(
            f"engine '{name}': {rung.needs} is installed but broken: {error}", hint=hint
        ) from error
    return engine


def _find_device(device: str, device_types: tuple[str, ...]) -> torch.device:
    """The device of that name; "auto" never picks one that an engine of `device_types` does not run on."""
    if device == "auto" and "cuda" not in device_types:
        return torch.device("cpu")
    return resolve_device(device)


def _check_size(network: nn.Module, size: tuple[int, int], batch_size: int) -> None:
    multiple = multiple_of(network)
    if min(size) < 1 or any(side % multiple for side in size):
        raise EngineError(
            f"cannot run this network at {size[1]}x{size[0]} pixels",
            hint=f"both sides must be multiples of {multiple}",
        )
    if batch_size < 1:
        raise EngineError(f"batch size {batch_size} is impossible", hint="1 or more")
