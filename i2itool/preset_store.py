"""The user's own presets: added, removed and checked as whole folders."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from i2itool.errors import OutputError, PresetError
from i2itool.preset import (
    CARD_NAME,
    RECIPE_NAME,
    Network,
    Preset,
    find_preset,
    read_preset,
    shipped_presets_folder,
    user_presets_folder,
    write_preset,
)
from i2itool.weights import load_classifier, load_network

_SAMPLE_NAME = "sample.jpg"


def add_preset(name_or_path: str, name: str | None = None, *, overwrite: bool = False) -> Preset:
    """Copy a preset into the folder of the user's own, after checking it.

    name_or_path: as for `find_preset`; a training run, say.  name: its new one; None keeps its own.
    Raises PresetError if there is none or if it is damaged, OutputError if the name is taken or the folder
    cannot be written.
    """
    preset = find_preset(name_or_path)
    check_preset(preset)
    name = name or preset.name
    with new_preset_folder(user_presets_folder(), name, overwrite=overwrite) as folder:
        names = None if preset.classifier is None else preset.classifier.weights
        files = [weights.file for weights in (preset.a2b, preset.b2a, names) if weights is not None]
        for file in (*files, CARD_NAME, RECIPE_NAME, _SAMPLE_NAME):
            if (preset.folder / file).is_file():
                shutil.copyfile(preset.folder / file, folder / file)
        write_preset(preset.model_copy(update={"name": name}), folder)
    return read_preset(user_presets_folder() / name)


def remove_preset(name: str) -> Path:
    """Delete one of the user's own presets; returns where it lay.

    Raises PresetError if there is none of that name, OutputError if it cannot be deleted.
    """
    check_preset_name(name)
    folder = user_presets_folder() / name
    if not folder.is_dir():
        is_shipped = (shipped_presets_folder() / name).is_dir()
        hint = "it comes with i2itool" if is_shipped else "`i2itool presets list` shows where each lies"
        raise PresetError(f"no preset of your own is called {name}", hint=hint)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(f"cannot delete {folder}: {error.strerror}") from error
    return folder


def check_preset(preset: Preset) -> None:
    """Read all weights of a preset into its network; raises PresetError if any is damaged or does not fit."""
    for direction in preset.directions:
        load_network(preset, direction)
    if preset.classifier is not None:
        load_classifier(preset)


def check_preset_name(name: str) -> None:
    """Raise PresetError unless `name` may be that of a preset."""
    try:
        Preset(name=name, summary="", network=Network(name="resnet"))
    except ValidationError as error:
        raise PresetError(
            f"impossible preset name: {name!r}", hint="a letter or digit, then letters, digits, '.', '_', '-'"
        ) from error


@contextlib.contextmanager
def new_preset_folder(home: Path, name: str, *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which becomes HOME/NAME when the block ends well, and else goes away.

    Raises PresetError for an impossible name, OutputError if the preset is there already, without
    `overwrite`, or cannot be written.
    """
    check_preset_name(name)
    target = home / name
    if target.exists() and not overwrite:
        raise OutputError(f"preset '{name}' is already there: {target}", hint="--overwrite replaces it")
    try:
        with _replacing(target) as building:
            yield building
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from error


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    building = target.with_name(f".{target.name}.{os.getpid()}.new")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    building.mkdir(parents=True)
    try:
        yield building
        if target.exists():
            target.rename(old)
        building.rename(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
