"""Batches from folders: repeatable, complete, and honest about broken pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from i2itool.trainer.data import (
    PictureFolder,
    UnpairedData,
    find_folders,
)
from numpy.typing import NDArray

from i2itool.errors import InputError
from i2itool.pictures import list_pictures, read_picture, resize_short_side


def open_tiny(folders: tuple[Path, Path], *, seed: int = 0, batch_size: int = 2) -> UnpairedData:
    a, b = (PictureFolder(folder, load_px=36) for folder in folders)
    return UnpairedData(a, b, batch_size, crop_px=32, flip=True, seed=seed)


def test_a_batch_is_a_function_of_seed_and_step(folders: tuple[Path, Path]) -> None:
    first, second = open_tiny(folders), open_tiny(folders)
    second.batch(3)
    assert torch.equal(first.batch(7).a, second.batch(7).a)
    assert torch.equal(first.batch(7).b, second.batch(7).b)
    assert not torch.equal(first.batch(7).a, open_tiny(folders, seed=1).batch(7).a)


def test_the_stream_gives_the_batches_of_its_steps_in_order(folders: tuple[Path, Path]) -> None:
    data = open_tiny(folders)
    streamed = [batch.a for batch in data.stream(2, 9)]
    assert len(streamed) == 7
    for step, a in enumerate(streamed, start=2):
        assert torch.equal(a, data.batch(step).a)


def test_batches_are_crops_in_the_range_of_the_network(folders: tuple[Path, Path]) -> None:
    batch = open_tiny(folders).batch(0)
    assert batch.a.shape == batch.b.shape == (2, 3, 32, 32)
    assert batch.a.dtype == torch.float32
    assert batch.a.min() >= -1
    assert batch.b.max() <= 1
    assert batch.a.mean() < batch.b.mean()


def test_each_pass_over_a_shows_every_picture_once(tmp_path: Path) -> None:
    for index in range(5):
        (tmp_path / "a").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "a" / f"{index}.png"), np.full((8, 8, 3), index * 10, np.uint8))
    folder = PictureFolder(tmp_path / "a", load_px=8)
    data = UnpairedData(folder, folder, 1, crop_px=8, flip=True, seed=0)
    levels = [round((data.batch(step).a.mean().item() + 1) * 127.5) for step in range(15)]
    for lap in range(3):
        assert sorted(levels[lap * 5 : lap * 5 + 5]) == [0, 10, 20, 30, 40]
    assert levels[:5] != levels[5:10] or levels[5:10] != levels[10:]


@pytest.mark.parametrize("layout", [("trainA", "trainB"), ("train_A", "train_B"), ("A", "B")])
def test_a_root_with_both_folders_is_understood(tmp_path: Path, layout: tuple[str, str]) -> None:
    for name in layout:
        (tmp_path / name).mkdir()
    assert find_folders(tmp_path, None) == (tmp_path / layout[0], tmp_path / layout[1])


def test_a_root_without_them_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pair of training folders"):
        find_folders(tmp_path, None)
    with pytest.raises(InputError, match="no such folder"):
        find_folders(tmp_path, tmp_path / "missing")


def test_pictures_are_found_in_subfolders_whatever_the_case_of_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("deep/x.JPG", "y.webp", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in list_pictures(tmp_path)] == ["x.JPG", "y.webp"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures in"):
        list_pictures(tmp_path)


def test_an_unreadable_picture_is_named_before_training(folders: tuple[Path, Path]) -> None:
    (folders[0] / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        PictureFolder(folders[0], load_px=36).check()


def test_gray_alpha_and_16_bit_pictures_become_rgb_of_8_bits(tmp_path: Path) -> None:
    gray = np.full((6, 5), 200, np.uint8)
    pictures: dict[str, NDArray[Any]] = {  # Any: 8 and 16 bit
        "gray.png": gray,
        "alpha.png": np.dstack([gray, gray, gray, gray // 2]),
        "deep.tiff": np.full((6, 5, 3), 200 * 257, np.uint16),
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(tmp_path / name), picture)
        loaded = read_picture(tmp_path / name)
        assert loaded.shape == (6, 5, 3)
        assert (loaded == 200).all(), name


def test_colours_are_read_in_the_order_red_green_blue(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((4, 4, 3), (0, 0, 255), np.uint8))
    assert read_picture(tmp_path / "red.png")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (400, 31), (36, 36)])
def test_resizing_sets_the_short_side_and_keeps_the_aspect(shape: tuple[int, int]) -> None:
    resized = resize_short_side(np.zeros((*shape, 3), np.uint8), 36)
    assert min(resized.shape[:2]) == 36
    assert resized.shape[0] / resized.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.03)
