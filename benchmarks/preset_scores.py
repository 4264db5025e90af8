"""How near a preset's pictures come to real ones, beside what a user would try first.

    python -m benchmarks.preset_scores DAY NIGHT --preset day2night --features mobilenet_v2.pth

Every picture of A is translated, and recoloured as B is on the whole in two ways: by mean and deviation in
Lab (Reinhard et al. 2001), and by the histogram of each channel. KID of each against the real pictures of B,
by MobileNetV2 and, with --second-features, by EfficientNet-Lite0, which no training has seen. With --cameras,
where the name of a fixed camera leads the names of its pictures, also the PSNR to the camera's own B: the
median of its pictures.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.second_judge import SecondJudge
from i2itool.frames import Pixels
from i2itool.metrics.features import Features, extract_features, read_feature_network
from i2itool.metrics.kid import Distance, kernel_distance
from i2itool.metrics.paired import luma_correlation, psnr
from i2itool.pictures import list_pictures, read_picture
from i2itool.preset import Direction, find_preset
from i2itool.translator import Translator
from i2itool.weights import load_network
from i2itool.work_size import parse_work_size

Judge = Callable[[Iterable[Pixels]], Features]
Recolour = Callable[[Pixels], Pixels]


def main() -> None:
    """Print a table in Markdown, a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--preset", nargs="+", default=[])
    parser.add_argument("--direction", choices=("a2b", "b2a"), default="a2b")
    parser.add_argument("--work-size", nargs="+", default=["auto"])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--second-features", type=Path)
    parser.add_argument("--cameras", action="store_true")
    parser.add_argument("--leave-out", nargs="*", default=[], help="cameras whose B is of no use")
    arguments = parser.parse_args()
    a, b = (read_pictures(folder, arguments.leave_out) for folder in (arguments.a, arguments.b))
    judges = judges_of(arguments.features, arguments.second_features)
    truths = medians(b) if arguments.cameras else {}

    kinds = ["MobileNetV2", "EfficientNet-Lite0"][: len(judges)]
    print("| | " + " | ".join(f"KID, {kind}" for kind in kinds) + " | PSNR, dB | luma correlation |")
    print("|---|" + "---|" * (len(judges) + 2))
    real = [judge(b.values()) for judge in judges]
    floors = [_told(kernel_distance(rows[::2], rows[1::2])) for rows in real]
    print(f"| half of the real pictures against the other | {' | '.join(floors)} | | |")
    score = partial(_line, a=a, real=real, judges=judges, truths=truths)
    print(score("left as they are", a.values()), flush=True)
    for name, recolour in (("mean and deviation in Lab", _by_moments(b)), ("histogram", _by_histogram(b))):
        print(score(name, map(recolour, a.values())), flush=True)
    for name in arguments.preset:
        for work_size in arguments.work_size:
            fakes = list(translations(name, arguments.direction, work_size, a.values()))
            print(score(f"{name}, {work_size}", fakes), flush=True)


def translations(
    preset: str, direction: Direction, work_size: str, pictures: Iterable[Pixels]
) -> Iterator[Pixels]:
    """What a preset makes of pictures, each at its own size."""
    found = find_preset(preset)
    network = load_network(found, direction)
    with Translator(network, work_px=parse_work_size(work_size, found)) as translator:
        for picture in pictures:
            yield translator.translate(picture[None])[0]


def read_pictures(folder: Path, leave_out: Sequence[str] = ()) -> dict[Path, Pixels]:
    """The pictures of a folder, but for those of some cameras."""
    paths = [path for path in list_pictures(folder) if _camera(path) not in leave_out]
    return {path: read_picture(path) for path in paths}


def _camera(path: Path) -> str:
    return re.split(r"[_-]", path.name)[0]


def judges_of(features: Path, second: Path | None) -> list[Judge]:
    """MobileNetV2, and EfficientNet-Lite0 if there is a file of it."""
    first: Judge = partial(extract_features, read_feature_network(features))
    return [first] if second is None else [first, SecondJudge(second).features]


def medians(pictures: dict[Path, Pixels]) -> dict[str, Pixels]:
    """What each camera sees for most of the time; cars and people pass."""
    by_camera = defaultdict(list)
    for path, picture in pictures.items():
        by_camera[_camera(path)].append(picture)
    return {camera: np.median(_alike(seen), axis=0).astype(np.uint8) for camera, seen in by_camera.items()}


def _alike(pictures: list[Pixels]) -> list[Pixels]:
    return [picture for picture in pictures if picture.shape == pictures[0].shape]


def _line(
    name: str,
    fakes: Iterable[Pixels],
    *,
    a: dict[Path, Pixels],
    real: list[Features],
    judges: list[Judge],
    truths: dict[str, Pixels],
) -> str:
    made = list(fakes)
    distances = [_told(kernel_distance(judge(made), rows)) for judge, rows in zip(judges, real, strict=True)]
    paired = f"{paired_psnr(a, made, truths):.2f}" if truths else ""
    correlation = np.mean([luma_correlation(x, fake) for x, fake in zip(a.values(), made, strict=True)])
    return f"| {name} | {' | '.join(distances)} | {paired} | {correlation:.2f} |"


def _like(picture: Pixels, other: Pixels) -> Pixels:
    return np.asarray(cv2.resize(picture, other.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)


def paired_psnr(a: Iterable[Path], fakes: Iterable[Pixels], truths: dict[str, Pixels]) -> float:
    """Mean PSNR in dB of what was made of `a` to what its cameras see in B, where that is known."""
    pairs = [(fake, truths.get(_camera(path))) for path, fake in zip(a, fakes, strict=True)]
    return float(np.mean([psnr(fake, _like(truth, fake)) for fake, truth in pairs if truth is not None]))


def _told(distance: Distance) -> str:
    return f"{distance.mean:.3f} +- {distance.deviation:.3f}"


def _by_moments(wanted: dict[Path, Pixels]) -> Recolour:
    """Give each picture the mean and the deviation, in Lab, that the wanted ones have on average."""
    moments = np.mean([_moments(_lab(picture)) for picture in wanted.values()], axis=0)

    def recoloured(picture: Pixels) -> Pixels:
        lab = _lab(picture)
        mean, deviation = _moments(lab)
        lab = (lab - mean) / np.maximum(deviation, 1e-6) * moments[1] + moments[0]
        rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB)
        return np.asarray((rgb * 255).round().clip(0, 255), np.uint8)

    return recoloured


def _lab(picture: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def _moments(lab: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> tuple[Features, Features]:
    return lab.mean((0, 1)).astype(np.float64), lab.std((0, 1)).astype(np.float64)


def _by_histogram(wanted: dict[Path, Pixels]) -> Recolour:
    """Give each channel of each picture the histogram that the wanted ones have together."""
    total = np.sum([_cumulated(picture) for picture in wanted.values()], axis=0) / len(wanted)

    def recoloured(picture: Pixels) -> Pixels:
        own = _cumulated(picture)
        tables = [np.interp(own[c], total[c], np.arange(256)).round().astype(np.uint8) for c in range(3)]
        return np.stack([tables[c][picture[..., c]] for c in range(3)], axis=-1)

    return recoloured


def _cumulated(picture: Pixels) -> Features:
    """3,256: the share of pixels up to each level."""
    counts = [np.bincount(picture[..., channel].ravel(), minlength=256) for channel in range(3)]
    return np.cumsum(counts, axis=1) / picture[..., 0].size


if __name__ == "__main__":
    main()
