"""What a piece of a video leaves to the next one, beside the pieces: arrays by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from i2itool.errors import OutputError
from i2itool.partial import open_private
from i2itool.video.packets import hash_file

State: TypeAlias = Mapping[str, NDArray[Any]]  # Any: the arrays may be of any numbers


def write_state(path: Path, state: State) -> str:
    """Write arrays at one stroke; they are on the disk when this returns their file's SHA-256.

    Raises OutputError if they cannot be written.
    """
    partial = path.with_suffix(".part")
    try:
        with os.fdopen(open_private(partial, os.O_TRUNC), "wb") as file:
            np.savez(file, allow_pickle=False, **state)
            file.flush()
            os.fsync(file.fileno())
        digest = hash_file(partial)
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return digest


def read_state(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays that `write_state` wrote; raises OutputError if they cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, BadZipFile) as error:
        raise OutputError(f"cannot read {path}: {error}", hint="--restart begins anew") from error
