"""Foreign files as named tensors, without running any code that they may hold."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from i2itool.errors import InputError

Tensors = dict[str, Tensor]

_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile
_DEPTH = 3  # of dictionaries within dictionaries; a training checkpoint needs two


def read_checkpoint(file: Path) -> dict[str, Tensors]:
    """Every state dict that a .pth, .pt or .safetensors file holds, by its path of keys ("" at the top).

    The prefixes of DataParallel and torch.compile are gone from the names. Pickled code is refused.
    Raises InputError if the file is missing, of another kind, or holds no state dict.
    """
    if not file.is_file():
        raise InputError(f"no such file: {file}")
    start = _first_bytes(file)
    loaded = _load_safetensors(file) if file.suffix == ".safetensors" else _load_torch(file, start)
    found = {".".join(path): tensors for path, tensors in _state_dicts(loaded, ())}
    if not found:
        raise InputError(f"{file} holds no network weights", hint="a file with a state dict is wanted")
    return found


def _load_safetensors(file: Path) -> Tensors:
    try:
        return load_file(file)
    except SafetensorError as error:
        raise InputError(f"{file} is not a safetensors file: {error}") from error


def _load_torch(file: Path, start: bytes) -> Any:  # Any: whatever plain data the file holds
    if start != b"PK" and start[:1] != b"\x80":
        raise InputError(f"{file} is not a PyTorch file", hint="give a .pth, .pt or .safetensors file")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{file} holds more than tensors, and unpickling it could run any code",
            hint="where you trust it, save its weights alone: "
            "torch.save(torch.load(FILE, weights_only=False).state_dict(), 'weights.pth')",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        # What torch says of a file that is cut, or holds archived code; its later lines are of no use here.
        reason = next(iter(str(error).splitlines()), "") or "it ends too early"
        raise InputError(f"{file} is damaged or not a file of weights: {reason}") from error


def _first_bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(2)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error


def _state_dicts(loaded: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Tensors]]:
    if not isinstance(loaded, Mapping) or len(path) > _DEPTH:
        return
    tensors = {_bare(k): v for k, v in loaded.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if tensors:
        yield path, tensors
    for key, value in loaded.items():
        yield from _state_dicts(value, (*path, str(key)))


def _bare(name: str) -> str:
    while prefix := next((known for known in _PREFIXES if name.startswith(known)), None):
        name = name.removeprefix(prefix)
    return name
