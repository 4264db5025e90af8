"""Two folders of pictures as an endless, repeatable stream of batches.

What a batch holds is a function of the seed and the step alone: no worker, no restart changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from i2itool.errors import InputError
from i2itool.frames import Pixels
from i2itool.pictures import list_pictures, middle_square, read_picture, resize_short_side
from i2itool.pixels import to_network

from .config import TrainConfig

# Names of the two training folders below one ROOT, as the public training projects lay them out.
LAYOUTS = (("trainA", "trainB"), ("train_A", "train_B"), ("images_a", "images_b"), ("A", "B"))

# The same for held-out pictures.
HELD_OUT_LAYOUTS = (("valA", "valB"), ("testA", "testB"), ("A", "B"))

CACHE_BYTES = 4 << 30

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Batch:
    """Unpaired pictures; a and b: N,3,crop,crop float32 in [-1, 1], RGB."""

    a: Tensor
    b: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same pictures on a device."""
        return Batch(self.a.to(device), self.b.to(device))


def find_folders(a: Path, b: Path | None, layouts: Sequence[tuple[str, str]] = LAYOUTS) -> tuple[Path, Path]:
    """The folders of A and of B: as given, or below one ROOT in any of the usual layouts.

    Raises InputError if a folder is missing or ROOT has no known layout.
    """
    for folder in (a,) if b is None else (a, b):
        if not folder.is_dir():
            raise InputError(f"no such folder: {folder}")
    if b is not None:
        return a, b
    for name_a, name_b in layouts:
        if (a / name_a).is_dir() and (a / name_b).is_dir():
            return a / name_a, a / name_b
    known = ", ".join("/".join(pair) for pair in layouts)
    what = "training folders" if layouts is LAYOUTS else "folders of held-out pictures"
    raise InputError(f"{a} has no pair of {what}", hint=f"give A and B, or a ROOT with {known}")


class PictureFolder:
    """The pictures of one domain, resized once and kept in memory as long as they fit."""

    def __init__(self, folder: Path, *, load_px: int) -> None:
        self.paths = list_pictures(folder)
        self._load_px = load_px
        self._cache: dict[int, Pixels] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> Pixels:
        """Picture `index`, H,W,3 uint8 RGB with a short side of `load_px`."""
        if index in self._cache:
            return self._cache[index]
        return self._keep(index, read_picture(self.paths[index]))

    def _keep(self, index: int, whole: Pixels) -> Pixels:
        picture = resize_short_side(whole, self._load_px)
        if self._cached_bytes + picture.nbytes <= CACHE_BYTES // 2:
            self._cache[index] = picture
            self._cached_bytes += picture.nbytes
        return picture

    def read_all(self, see: Callable[[Path, Pixels | None], Seen]) -> list[Seen]:
        """Read every picture once and show it to `see` in full size; None stands for what cannot be read."""

        def read(index: int) -> Seen:
            path = self.paths[index]
            try:
                picture = read_picture(path)
            except InputError:
                return see(path, None)
            self._keep(index, picture)
            return see(path, picture)

        with ThreadPoolExecutor() as pool:
            return list(pool.map(read, range(len(self))))

    def check(self) -> None:
        """Read every picture once, so that a broken one is named before training and not during it."""
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(self.picture, range(len(self))):
                pass


@dataclass(frozen=True, slots=True)
class UnpairedData:
    """Batches of random crops from two folders.

    A is walked through in shuffled order, pass after pass; the partner from B is drawn at random. An epoch
    is as long as the larger folder, as in CycleGAN. rank, count: of the processes that share each step; each
    takes the part of a batch of `count` times `batch_size` that belongs to its rank.
    """

    a: PictureFolder
    b: PictureFolder
    batch_size: int
    crop_px: int
    flip: bool
    seed: int
    rank: int = 0
    count: int = 1

    def batch(self, step: int) -> Batch:
        """The batch of optimisation step `step`, counted from 0."""
        pairs = [self._pair(sample) for sample in self._samples(step)]
        return Batch(
            a=to_network(np.stack([a for a, _ in pairs])), b=to_network(np.stack([b for _, b in pairs]))
        )

    def stream(self, start: int, stop: int, *, ahead: int = 4) -> Iterator[Batch]:
        """The batches of steps `start` to `stop` - 1, prepared `ahead` of their use by threads."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            waiting: list[Future[Batch]] = []
            try:
                for step in range(start, stop):
                    while len(waiting) < ahead and step + len(waiting) < stop:
                        waiting.append(pool.submit(self.batch, step + len(waiting)))
                    yield waiting.pop(0).result()
            finally:
                for future in waiting:
                    future.cancel()

    def _samples(self, step: int) -> range:
        """The draws of this process at a step, counted over all steps and processes."""
        first = (step * self.count + self.rank) * self.batch_size
        return range(first, first + self.batch_size)

    def _pair(self, sample: int) -> tuple[Pixels, Pixels]:
        rng = np.random.default_rng((self.seed, 1, sample))
        picture_a = self.a.picture(self._shuffled(sample))
        picture_b = self.b.picture(int(rng.integers(len(self.b))))
        return self._crop(picture_a, rng), self._crop(picture_b, rng)

    def _shuffled(self, sample: int) -> int:
        """Index into A of the `sample`-th draw of all: each pass over A is a permutation of its own."""
        lap, place = divmod(sample, len(self.a))
        order = np.random.default_rng((self.seed, 0, lap)).permutation(len(self.a))
        return int(order[place])

    def samples(self, count: int) -> Batch:
        """`count` fixed pairs for previews: pictures spread over each folder, cropped in the middle."""
        spread = [np.linspace(0, len(folder) - 1, count).round().astype(int) for folder in (self.a, self.b)]
        return Batch(self.middles(self.a, spread[0]), self.middles(self.b, spread[1]))

    def middles(self, folder: PictureFolder, indices: Iterable[int]) -> Tensor:
        """Pictures of a folder, cropped in the middle: N,3,crop,crop float32 in [-1, 1]."""
        pictures = (folder.picture(int(index)) for index in indices)
        return to_network(np.stack([middle_square(picture, self.crop_px) for picture in pictures]))

    def _crop(self, picture: Pixels, rng: np.random.Generator) -> Pixels:
        top, left = (int(rng.integers(size - self.crop_px + 1)) for size in picture.shape[:2])
        crop = picture[top : top + self.crop_px, left : left + self.crop_px]
        return crop[:, ::-1] if self.flip and rng.random() < 0.5 else crop


def read_both(a: PictureFolder, b: PictureFolder) -> None:
    """Read every picture once; raises InputError naming the first that cannot be."""
    a.check()
    b.check()


def open_data(
    folders: tuple[Path, Path],
    config: TrainConfig,
    *,
    rank: int = 0,
    inspect: Callable[[PictureFolder, PictureFolder], None] = read_both,
) -> UnpairedData:
    """The pictures of A and B as `config` wants them, once `inspect` has read them.

    rank: of this process among those of `config`.  Raises what `inspect` raises.
    """
    a, b = (PictureFolder(folder, load_px=config.load_px) for folder in folders)
    inspect(a, b)
    return UnpairedData(
        a, b, config.batch_size, config.crop_px, config.flip, config.seed, rank, config.processes
    )
