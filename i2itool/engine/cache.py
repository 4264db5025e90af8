"""Compiled networks kept from run to run, in a folder of the user's that nobody else can write to.

Loading a compiled network is much like running a program, so what is found is believed only if the folder is
the user's own and the file is the one that was written, by its SHA-256. Anything else is built anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import stat
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs
import torch
from torch import Tensor, nn

from i2itool.engine.base import Build
from i2itool.errors import OutputError
from i2itool.partial import whole_file

logger = logging.getLogger("i2itool.engine")

# A ResNet-9 is 23 MB in bf16 and 46 in fp32; one file for every network and size of picture.
MAX_BYTES = 4 * 2**30
# What a compiled network or a verdict on it may depend on.
_PACKAGES = ("i2itool", "torch", "openvino", "nncf", "torch-tensorrt", "tensorrt")
_SUFFIX = ".blob"
_DIGEST_BYTES = 32


class BlobCache:
    """Files by key, in one folder; the least recently used go when it grows beyond `max_bytes`.

    Nothing here raises for what is wrong with the disk: a cache that cannot be used is none.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes

    def load(self, key: str) -> bytes | None:
        """What was stored under `key`; None if there is nothing, or if it is not what was written."""
        path = self._path(key)
        try:
            if not _is_private(self.folder):
                return None
            content = path.read_bytes()
            os.utime(path)  # used just now
        except OSError:
            return None
        digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != digest:
            logger.warning("%s is damaged, and is made anew", path)
            self.discard(key)
            return None
        return data

    def store(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`, whole or not at all; without it, if the folder cannot be written."""
        try:
            if self.private_folder() is None:
                return
            with whole_file(self._path(key)) as partial:
                partial.write_bytes(hashlib.sha256(data).digest() + data)
            self._path(key).chmod(0o600)
            self._shrink()
        except (OSError, OutputError) as error:
            logger.debug("cannot keep a compiled network in %s: %s", self.folder, error)

    def private_folder(self) -> Path | None:
        """The folder, made if need be; None if it cannot be had, or not for this user alone."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_private(self.folder):
                return self.folder
            logger.warning("%s is open to others, so nothing is kept there", self.folder)
        except OSError as error:
            logger.debug("cannot keep anything in %s: %s", self.folder, error)
        return None

    def discard(self, key: str) -> None:
        """Forget `key`: what was stored turned out to be of no use."""
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _shrink(self) -> None:
        found = [(path.stat(), path) for path in self.folder.glob(f"*{_SUFFIX}")]
        total = sum(entry.st_size for entry, _ in found)
        for entry, path in sorted(found, key=lambda item: item[0].st_mtime):
            if total <= self.max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= entry.st_size


def user_cache() -> BlobCache:
    """The cache of this user: in `$I2ITOOL_CACHE`, or else in the user's cache folder."""
    folder = os.environ.get("I2ITOOL_CACHE")
    base = Path(folder) if folder else Path(platformdirs.user_cache_dir("i2itool", appauthor=False))
    return BlobCache(base / "engines")


def blob_key(parts: Mapping[str, object]) -> str:
    """The key of what depends on all of `parts`: another value of any gives another key.

    Values are strings, numbers, or lists and dicts of them.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def fingerprint(network: nn.Module) -> str:
    """SHA-256 of a network, of its layers and their weights, in hexadecimal."""
    digest = hashlib.sha256(repr(network).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def build_identity(name: str, build: Build, *, is_any_size: bool) -> dict[str, object]:
    """All that the engine `name` depends on, for `blob_key`: what it is made of, and where it runs.

    is_any_size: whether one build serves every size and number of pictures.
    """
    sample = build.sample() if build.sample is not None and build.precision == "int8" else None
    return {
        "engine": name,
        "network": fingerprint(build.network),
        "shape": "any" if is_any_size else [build.batch_size, *build.size],
        "precision": build.precision,
        "calibration": None if sample is None else _tensor_sha256(sample),
        "processor": processor_name(build.device),
        "versions": {package: _version(package) for package in _PACKAGES},
    }


def _tensor_sha256(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def processor_name(device: torch.device) -> str:
    """What computes: the GPU by name, capability and CUDA version; the CPU by model and what it can do."""
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        return f"{found.name} sm_{found.major}{found.minor} CUDA {torch.version.cuda}"
    return f"{_cpu_model()} {torch.backends.cpu.get_cpu_capability()}"


def _cpu_model() -> str:
    """Model and flags, as Linux tells them; elsewhere what Python knows."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        wanted = ("model name", "model", "stepping", "flags", "Features")
        found = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
        return hashlib.sha256(repr([found.get(key) for key in wanted]).encode()).hexdigest()
    return f"{platform.machine()} {platform.processor()}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _is_private(folder: Path) -> bool:
    """Whether a folder belongs to this user, who alone may write there; Windows sees to that itself."""
    if os.name == "nt":
        return True
    entry = folder.lstat()
    is_own = stat.S_ISDIR(entry.st_mode) and entry.st_uid == os.getuid()
    return is_own and not entry.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
