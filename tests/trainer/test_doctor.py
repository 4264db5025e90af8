"""`i2itool check`: each kind of trouble is found, and healthy folders are left in peace."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from i2itool.trainer.config import make_config
from i2itool.trainer.doctor import Checkup, Look, check_folders, judge, refuse_or_warn
from i2itool.trainer.refusals import refuse_impossible
from numpy.typing import NDArray

from i2itool.cli import main
from i2itool.errors import InputError


def scene(seed: int, size: tuple[int, int] = (96, 128)) -> NDArray[np.uint8]:
    """A colourful picture of large blobs, as photographs have; H,W,3 uint8."""
    noise = np.random.default_rng(seed).normal(0, 1, (*size, 3))
    blobs = cv2.GaussianBlur(noise, (0, 0), 9) * 900 + 128
    return np.clip(blobs, 0, 255).astype(np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for start, name in ((0, "a"), (100, "b")):
        (tmp_path / name).mkdir()
        for index in range(5):
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), scene(start + index))
    return tmp_path / "a", tmp_path / "b"


def problems(checkup: Checkup) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (finding.severity, finding.problem, tuple(path.name for path in finding.paths))
        for finding in checkup.findings
    ]


def test_healthy_folders_have_no_findings(folders: tuple[Path, Path]) -> None:
    checkup = check_folders(*folders)
    assert problems(checkup) == []
    assert checkup.counts == (5, 5)
    assert checkup.sizes == (((128, 96), 10),)


def test_unreadable_and_constant_pictures_are_errors(folders: tuple[Path, Path]) -> None:
    (folders[0] / "torn.png").write_bytes(b"\x89PNG")
    cv2.imwrite(str(folders[1] / "black.png"), np.zeros((96, 96, 3), np.uint8))
    checkup = check_folders(*folders)
    assert checkup.has_errors
    found = {names: (severity, problem) for severity, problem, names in problems(checkup)}
    assert found[("torn.png",)] == ("error", "cannot be read")
    assert found[("black.png",)][0] == "error"
    assert found[("black.png",)][1].startswith("constant")


def test_tiny_flat_and_gray_pictures_are_warnings(folders: tuple[Path, Path]) -> None:
    cv2.imwrite(str(folders[0] / "tiny.png"), scene(7, (40, 200)))
    flat = (scene(8) // 16 + 100).astype(np.uint8)
    cv2.imwrite(str(folders[0] / "flat.png"), flat)
    gray = np.repeat(scene(9)[..., :1], 3, axis=2)
    cv2.imwrite(str(folders[1] / "gray.jpg"), gray)
    checkup = check_folders(*folders)
    assert not checkup.has_errors
    found = {names: problem for _, problem, names in problems(checkup)}
    assert found[("tiny.png",)] == "smaller than 64 px"
    assert found[("flat.png",)] == "nearly constant"
    assert found[("gray.jpg",)] == "gray in a set of colour"


def test_a_gray_set_is_not_told_that_it_is_gray(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    (tmp_path / "gray").mkdir()
    for index in range(5):
        cv2.imwrite(str(tmp_path / "gray" / f"{index}.png"), scene(50 + index)[..., 0])
    assert problems(check_folders(tmp_path / "gray", folders[1])) == []


def test_copies_are_found_within_a_folder_and_across(folders: tuple[Path, Path]) -> None:
    cv2.imwrite(str(folders[0] / "copy.png"), scene(0))
    # The same scene saved as JPEG at another size and a little brighter is nearly the same picture.
    shrunk = cv2.resize(scene(101), (100, 75), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folders[0] / "stray.jpg"), np.clip(shrunk.astype(int) + 4, 0, 255).astype(np.uint8))
    found = {names: problem for _, problem, names in problems(check_folders(*folders))}
    assert found[("0.png", "copy.png")] == "the same picture twice"
    assert found[("stray.jpg", "1.png")].endswith("the same picture in A and in B")


@pytest.mark.parametrize(("size", "load", "crop"), [((96, 128), 96, 80), ((720, 1280), 286, 256)])
def test_sizes_are_suggested_that_the_pictures_can_fill(
    tmp_path: Path, size: tuple[int, int], load: int, crop: int
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "x.png"), scene(ord(name), size))
    checkup = check_folders(tmp_path / "a", tmp_path / "b")
    assert (checkup.load_px, checkup.crop_px) == (load, crop)


def suggestion(*short_sides_px: int) -> tuple[int, int]:
    """Load and crop size that pictures of these short sides are told."""
    looks = [
        Look(
            Path(f"{index}.png"),
            (px, 2 * px),
            deviation=50,
            bits=np.packbits(np.arange(256) % (index + 2) == 0),
        )
        for index, px in enumerate(short_sides_px)
    ]
    checkup = judge(looks, [])
    return checkup.load_px, checkup.crop_px


def test_a_suggested_crop_is_the_largest_that_keeps_the_papers_share() -> None:
    for short_side_px in range(1, 400):
        load, crop = suggestion(short_side_px)
        # Only pictures too small for any crop are enlarged, and only those of the papers' size are not whole.
        assert load == max(36, min(short_side_px, 286)), short_side_px
        assert 32 <= crop <= load * 256 / 286 < crop + 8, (short_side_px, crop)
        assert crop % 8 == 0


def test_a_suggestion_follows_the_smallest_tenth_of_the_pictures() -> None:
    assert suggestion(*[60] * 3, *[500] * 17) == suggestion(60)
    assert suggestion(*[60] * 1, *[500] * 19) == suggestion(500)


@pytest.mark.parametrize("generator", ["resnet", "light"])
def test_what_is_suggested_is_never_refused(generator: str) -> None:
    hyper = {"width": 1, "blocks": 1} | ({"factor": 8} if generator == "light" else {})
    table = {"name": "x", "domain_a": "a", "domain_b": "b", "steps": 1}
    for load, crop in {suggestion(short_side_px) for short_side_px in range(1, 400)}:
        sizes = {"load_px": load, "crop_px": crop, "generator": {"name": generator, "hyper": hyper}}
        refuse_impossible(make_config({}, table | sizes), {})


def test_errors_stop_a_training_and_warnings_are_logged(
    folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(folders[0] / "tiny.png"), scene(7, (40, 200)))
    with caplog.at_level(logging.WARNING):
        refuse_or_warn(check_folders(*folders))
    assert "smaller than 64 px: 1" in caplog.text
    cv2.imwrite(str(folders[1] / "black.png"), np.zeros((96, 96, 3), np.uint8))
    with pytest.raises(InputError, match=r"black\.png: constant"):
        refuse_or_warn(check_folders(*folders))


def test_the_command_prints_a_table_or_json_and_its_exit_code(folders: tuple[Path, Path]) -> None:
    command = ["check", *map(str, folders)]
    healthy = CliRunner().invoke(main, command, catch_exceptions=False)
    assert healthy.exit_code == 0
    assert "5 of A, 5 of B" in healthy.stdout
    (folders[0] / "torn.png").write_bytes(b"\x89PNG")
    assert CliRunner().invoke(main, command, catch_exceptions=False).exit_code == 3
    report = json.loads(CliRunner().invoke(main, [*command, "--json"], catch_exceptions=False).stdout)
    assert report["findings"][0]["problem"] == "cannot be read"
