"""Pictures that training never sees, to tell which of its steps was the best."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from i2itool.errors import InputError
from i2itool.frames import Pixels
from i2itool.metrics.features import Features, MobileNetV2, extract_features
from i2itool.metrics.kid import kernel_distance
from i2itool.metrics.paired import map_accuracy, psnr, ssim
from i2itool.networks import multiple_of
from i2itool.pictures import list_pictures, read_picture, resize_short_side, spread
from i2itool.pixels import to_network, to_pixels

from .config import Metric

# Pictures of each domain that are looked at: an evaluation should take seconds.
MOST_PICTURES = 64
# KID's estimate needs some on each side.
LEAST_FOR_KID = 4


class Examiner(Protocol):
    """What tells how good a step is, by pictures that the training does not see."""

    def score(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Scores by name, of the network that a method calls its examinee."""
        ...


@dataclass(frozen=True, slots=True)
class Holdout:
    """Held-out pictures, H,W,3 uint8 RGB each.

    b: real pictures of B.  truths: place in `a` -> its counterpart, of the same size.  features: the network
    for KID, None to go without.
    """

    a: list[Pixels]
    b: list[Pixels]
    truths: dict[int, Pixels]
    features: MobileNetV2 | None
    _features_of_b: list[Features] = field(default_factory=list)

    def score(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """What `network`, A to B in eval mode, reaches: of kid, psnr, ssim, map_accuracy what can be told."""
        fakes = [_translate(network, picture, device) for picture in self.a]
        scores: dict[str, float] = {}
        if self.truths:
            pairs = [(fakes[place], truth) for place, truth in self.truths.items()]
            for name, measure in (("psnr", psnr), ("ssim", ssim), ("map_accuracy", map_accuracy)):
                scores[name] = float(np.mean([measure(fake, truth) for fake, truth in pairs]))
        if self.features is not None:
            if not self._features_of_b:
                self._features_of_b.append(extract_features(self.features, self.b))
            of_fakes = extract_features(self.features, fakes)
            scores["kid"] = kernel_distance(of_fakes, self._features_of_b[0]).mean
        return scores


def open_holdout(
    folders: tuple[Path, Path], metric: Metric, *, load_px: int, features: MobileNetV2 | None
) -> Holdout:
    """Read up to MOST_PICTURES of each folder, spread over it, resized as for training.

    Raises InputError if `metric` cannot be told from them: paired scores need pictures of the same name,
    KID a feature network and at least four pictures of each domain.
    """
    paths_a, paths_b = (spread(list_pictures(folder), MOST_PICTURES) for folder in folders)
    named_b = {path.relative_to(folders[1]).with_suffix(""): path for path in list_pictures(folders[1])}
    a = [_read(path, load_px) for path in paths_a]
    truths = {}
    for place, path in enumerate(paths_a):
        counterpart = named_b.get(path.relative_to(folders[0]).with_suffix(""))
        truth = _read(counterpart, load_px) if counterpart else None
        if truth is not None and truth.shape == a[place].shape:
            truths[place] = truth
    if metric == "kid" and (features is None or min(len(paths_a), len(paths_b)) < LEAST_FOR_KID):
        hint = "give --features, or choose another --metric"
        raise InputError("KID needs a feature network and four held-out pictures of each domain", hint=hint)
    if metric != "kid" and not truths:
        hint = "choose --metric kid, with --features"
        raise InputError(f"no held-out picture of {folders[0]} has a counterpart in {folders[1]}", hint=hint)
    return Holdout(a, [_read(path, load_px) for path in paths_b], truths, features)


def _read(path: Path, load_px: int) -> Pixels:
    return resize_short_side(read_picture(path), load_px)


@torch.no_grad()
def _translate(network: nn.Module, picture: Pixels, device: torch.device) -> Pixels:
    height, width = picture.shape[:2]
    fake = network(to_network(picture[None], multiple_of=multiple_of(network)).to(device))
    translated: Pixels = to_pixels(fake, height=height, width=width)[0]
    return translated
