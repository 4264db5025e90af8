"""Checkpoints: all that the next step depends on, in one safetensors file, written whole or not at all.

A digest of everything in it tells also a checkpoint of which a disk has lost a bit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from i2itool.errors import OutputError, TrainingError

KEEP = 2
# One entry: of several the order in the file is by chance, and equal states would not make equal files.
_KEY, _DIGEST_LENGTH = "sha256 and state", 64

logger = logging.getLogger("i2itool.trainer")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write FOLDER/step-N.safetensors through a temporary name and drop all but the last two.

    state: nested dicts and lists of tensors, numbers, strings and None. Tensors become safetensors, the
    rest JSON in the file's metadata. Raises OutputError, with the earlier checkpoints untouched.
    """
    path = folder / f"step-{step:08d}.safetensors"
    _write(path, state)
    for old in (*list_checkpoints(folder)[:-KEEP], *folder.glob("step-*.damaged")):
        old.unlink(missing_ok=True)
    return path


def save_best(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write FOLDER/best-N.safetensors in the same way; those before stay until `drop_best`."""
    _write(_best(folder, step), state)


def load_best(folder: Path, step: int) -> dict[str, Any]:
    """Read what `save_best` wrote of `step`; raises TrainingError if it is missing or damaged."""
    hint = "--export last makes the preset of the last step"
    return _read(_best(folder, step), hint)


def drop_best(folder: Path) -> None:
    """Delete what `save_best` wrote, but for what each of the checkpoints calls the best.

    That is the last one up to its step: so a run that is killed, or goes on from the checkpoint before the
    last, finds its best.
    """
    steps = [_step(path) for path in list_checkpoints(folder)]
    best = sorted(folder.glob("best-*.safetensors"), key=_step)
    wanted = {max((path for path in best if _step(path) <= step), key=_step, default=None) for step in steps}
    for path in best:
        if path not in wanted:
            path.unlink(missing_ok=True)


def _best(folder: Path, step: int) -> Path:
    return folder / f"best-{step:08d}.safetensors"


def _step(path: Path) -> int:
    return int(path.stem.partition("-")[2])


def _write(path: Path, state: dict[str, Any]) -> None:
    tensors: dict[str, Tensor] = {}
    structure = json.dumps(_pack(state, tensors))
    temporary = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(save(tensors, {_KEY: _digest(structure, tensors) + structure}))
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
    return sorted(folder.glob("step-*.safetensors"), key=_step)


def load_last(folder: Path) -> dict[str, Any] | None:
    """Read the last checkpoint that is whole; None if there is none at all.

    Damaged ones behind it are set aside, as step-N.damaged, and named in the log. Raises TrainingError if
    all are damaged.
    """
    checkpoints = list_checkpoints(folder)
    damaged: list[Path] = []
    for path in reversed(checkpoints):
        try:
            state = load_checkpoint(path)
        except TrainingError:
            damaged.append(path)
            continue
        for other in damaged:
            logger.warning("damaged checkpoint: %s; going on from the one before, %s", other, path.name)
            other.rename(other.with_suffix(".damaged"))
        return state
    if checkpoints:
        hint = "none before it is whole; --restart begins anew"
        raise TrainingError(f"damaged checkpoint: {checkpoints[-1]}", hint=hint)
    return None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; raises TrainingError if the file is damaged."""
    return _read(path, "delete it to go on from the one before")


def _read(path: Path, hint: str) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        # Checkpoints of earlier versions have no digest.
        structure = metadata["state"] if "state" in metadata else metadata[_KEY][_DIGEST_LENGTH:]
        if "state" not in metadata and metadata[_KEY] != _digest(structure, tensors) + structure:
            raise TrainingError(f"damaged checkpoint: {path}", hint=hint)
        state: dict[str, Any] = _unpack(json.loads(structure), tensors)
        return state
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"damaged checkpoint: {path}", hint=hint) from error


def _digest(structure: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of all that a checkpoint holds, whatever the order in which it lies in the file."""
    digest = hashlib.sha256(structure.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
