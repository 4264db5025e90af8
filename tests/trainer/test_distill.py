"""A student that learns from a teacher's pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from i2itool.trainer.data import PictureFolder
from i2itool.trainer.lessons import Lessons, write_lessons
from i2itool.trainer.perceptual import PerceptualLoss

from i2itool import load_preset
from i2itool.cli import main
from i2itool.console import SilentReporter
from i2itool.metrics.features import MobileNetV2
from i2itool.metrics.paired import psnr
from i2itool.networks import build
from i2itool.pictures import read_picture
from i2itool.preset import find_preset
from i2itool.translator import Translator

MakePreset = Callable[..., Path]


def distil(*arguments: object) -> Result:
    """A tiny student of the preset `teacher`, on the folder `dark`."""
    tiny = [
        "--width",
        "4",
        "--blocks",
        "1",
        "--batch-size",
        "1",
        "--load-size",
        "32",
        "--engine",
        "eager",
        "-q",
    ]
    call = ["distill", "teacher", "dark", "--name", "student", "--precision", "fp32", *tiny, *arguments]
    return CliRunner().invoke(main, [str(word) for word in call])


@pytest.fixture(autouse=True)
def at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: tuple[Path, Path], make_preset: MakePreset
) -> None:
    """A working folder with the pictures `dark` and `bright`, and a preset `teacher`."""
    monkeypatch.chdir(tmp_path)
    make_preset("teacher")


def test_the_student_comes_near_its_teacher(tmp_path: Path) -> None:
    told = distil(
        "--steps", 120, "--generator", "light-4", "--holdout", "dark", "--eval-every", 60, "--lr", 2e-3
    )
    assert told.exit_code == 0, told.output
    preset = find_preset(str(tmp_path / "runs/student"))
    assert preset.directions == ("a2b",)
    assert preset.training is not None
    pictures = [read_picture(path) for path in sorted((tmp_path / "dark").iterdir())]
    with load_preset("teacher") as teacher, load_preset(str(preset.folder)) as student:
        wanted = [teacher.translate(picture, engine="eager") for picture in pictures]
        made = [student.translate(picture, engine="eager") for picture in pictures]
    gained = [psnr(m, w) - psnr(p, w) for m, w, p in zip(made, wanted, pictures, strict=True)]
    assert np.mean(gained) > 3
    assert "distilled from teacher a2b" in (preset.folder / "CARD.md").read_text()


def test_the_teachers_pictures_are_made_once(tmp_path: Path) -> None:
    teacher = Translator(build("resnet", width=4, blocks=1), engine="eager")
    pictures, folder = PictureFolder(tmp_path / "dark", load_px=32), tmp_path / "lessons"
    write_lessons(pictures, folder, teacher, SilentReporter())
    first = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_lessons(pictures, folder, teacher, SilentReporter())
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == first
    wanted = PictureFolder(folder, load_px=32)
    for index in range(len(pictures)):
        expected = teacher.translate(pictures.picture(index)[None])[0]
        np.testing.assert_array_equal(wanted.picture(index), expected)


def test_lessons_of_another_teacher_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    pictures, folder = PictureFolder(tmp_path / "dark", load_px=32), tmp_path / "lessons"
    names = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        teacher = Translator(build("resnet", width=4, blocks=1), engine="eager")
        write_lessons(pictures, folder, teacher, SilentReporter())
        names.append({path.name for path in folder.iterdir()})
        assert len(names[-1]) == len(pictures)
    assert not names[0] & names[1]


def test_both_pictures_of_a_lesson_are_cropped_and_turned_alike(tmp_path: Path) -> None:
    pictures = PictureFolder(tmp_path / "dark", load_px=36)
    lessons = Lessons(pictures, pictures, batch_size=2, crop_px=20, flip=True, seed=3)
    batches = [lessons.batch(step) for step in range(8)]
    assert all(torch.equal(batch.a, batch.b) for batch in batches)
    assert len({batch.a.sum().item() for batch in batches}) == len(batches)


def test_the_perceptual_loss_is_nil_for_equal_pictures_and_grows_with_blur(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(MobileNetV2().state_dict(), tmp_path / "mobilenet_v2.pth")
    loss = PerceptualLoss(tmp_path / "mobilenet_v2.pth")
    sharp = torch.rand(1, 3, 64, 64) * 2 - 1
    blurred = [torch.nn.functional.avg_pool2d(sharp, size, 1, size // 2) for size in (3, 7)]
    assert loss(sharp, sharp) == 0
    assert 0 < loss(blurred[0], sharp) < loss(blurred[1], sharp)
    sharp.requires_grad_(True)
    loss(sharp, blurred[0]).backward()
    assert sharp.grad is not None
    assert sharp.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--direction", "b2a"], "has no b2a direction"),
        (["--lambda-l1", "x"], "x"),
        (["--size", "31"], "at least --size 32"),
        (["--holdout", "nowhere"], "no pictures in nowhere"),
    ],
)
def test_what_cannot_be_is_one_clear_line(words: list[Any], told: str) -> None:
    result = distil("--steps", 2, *words)
    assert result.exit_code not in (0, 1)
    assert told in result.output
    assert "Traceback" not in result.output
