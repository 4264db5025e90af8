"""What a student learns from: pictures, and what its teacher makes of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from i2itool.console import Reporter
from i2itool.errors import OutputError
from i2itool.frames import Pixels
from i2itool.pictures import write_picture
from i2itool.translator import Translator

from .data import PictureFolder, UnpairedData


@dataclass(frozen=True, slots=True)
class Lessons(UnpairedData):
    """Batches of equal crops of a picture and of its counterpart; else as `UnpairedData`."""

    def _pair(self, sample: int) -> tuple[Pixels, Pixels]:
        rng = np.random.default_rng((self.seed, 1, sample))
        index = self._shuffled(sample)
        both = np.concatenate([self.a.picture(index), self.b.picture(index)], axis=2)
        cropped = self._crop(both, rng)
        return cropped[..., :3], cropped[..., 3:]


def write_lessons(pictures: PictureFolder, folder: Path, teacher: Translator, reporter: Reporter) -> None:
    """Write what the teacher makes of each picture, whole and at the size of training, into `folder`, as PNG.

    What lies there already from the same picture and teacher is kept, all else removed: the picture's place
    and the digest of both are the name. Raises OutputError if something cannot be written.
    """
    mark = teacher.fingerprint()
    reporter.start("the teacher's pictures", len(pictures), unit="pictures")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        wanted = set()
        for index in range(len(pictures)):
            picture = pictures.picture(index)
            digest = hashlib.sha256(mark.encode() + picture.tobytes()).hexdigest()[:16]
            path = folder / f"{index:07d}-{digest}.png"
            wanted.add(path)
            if not path.exists():
                write_picture(path, teacher.translate(picture[None])[0])
            reporter.advance()
        for path in set(folder.iterdir()) - wanted:
            path.unlink()
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        reporter.finish()
