"""A run of domain adaptation, from two folders to a preset that translates and classifies."""

from __future__ import annotations

from pathlib import Path

import torch

from i2itool.console import Reporter
from i2itool.errors import InputError
from i2itool.preset import Preset
from i2itool.weights import load_classifier

from .config import TrainConfig
from .data import PictureFolder, read_both
from .fit import fit
from .labelled import Examination, LabelledData, classes_of, labels_of
from .run import RunFolder


def source_classes(source: Path) -> tuple[str, ...]:
    """The classes of SOURCE: its folders. Raises InputError if it has fewer than two."""
    if not source.is_dir():
        raise InputError(f"no such folder: {source}")
    classes = classes_of(source)
    if len(classes) < 2:
        raise InputError(
            f"{source} has no folders of classes", hint="one folder for each class: SOURCE/CLASS/PICTURE"
        )
    return classes


def adapt(
    config: TrainConfig,
    folders: tuple[Path, Path],
    path: Path,
    *,
    device: torch.device,
    reporter: Reporter,
    restart: bool = False,
) -> tuple[Preset, dict[str, float]]:
    """Train on SOURCE, which has a folder a class, and TARGET; exactly resumable, in the run's folder `path`.

    Returns the preset and what its classifier names rightly, of SOURCE and, if TARGET has the same folders,
    of TARGET: those count for this score alone. Raises InputError for pictures that cannot be read, else as
    `fit`.
    """
    source, target = folders
    if not target.is_dir():
        raise InputError(f"no such folder: {target}")
    a, b = (PictureFolder(folder, load_px=config.load_px) for folder in folders)
    read_both(a, b)
    classes = config.adapt.classes
    data = LabelledData(
        a,
        b,
        config.batch_size,
        config.crop_px,
        config.flip,
        config.seed,
        labels=labels_of(a, source, classes),
        invert=config.adapt.invert,
    )
    examination = Examination(data, _known_labels(b, target, classes))
    run = RunFolder(path)
    with run.alone():
        if restart:
            run.remove()
        preset = fit(config, data, run, device=device, reporter=reporter, holdout=examination)
    return preset, examination.score(load_classifier(preset).to(device), device)


def _known_labels(pictures: PictureFolder, root: Path, classes: tuple[str, ...]) -> tuple[int, ...] | None:
    """The classes of the pictures if all lie in folders of that name; else None, as it should be."""
    try:
        return labels_of(pictures, root, classes)
    except InputError:
        return None
