"""Naming what pictures show, by the classifier of a preset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from i2itool.device import resolve_device
from i2itool.networks.adaptation import SIZE_PX
from i2itool.pictures import middle_square, read_picture, resize_short_side
from i2itool.pixels import to_network
from i2itool.preset import Preset
from i2itool.weights import load_classifier


@dataclass(frozen=True, slots=True)
class Named:
    """What a picture shows, and how sure the classifier is of it, 0 to 1."""

    path: Path
    name: str
    probability: float


@torch.no_grad()
def classify(preset: Preset, paths: Sequence[Path], *, device: str = "auto") -> Iterator[Named]:
    """Name what each picture shows, one by one, as the preset's classifier sees it in its domain B.

    Raises PresetError if the preset has no classifier, InputError for a picture that cannot be read.
    """
    where = resolve_device(device)
    network = load_classifier(preset).to(where)
    assert preset.classifier is not None
    for path in paths:
        middle = middle_square(resize_short_side(read_picture(path), SIZE_PX), SIZE_PX)
        shares = network(to_network(middle[None]).to(where)).softmax(1)[0]
        best = int(shares.argmax())
        yield Named(path, preset.classifier.classes[best], float(shares[best]))
