"""Which file a conversion reads, which it writes, and what it must not touch."""

from __future__ import annotations

import re
from pathlib import Path

from i2itool.errors import AlreadyThere, InputError, OutputError
from i2itool.video.input import PIPE
from i2itool.video.job import is_publishing
from i2itool.video.sequence import is_sequence, numbered_files

# At least two letters, for one is a drive.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)


def refuse_other_than_file(source: Path) -> None:
    """Raise InputError unless `source` is a file, numbered pictures or a pipe."""
    if source == PIPE or is_sequence(source):
        return
    if source.is_dir():
        raise InputError(f"{source} is a folder", hint="`convert_many` translates all that is in it")
    if not source.exists() and (address := _ADDRESS.fullmatch(str(source))):
        # A path has lost one of two slashes.
        name = f"{address[1]}://{address[2]}"
        raise InputError(f"{name} is an address, and inputs are files", hint="fetch it first")
    if not source.is_file():
        raise InputError(f"not a file: {source}" if source.exists() else f"no such file: {source}")


def target_beside(source: Path, output: Path | None, preset_name: str) -> Path:
    """Where the result of a file goes: `output`, or STEM_PRESET.EXT in that folder or beside the input."""
    if output == PIPE or (output is None and source == PIPE):
        return PIPE
    name = f"{source.stem}_{preset_name}{source.suffix}"
    if output is None:
        return source.with_name(name)
    return output / name if output.is_dir() else output


def refuse_existing(source: Path, target: Path, *, overwrite: bool) -> None:
    """Raise AlreadyThere if `target` exists without `overwrite`, OutputError if it is no place to write."""
    if target == PIPE:
        return
    if target.samefile(source) if target.exists() and source.exists() else target == source:
        raise OutputError(f"the output would replace its input: {target}", hint="choose another with -o")
    if target.is_dir():
        raise OutputError(f"{target} is a folder")
    if (first := _first_there(target)) and not overwrite:
        raise AlreadyThere(f"{first} is already there", hint="--overwrite replaces it")


def _first_there(target: Path) -> Path | None:
    """What is in the way of `target`; pictures to which a job had begun to give their names are not."""
    if not is_sequence(target):
        return target if target.exists() else None
    there = {} if is_publishing(target) else numbered_files(target)
    return there[min(there)] if there else None


def make_folder_of(target: Path) -> None:
    """Make the folder of numbered pictures; that of a file has to be there. Raises OutputError."""
    folder = target.parent
    if is_sequence(target):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make folder {folder}: {error.strerror}") from error
    elif not folder.is_dir():
        raise OutputError(f"no such folder: {folder}", hint="make it first")
