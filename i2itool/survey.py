"""What this machine has for us: engines with reasons, encoders, versions; for `i2itool doctor`."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import av
import torch

from i2itool.device import num_cores
from i2itool.engine.cache import user_cache
from i2itool.engine.memory import free_bytes
from i2itool.engine.select import ENGINES, LADDER, load_kind, reason_against
from i2itool.errors import EngineError
from i2itool.options import ConvertOptions
from i2itool.video.codecs import ENCODERS, HARDWARE_SUFFIXES, encoder_options, try_encoder

_PACKAGES = (
    *("i2itool", "torch", "openvino", "nncf", "torch-tensorrt", "tensorrt", "onnxruntime"),
    *("av", "opencv-python-headless", "numpy", "pillow"),
)


@dataclass(frozen=True, slots=True)
class EngineFinding:
    """An engine on a kind of device.

    precisions: what it has there, best first; empty if it cannot be had, for `reason`.
    is_chosen: whether `auto` begins with it.
    """

    name: str
    device: str
    precisions: tuple[str, ...]
    reason: str
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class EncoderFinding:
    """An encoder: whether it has encoded a frame here, or why not."""

    name: str
    works: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Survey:
    """All of it. cores: those that this process may use.  free_bytes: memory that can be had."""

    engines: tuple[EngineFinding, ...]
    encoders: tuple[EncoderFinding, ...]
    versions: dict[str, str]
    processor: str
    cores: int
    free_bytes: int
    gpus: tuple[str, ...]
    cache: str


def survey() -> Survey:
    """Look around; nothing is changed, and nothing is asked of the network."""
    return Survey(
        engines=tuple(_engines()),
        encoders=tuple(_encoders()),
        versions={name: _version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        processor=f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        cores=num_cores(),
        free_bytes=free_bytes(torch.device("cpu")),
        gpus=tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())),
        cache=str(user_cache().folder),
    )


def _engines() -> Iterator[EngineFinding]:
    """First the ladder of `auto`, in its order, then what is there for whoever asks for it."""
    others = [(name, kind) for name, rung in ENGINES.items() for kind in rung.device_types]
    has_chosen = False
    for name, device_type in (*LADDER, *(pair for pair in others if pair not in LADDER)):
        precisions, reason = _look_at(name, device_type)
        is_chosen = bool(precisions) and not has_chosen and (name, device_type) in LADDER
        has_chosen |= is_chosen
        yield EngineFinding(name, device_type, precisions, reason, is_chosen)


def _look_at(name: str, device_type: str) -> tuple[tuple[str, ...], str]:
    if against := reason_against(name, device_type):
        return (), against
    device = torch.device(device_type)
    try:
        kind = load_kind(name)
        return (*kind.precisions(device), *kind.opt_in_precisions(device)), ""
    except EngineError as error:
        return (), str(error)


def _encoders() -> Iterator[EncoderFinding]:
    software = dict.fromkeys(ENCODERS.values())
    hardware = [f"{codec}{kind}" for codec in ("h264", "hevc", "av1") for kind in HARDWARE_SUFFIXES]
    for name in (*software, *(name for name in hardware if name in av.codecs_available)):
        if name not in av.codecs_available:
            reason: str | None = "not in this FFmpeg"
        else:
            reason = try_encoder(name, encoder_options(name, ConvertOptions()))
        yield EncoderFinding(name, reason is None, reason or "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
