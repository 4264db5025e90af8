"""A run of distillation, from the teacher's pictures to the student's preset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from i2itool.console import Reporter
from i2itool.options import Direction
from i2itool.pictures import spread
from i2itool.preset import Preset
from i2itool.translator import Translator
from i2itool.weights import load_network

from .config import TrainConfig
from .data import PictureFolder
from .fit import fit
from .holdout import MOST_PICTURES, Holdout
from .lessons import Lessons, write_lessons
from .run import RunFolder


@dataclass(frozen=True, slots=True)
class Lesson:
    """Who teaches, in which direction, on which pictures; `engine` and `device` are the teacher's."""

    teacher: Preset
    direction: Direction
    pictures: Path
    holdout: Path | None = None
    engine: str = "auto"
    device: str = "auto"


def distill(
    config: TrainConfig,
    lesson: Lesson,
    path: Path,
    *,
    device: torch.device,
    reporter: Reporter,
    restart: bool,
) -> Preset:
    """Write down what the teacher makes of all pictures, and train the student on it; exactly resumable.

    path: the run's folder, which keeps the teacher's pictures.  Raises InputError for pictures that cannot
    be read, PresetError or EngineError if the teacher cannot run, else as `fit`.
    """
    run = RunFolder(path)
    seen = PictureFolder(lesson.pictures, load_px=config.load_px)
    seen.check()
    held_out = PictureFolder(lesson.holdout, load_px=config.load_px) if lesson.holdout else None
    with run.alone():
        if restart:
            run.remove()
        run.open(config)
        network = load_network(lesson.teacher, lesson.direction)
        with Translator(network, engine=lesson.engine, device=lesson.device) as teacher:
            write_lessons(seen, path / "lessons", teacher, reporter)
            holdout = _examined(held_out, teacher) if held_out else None
        wanted = PictureFolder(path / "lessons", load_px=config.load_px)
        data = Lessons(seen, wanted, config.batch_size, config.crop_px, config.flip, config.seed)
        return fit(config, data, run, device=device, reporter=reporter, holdout=holdout)


def _examined(pictures: PictureFolder, teacher: Translator) -> Holdout:
    """Held-out pictures with what the teacher makes of them: the closer the student comes, the better."""
    indices = spread(range(len(pictures)), MOST_PICTURES)
    seen = [pictures.picture(index) for index in indices]
    wanted = [teacher.translate(picture[None])[0] for picture in seen]
    return Holdout(seen, wanted, dict(enumerate(wanted)), None)
