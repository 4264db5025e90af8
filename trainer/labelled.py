"""Pictures of two domains of which those of A have names: SOURCE/CLASS/PICTURE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from i2itool.errors import InputError
from i2itool.pictures import spread

from .data import Batch, PictureFolder, UnpairedData

# Pictures of each domain that are named at an evaluation.
MOST_PICTURES = 2000
_BATCH = 250


@dataclass(frozen=True, slots=True)
class LabelledBatch(Batch):
    """Unpaired pictures, and which class each of A is: N int64."""

    labels: Tensor


@dataclass(frozen=True, slots=True)
class LabelledData(UnpairedData):
    """Batches that also hold the classes of A; else as `UnpairedData`.

    labels: of each picture of A.  invert: "source", "target" or "both": whose pictures to show as negatives
    as often as not, for domains that are light on dark here, and there dark on light or both.
    """

    labels: tuple[int, ...] = ()
    invert: str = "neither"

    def batch(self, step: int) -> LabelledBatch:
        """The batch of optimisation step `step`, counted from 0."""
        plain, samples = UnpairedData.batch(self, step), self._samples(step)
        labels = torch.tensor([self.labels[self._shuffled(sample)] for sample in samples])
        a, b = plain.a, plain.b
        draws = [np.random.default_rng((self.seed, 2, sample)).random(2) < 0.5 for sample in samples]
        negatives = torch.tensor(np.stack(draws))[:, :, None, None, None]
        if self.invert in ("source", "both"):
            a = torch.where(negatives[:, 1], -a, a)
        if self.invert in ("target", "both"):
            b = torch.where(negatives[:, 0], -b, b)
        return LabelledBatch(a, b, labels)


def classes_of(folder: Path) -> tuple[str, ...]:
    """The names of the folders in a folder, sorted; hidden ones are left out."""
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")))


def labels_of(pictures: PictureFolder, root: Path, classes: tuple[str, ...]) -> tuple[int, ...]:
    """For each picture the class in whose folder it lies; raises InputError if it lies in none."""
    labels = []
    for path in pictures.paths:
        name = path.relative_to(root).parts[0]
        if name not in classes:
            raise InputError(f"{path} lies in no folder of a class", hint="SOURCE/CLASS/PICTURE")
        labels.append(classes.index(name))
    return tuple(labels)


class Examination:
    """How many pictures of each domain a classifier names rightly; nothing is chosen by those of B."""

    def __init__(self, data: LabelledData, labels_of_b: tuple[int, ...] | None) -> None:
        self._data = data
        self._parts = [("source_accuracy", "a", data.a, data.labels)]
        if labels_of_b is not None:
            self._parts.append(("target_accuracy", "b", data.b, labels_of_b))

    @torch.no_grad()
    def score(self, critic: nn.Module, device: torch.device) -> dict[str, float]:
        """Shares of the pictures of A, and of B where their classes are known, by name."""
        scores = {}
        for name, domain, pictures, labels in self._parts:
            indices = spread(range(len(pictures)), MOST_PICTURES)
            right = 0
            for start in range(0, len(indices), _BATCH):
                part = indices[start : start + _BATCH]
                batch = self._data.middles(pictures, part).to(device)
                named = critic.name(critic.features(**{domain: batch})).argmax(1).cpu()  # type: ignore[operator]
                right += int((named == torch.tensor([labels[index] for index in part])).sum())
            scores[name] = right / len(indices)
        return scores
