"""Parts of a batch: every file in one of them, about equally large, the same everywhere."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from i2itool.errors import OptionError
from i2itool.jobs.plan import Task, plan
from i2itool.jobs.shard import Shard, parse_shard


def folder_of(path: Path, sizes: list[int]) -> list[Task]:
    for i, size in enumerate(sizes):
        file = path / f"{i % 3}" / f"clip{i:03}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    return plan([path], path.with_name(f"{path.name}_out"), "x").tasks


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_every_file_is_in_exactly_one_part(count: int, tmp_path: Path) -> None:
    tasks = folder_of(tmp_path / "in", [0, 0, 5, 5, 5, 1000, 30, 31] * 4)
    parts = [Shard(i, count).of(tasks) for i in range(count)]
    assert sorted((task for part in parts for task in part), key=lambda task: task.source) == sorted(
        tasks, key=lambda task: task.source
    )
    for part in parts:
        assert part == [task for task in tasks if task in part]


def test_parts_are_about_equally_large(tmp_path: Path) -> None:
    rng = random.Random(0)
    sizes = [rng.randrange(100, 5000) for _ in range(60)]
    tasks = folder_of(tmp_path / "in", sizes)
    loads = [sum(task.source.stat().st_size for task in Shard(i, 5).of(tasks)) for i in range(5)]
    assert max(loads) < 1.05 * sum(sizes) / 5


def test_machines_that_mount_the_files_elsewhere_agree(tmp_path: Path) -> None:
    sizes = [7, 7, 7, 7, 80, 80, 3, 900]
    here, there = folder_of(tmp_path / "here/in", sizes), folder_of(tmp_path / "there/in", sizes)
    for i in range(3):
        names = [
            [task.source.relative_to(tmp_path / place) for task in Shard(i, 3).of(tasks)]
            for place, tasks in (("here", here), ("there", there))
        ]
        assert names[0] == names[1]


def test_what_is_done_already_moves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    before = Shard(1, 3).of(folder_of(folder, [5, 6, 7, 8, 9]))
    for task in before:
        task.target.parent.mkdir(parents=True, exist_ok=True)
        task.target.write_bytes(b"done")
    assert Shard(1, 3).of(plan([folder], tmp_path / "in_out", "x").tasks) == before


@pytest.mark.parametrize(
    ("text", "environment", "shard"),
    [
        ("3/16", {}, Shard(2, 16)),
        (None, {}, None),
        (None, {"I2ITOOL_SHARD": "1/2"}, Shard(0, 2)),
        ("2/2", {"I2ITOOL_SHARD": "1/2"}, Shard(1, 2)),
        (None, {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "8"}, None),
        (
            "auto",
            {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "4", "SLURM_ARRAY_TASK_COUNT": "8"},
            Shard(3, 8),
        ),
    ],
)
def test_the_part_comes_from_the_option_or_the_environment(
    text: str | None, environment: dict[str, str], shard: Shard | None
) -> None:
    assert parse_shard(text, environment) == shard


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "-1/4", "one", "1", "auto"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"is no part of a batch|no Slurm array"):
        parse_shard(text, {})


def test_an_array_with_gaps_is_refused() -> None:
    environment = {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "4"}
    with pytest.raises(OptionError, match="gaps"):
        parse_shard("auto", environment)
