"""Checkpoints: all that the next step depends on, in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from i2itool.errors import OutputError, TrainingError

KEEP = 2


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write FOLDER/step-N.safetensors through a temporary name and drop all but the last two.

    state: nested dicts and lists of tensors, numbers, strings and None. Tensors become safetensors, the
    rest JSON in the file's metadata. Raises OutputError, with the earlier checkpoints untouched.
    """
    path = folder / f"step-{step:08d}.safetensors"
    _write(path, state)
    for old in list_checkpoints(folder)[:-KEEP]:
        old.unlink(missing_ok=True)
    return path


def save_best(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write FOLDER/best-N.safetensors in the same way; those before stay until `drop_best`.

    So a run that is killed before its next checkpoint still has what that one calls the best.
    """
    _write(_best(folder, step), state)


def load_best(folder: Path, step: int) -> dict[str, Any]:
    """Read what `save_best` wrote of `step`; raises TrainingError if it is missing or damaged."""
    return load_checkpoint(_best(folder, step))


def drop_best(folder: Path, *, but: int) -> None:
    """Delete what `save_best` wrote, but for that of step `but`."""
    for path in folder.glob("best-*.safetensors"):
        if path != _best(folder, but):
            path.unlink(missing_ok=True)


def _best(folder: Path, step: int) -> Path:
    return folder / f"best-{step:08d}.safetensors"


def _write(path: Path, state: dict[str, Any]) -> None:
    tensors: dict[str, Tensor] = {}
    structure = json.dumps(_pack(state, tensors))
    temporary = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(save(tensors, {"state": structure}))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {path}: {error.strerror}", hint="free some space, then resume"
        ) from error


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, the oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; raises TrainingError if the file is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            structure = json.loads(file.metadata()["state"])
            state: dict[str, Any] = _unpack(structure, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            return state
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        hint = "delete it to go on from the one before"
        raise TrainingError(f"damaged checkpoint: {path}", hint=hint) from error


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Replace each tensor by a reference to its name in `tensors`; dicts become lists of pairs."""
    if torch.is_tensor(value):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"pairs": [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_pack(item, tensors) for item in value]
    return value


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: _unpack(item, tensors) for key, item in value["pairs"]}
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    return value
