"""What a user can get wrong, by the command line: one line, the documented exit code, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from i2itool.cli import main
from i2itool.pictures import write_picture

MakeClip = Callable[..., Path]


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_preset: Callable[[str], Path]) -> None:
    """A working folder with a preset `tiny`."""
    monkeypatch.chdir(tmp_path)
    make_preset("tiny")


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 40, 40, 3), np.uint8)
    for number, picture in enumerate(pixels):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["-q", *map(str, arguments)])


def assert_refused(result: Result, exit_code: int, *words: str) -> None:
    """One line on stderr that names the cause, nothing on stdout, and the exit code."""
    assert result.exit_code == exit_code, (result.output, result.exception)
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def convert(path: object, *arguments: object) -> Result:
    return run("convert", path, "--preset", "tiny", "--engine", "eager", *arguments)


def test_a_missing_input_is_refused(tmp_path: Path) -> None:
    before = files(tmp_path)
    assert_refused(convert("no-such.mp4"), 3, "no-such.mp4")
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["text.mp4", "text.png", "empty.mp4", "empty.png"])
def test_a_file_that_is_no_video_or_picture_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("" if name.startswith("empty") else "This is text.\n" * 100)
    before = files(tmp_path)
    assert_refused(convert(name), 3, name)
    assert files(tmp_path) == before


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_video_is_refused(share: float, tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip("clip.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    before = files(tmp_path)
    assert_refused(convert(path), 3, "clip.mp4")
    assert files(tmp_path) == before


def test_a_truncated_picture_is_refused(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "pictures", 1) / "0.png"
    path.write_bytes(path.read_bytes()[:600])
    before = files(tmp_path)
    assert_refused(convert(path), 3, "0.png")
    assert files(tmp_path) == before


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").write_text("no picture")
    before = files(tmp_path)
    assert_refused(convert("notes"), 3, "notes")
    assert files(tmp_path) == before


def test_an_unknown_preset_is_refused_and_those_known_are_named(tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip("clip.mp4")
    before = files(tmp_path)
    assert_refused(run("convert", "clip.mp4", "--preset", "no-such"), 4, "no-such", "tiny")
    assert files(tmp_path) == before


def test_a_preset_without_its_weights_is_refused(tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip("clip.mp4")
    (tmp_path / "presets/tiny/a2b.safetensors").write_bytes(b"altered")
    before = files(tmp_path)
    assert_refused(convert("clip.mp4"), 4, "a2b.safetensors")
    assert files(tmp_path) == before


def test_a_direction_that_the_preset_lacks_is_refused(make_clip: MakeClip) -> None:
    assert_refused(convert(make_clip("clip.mp4"), "--direction", "b2a"), 4, "b2a")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
@pytest.mark.parametrize("device", ["cuda", "cuda:7", "tpu"])
def test_a_device_that_is_not_there_is_refused(device: str, tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip("clip.mp4")
    before = files(tmp_path)
    assert_refused(convert("clip.mp4", "--device", device), 5, device)
    assert files(tmp_path) == before


def test_an_unknown_engine_is_refused(make_clip: MakeClip) -> None:
    result = run("convert", make_clip("clip.mp4"), "--preset", "tiny", "--engine", "warp")
    assert_refused(result, 5, "warp", "openvino")


def test_an_existing_output_is_refused_and_kept(tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip("clip.mp4")
    (tmp_path / "clip_tiny.mp4").write_text("precious")
    assert_refused(convert("clip.mp4"), 6, "clip_tiny.mp4", "--overwrite")
    assert (tmp_path / "clip_tiny.mp4").read_text() == "precious"


def test_an_unknown_encoder_is_refused(tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip("clip.mp4")
    before = files(tmp_path)
    assert_refused(convert("clip.mp4", "--codec", "no-such-codec"), 2, "no-such-codec")
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--bitrate", "1M", "--crf", "20"), "--bitrate and --crf exclude each other"),
        (("--codec", "ffv1", "--crf", "20", "-o", "out.mkv"), "ffv1 has no crf"),
        (("--rate", "30"), "--rate is for numbered pictures"),
        (("--trim", "5"), "is not START:END"),
        (("--bitrate", "fast"), "is no bit rate"),
    ],
)
def test_options_that_would_be_ignored_or_cannot_be_are_wrong_calls(
    options: tuple[str, ...], words: str, tmp_path: Path, make_clip: MakeClip
) -> None:
    make_clip("clip.mp4")
    before = files(tmp_path)
    assert_refused(convert("clip.mp4", *options), 2, words)
    assert files(tmp_path) == before


def test_options_that_cannot_be_stop_a_batch_before_it_begins(make_clip: MakeClip) -> None:
    make_clip("clip.mp4")
    assert_refused(convert("clip.mp4", "clip.mp4", "--bitrate", "1M", "--crf", "9"), 2, "exclude each other")


def test_an_address_is_named_as_it_was_written() -> None:
    assert_refused(convert("http://example.org/a.mp4"), 3, "http://example.org/a.mp4 is an address")


def test_an_output_folder_that_is_not_there_is_named(make_clip: MakeClip) -> None:
    make_clip("clip.mp4")
    assert_refused(convert("clip.mp4", "-o", "new/"), 6, "no such folder: new")


def test_a_folder_is_not_converted_into_itself(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 2)
    assert_refused(convert("in", "-o", "in/"), 6, "would replace their inputs")


def test_a_file_where_the_folder_of_many_outputs_should_be_is_refused(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file")
    assert_refused(convert(make_clip("a.mp4"), make_clip("b.mp4"), "-o", "out"), 6, "out")


# Several inputs


def test_one_bad_input_does_not_stop_the_others(tmp_path: Path, make_clip: MakeClip) -> None:
    make_clip("a.mp4")
    make_clip("c.mp4")
    result = convert("a.mp4", "b.mp4", "c.mp4", "-o", "new/out")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["wrote new/out/a_tiny.mp4", "wrote new/out/c_tiny.mp4"]
    lines = result.stderr.splitlines()
    table = ["done         2", "skipped      0", "failed       1", "  no such file: b.mp4"]
    assert lines[-4:] == table
    assert {path.name for path in files(tmp_path / "new/out")} == {"a_tiny.mp4", "c_tiny.mp4"}


def test_json_has_a_line_for_each_input_also_for_a_failed_one(make_clip: MakeClip) -> None:
    make_clip("a.mp4")
    result = convert("a.mp4", "b.mp4", "--json")
    good, bad = map(json.loads, result.stdout.splitlines())
    assert (good["input"], good["num_frames"]) == ("a.mp4", 12)
    assert Path(good["output"]).name == "a_tiny.mp4"
    assert (bad["input"], bad["exit_code"]) == ("b.mp4", 3)
    assert "b.mp4" in bad["error"]


def test_inputs_of_one_name_are_refused_before_one_replaces_the_other(
    tmp_path: Path, make_clip: MakeClip
) -> None:
    (tmp_path / "day").mkdir()
    make_clip("day/clip.mp4")
    result = convert("day/clip.mp4", make_clip("clip.mp4"), "-o", "out", "--overwrite")
    assert result.exit_code == 3
    assert "clip.mp4" in result.stderr
    assert not (tmp_path / "out").exists()


def test_folders_among_several_inputs_keep_apart(tmp_path: Path) -> None:
    write_pictures(tmp_path / "left", 1)
    write_pictures(tmp_path / "right", 1)
    result = convert("left", "right", "-o", "out")
    assert result.exit_code == 0
    assert (tmp_path / "out/left/0.png").is_file()
    assert (tmp_path / "out/right/0.png").is_file()


# Training


def train(*arguments: object) -> Result:
    recipe = ["--name", "t", "--steps", 1, "--size", 32, "--width", 4, "--blocks", 1, "--device", "cpu"]
    return run("train", *arguments, *recipe)


def test_training_on_an_unreadable_picture_is_refused(tmp_path: Path) -> None:
    folder_a, folder_b = write_pictures(tmp_path / "A", 3), write_pictures(tmp_path / "B", 2)
    (folder_a / "1.png").write_bytes(b"no picture")
    before = files(tmp_path)
    assert_refused(train(folder_a, folder_b), 3, "1.png")
    assert files(tmp_path) == before


def test_training_on_a_missing_folder_is_refused(tmp_path: Path) -> None:
    folder_a = write_pictures(tmp_path / "A", 1)
    before = files(tmp_path)
    assert_refused(train(folder_a, tmp_path / "no-such"), 3, "no-such")
    assert files(tmp_path) == before


def test_training_on_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    folder_a = write_pictures(tmp_path / "A", 1)
    (tmp_path / "B").mkdir()
    assert_refused(train(folder_a, tmp_path / "B"), 3, "B")
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_training_on_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    folders = write_pictures(tmp_path / "A", 1), write_pictures(tmp_path / "B", 1)
    assert_refused(run("train", *folders, "--name", "t", "--device", "cuda"), 5, "cuda")
    assert not (tmp_path / "runs").exists()


# As a user meets it


def test_a_process_ends_with_one_line_and_the_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "i2itool", "convert", "no-such.mp4", "--preset", "tiny"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 3
    assert result.stderr.startswith("error: no such ")
    assert result.stderr.count("\n") == 1


def test_what_libraries_say_of_a_damaged_file_is_not_shown(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "pictures", 1) / "0.tiff"
    (path.parent / "0.png").unlink()
    write_picture(path, np.zeros((40, 40, 3), np.uint8))
    # The tags are read with warnings; the pixels cannot be.
    path.write_bytes(path.read_bytes()[:60])
    command = [sys.executable, "-m", "i2itool", "convert", str(path), "--preset", "tiny", "--engine", "eager"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 3
    assert "Warning" not in result.stderr


@pytest.mark.parametrize(
    ("output", "told"),
    [([], "clip_tiny.mp4"), (["-o", "out.mkv"], "out.mkv"), (["-o", "folder"], "folder/clip_tiny.mp4")],
)
def test_the_json_line_of_a_failure_tells_where_the_output_would_have_been(
    output: list[str], told: str
) -> None:
    Path("folder").mkdir()
    Path("clip.mp4").write_bytes(b"no video")
    result = convert("clip.mp4", "--json", *output)
    line = json.loads(result.stdout)
    assert (line["input"], line["output"], line["status"], line["exit_code"]) == (
        "clip.mp4",
        told,
        "failed",
        3,
    )
