"""How good a preset is: how far its translations of A are from real pictures of B, and from doing nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from i2itool.console import Reporter
from i2itool.errors import InputError
from i2itool.frames import Pixels
from i2itool.metrics.features import Features, MobileNetV2, extract_features
from i2itool.metrics.kid import Distance, kernel_distance
from i2itool.metrics.paired import luma_correlation, map_accuracy, psnr, ssim
from i2itool.pictures import list_pictures, read_picture, resize_short_side, spread
from i2itool.translator import Translator


@dataclass(frozen=True, slots=True)
class PairedScores:
    """Means over the pictures of A that have a counterpart of the same name in B.

    psnr: dB.  ssim, map_accuracy: 0..1.  The same for the untranslated pictures: `identity_...`.
    """

    num_pairs: int
    psnr: float
    ssim: float
    map_accuracy: float
    identity_psnr: float
    identity_ssim: float
    identity_map_accuracy: float


@dataclass(frozen=True, slots=True)
class KidScores:
    """Distances to real pictures of B.

    translated: of the translated pictures of A.  nothing: of A as it is.  floor: of one half of B to the
    other.  gap_closed: share of the way from `nothing` to `floor`.
    """

    translated: Distance
    nothing: Distance
    floor: Distance
    gap_closed: float


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one direction of a preset.

    luma_correlation: mean, of the translations with their inputs; negative means that light and dark are
    swapped.  kid: None without a feature network.  paired: None where no names match.
    """

    num_a: int
    num_b: int
    luma_correlation: float
    kid: KidScores | None
    paired: PairedScores | None


def evaluate(
    translator: Translator,
    folder_a: Path,
    folder_b: Path,
    *,
    features: MobileNetV2 | None,
    size_px: int | None,
    limit: int | None,
    reporter: Reporter,
) -> Scores:
    """Translate the pictures of A and score them.

    features: the network for KID, or None to go without.  size_px: short side to which pictures are
    resized first, None for their own.  limit: at most so many pictures of each, spread over the folder.
    Raises InputError for folders without pictures, or with fewer than four for KID.
    """
    paths_a, paths_b = (spread(list_pictures(folder), limit) for folder in (folder_a, folder_b))
    if features is not None and min(len(paths_a), len(paths_b)) < 4:
        raise InputError("KID needs at least four pictures of each domain")
    counterparts = {path.relative_to(folder_b).with_suffix(""): path for path in paths_b}
    translations, of_b = _Translations(features), _Rows(features)

    reporter.start("evaluate", len(paths_a) + len(paths_b), unit="pictures")
    try:
        for path in paths_a:
            real = _read(path, size_px)
            counterpart = counterparts.get(path.relative_to(folder_a).with_suffix(""))
            truth = None if counterpart is None else _like(_read(counterpart, size_px), real)
            translations.add(real, translator.translate(real[None])[0], truth)
            reporter.advance()
        for path in paths_b:
            of_b.add(_read(path, size_px))
            reporter.advance()
    finally:
        reporter.finish()
    return translations.scores(of_b, len(paths_b))


class _Translations:
    """Gathers what is measured of each picture of A and of its translation."""

    def __init__(self, features: MobileNetV2 | None) -> None:
        self._of_a, self._of_fake = _Rows(features), _Rows(features)
        self._has_features = features is not None
        self._correlations: list[float] = []
        self._pairs: list[tuple[float, ...]] = []

    def add(self, real: Pixels, fake: Pixels, truth: Pixels | None) -> None:
        self._correlations.append(luma_correlation(real, fake))
        if truth is not None:
            self._pairs.append(_score_pair(real, fake, truth))
        self._of_a.add(real)
        self._of_fake.add(fake)

    def scores(self, of_b: _Rows, num_b: int) -> Scores:
        kid = None
        if self._has_features:
            kid = _score_kid(self._of_a.stacked(), self._of_fake.stacked(), of_b.stacked())
        correlation = float(np.mean(self._correlations))
        return Scores(len(self._correlations), num_b, correlation, kid, _mean_pair(self._pairs))


class _Rows:
    """Collects features of pictures, or nothing without a network."""

    def __init__(self, network: MobileNetV2 | None) -> None:
        self._network = network
        self._rows: list[Features] = []

    def add(self, picture: Pixels) -> None:
        if self._network is not None:
            self._rows.append(extract_features(self._network, [picture]))

    def stacked(self) -> Features:
        return np.concatenate(self._rows)


def _score_kid(a: Features, fake: Features, b: Features) -> KidScores:
    translated, nothing = kernel_distance(fake, b), kernel_distance(a, b)
    floor = kernel_distance(b[::2], b[1::2])
    return KidScores(
        translated, nothing, floor, (nothing.mean - translated.mean) / (nothing.mean - floor.mean)
    )


def _read(path: Path, size_px: int | None) -> Pixels:
    picture = read_picture(path)
    return picture if size_px is None else resize_short_side(picture, size_px)


def _like(picture: Pixels, other: Pixels) -> Pixels:
    size = other.shape[1::-1]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _score_pair(real: Pixels, fake: Pixels, truth: Pixels) -> tuple[float, ...]:
    return tuple(score(picture, truth) for picture in (fake, real) for score in (psnr, ssim, map_accuracy))


def _mean_pair(pairs: list[tuple[float, ...]]) -> PairedScores | None:
    if not pairs:
        return None
    means = [float(value) for value in np.mean(pairs, axis=0)]
    return PairedScores(len(pairs), *means)
