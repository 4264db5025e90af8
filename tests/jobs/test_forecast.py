"""`--plan`: what a batch would take, measured; and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from i2itool.cli import main
from i2itool.jobs.forecast import FileForecast, loads, median, reckoned
from i2itool.jobs.plan import Task
from i2itool.pictures import write_picture
from i2itool.probe import Probe

MakeClip = Callable[..., Path]


def video(
    name: str, *, width: int = 100, height: int = 50, num_frames: int = 10, seconds: float = 0
) -> FileForecast:
    return FileForecast(Task(Path(name), Path("out", name)), width, height, num_frames, seconds)


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["convert", *arguments, "--preset", "tiny", "--engine", "eager", "--plan"]
    )


@pytest.fixture
def batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_clip: MakeClip, make_preset: Callable[[str], Path]
) -> None:
    """A folder with two videos of different sizes, a picture, one that is done and one that is none."""
    monkeypatch.chdir(tmp_path)
    make_preset("tiny")
    Path("in").mkdir()
    Path("out").mkdir()
    make_clip("in/a.mp4", pts=range(30))
    make_clip("in/b.mkv", pts=range(20), width=32, height=32)
    for path in ("in/c.png", "in/there.png", "out/there.png"):
        write_picture(Path(path), np.zeros((20, 30, 3), np.uint8))
    Path("in/bad.mp4").write_bytes(b"no video")


@pytest.mark.usefixtures("batch")
def test_a_plan_tells_of_every_file_and_writes_nothing() -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in Path().rglob("*"))
    result = plan("in", "-o", "out", "--jobs", "2", "--json")
    assert result.exit_code == 0, result.stderr
    assert sorted((path, path.stat().st_mtime_ns) for path in Path().rglob("*")) == before
    *told, total = map(json.loads, result.stdout.splitlines())
    files = {Path(line["input"]).name: line for line in told}
    assert {name: line.get("frames") for name, line in files.items()} == {
        "a.mp4": 30,
        "b.mkv": 20,
        "c.png": 1,
        "bad.mp4": None,
        "there.png": None,
    }
    assert files["there.png"]["problem"] == "is already there"
    assert "not a readable video" in files["bad.mp4"]["problem"]
    assert (files["a.mp4"]["width"], files["a.mp4"]["height"]) == (64, 48)
    assert all(files[name]["hours"] > 0 and files[name]["bytes"] > 0 for name in ("a.mp4", "b.mkv", "c.png"))
    assert (total["files"], total["frames"]) == (3, 51)
    assert len(total["hours_of_workers"]) == 2
    assert total["hours"] == max(total["hours_of_workers"])
    assert sum(total["hours_of_workers"]) == pytest.approx(sum(line.get("hours", 0) for line in told))


@pytest.mark.usefixtures("batch")
def test_the_size_that_is_planned_is_about_that_of_the_output() -> None:
    """Of all frames: a short clip is probed as a whole."""
    result = plan("in/a.mp4", "--json")
    file, _ = map(json.loads, result.stdout.splitlines())
    words = ["convert", "in/a.mp4", "-o", "a.mp4", "--preset", "tiny", "--engine", "eager"]
    assert CliRunner().invoke(main, words).exit_code == 0
    # The container's own kilobytes come on top.
    assert 0.5 < file["bytes"] / Path("a.mp4").stat().st_size < 1.5


@pytest.mark.usefixtures("batch")
def test_a_plan_for_people_ends_with_the_sums() -> None:
    lines = plan("in", "-o", "out").stdout.splitlines()
    assert lines[0].split() == ["frames", "size", "hours", "MB", "file"]
    assert "51 frames" in lines[-1]
    assert any(line.strip() == "in/there.png: is already there" for line in lines)


@pytest.mark.usefixtures("batch")
def test_a_part_that_is_asked_for_has_the_frames_of_that_part() -> None:
    result = plan("in/a.mp4", "--trim", "0.4:0.8", "--json")
    assert json.loads(result.stdout.splitlines()[0])["frames"] == 10


def test_what_was_not_probed_is_reckoned_from_the_nearest_size() -> None:
    small, large = video("small.mp4"), video("large.mp4", width=1000, height=500)
    still = video("still.png", num_frames=1)
    probed = [(small, Probe(0.1, 1000)), (large, Probe(4, 9000)), (still, Probe(7, None))]
    twice = reckoned(video("x.mp4", height=100, num_frames=7), probed)
    assert twice.seconds == pytest.approx(7 * 0.2)
    assert twice.num_bytes == 7 * 2000
    assert reckoned(replace(large, num_frames=2), probed).seconds == 8
    # Pictures by pictures, though a video be nearer in size.
    assert reckoned(video("big.png", width=1000, height=500, num_frames=1), probed).seconds == 700


def test_the_median_worker_is_what_counts() -> None:
    assert median([Probe(1, 5), Probe(9, 5), Probe(2, 5)]) == Probe(2, 5)


def test_workers_get_the_longest_files_first_and_share_what_is_too_long_for_one() -> None:
    files = [video(str(i), seconds=seconds) for i, seconds in enumerate((3, 1, 2, 2))]
    assert loads(files, 2, can_share=True) == [4, 4]
    assert loads(files, 1, can_share=True) == [8]
    film = video("film", seconds=100)
    assert loads([*files, film], 2, can_share=True) == [54, 54]
    assert loads([*files, film], 2, can_share=False) == [100, 8]
