from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from i2itool.errors import InputError, OutputError
from i2itool.frames import Pixels
from i2itool.pictures import list_pictures, read_picture, write_picture


@pytest.fixture
def pixels() -> Pixels:
    ramp = np.linspace(0, 250, 40 * 30).reshape(30, 40)
    return np.stack([ramp, ramp[::-1], np.full_like(ramp, 90)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".PNG"])
def test_lossless_pictures_come_back_exactly(suffix: str, pixels: Pixels, tmp_path: Path) -> None:
    path = tmp_path / f"Grüße 日本{suffix}"
    write_picture(path, pixels)
    np.testing.assert_array_equal(read_picture(path), pixels)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_pictures_come_back_nearly(suffix: str, pixels: Pixels, tmp_path: Path) -> None:
    write_picture(tmp_path / f"picture{suffix}", pixels)
    back = read_picture(tmp_path / f"picture{suffix}")
    assert np.abs(back.astype(int) - pixels).mean() < 3


def test_other_kinds_of_pictures_become_8_bit_rgb(pixels: Pixels, tmp_path: Path) -> None:
    gray = pixels[..., 0]
    kinds: dict[str, NDArray[np.uint8] | NDArray[np.uint16]] = {
        "gray": gray,
        "alpha": np.dstack([pixels[..., ::-1], gray]),
        "deep": pixels[..., ::-1].astype(np.uint16) * 257,
    }
    for name, stored in kinds.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(cv2.imencode(".png", stored)[1].tobytes())
        expected = np.dstack([gray] * 3) if name == "gray" else pixels
        np.testing.assert_array_equal(read_picture(path), expected)


def test_the_orientation_of_a_camera_is_applied(pixels: Pixels, tmp_path: Path) -> None:
    data = cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes()
    # EXIF with the one entry "orientation = 6": turn clockwise by 90 degrees.
    entry = bytes.fromhex("0112 0003 00000001 0006 0000".replace(" ", ""))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + bytes(4)
    path = tmp_path / "turned.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    turned = read_picture(path)
    assert turned.shape == (40, 30, 3)
    assert np.abs(turned.astype(int) - np.rot90(pixels, k=-1)).mean() < 3


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
@pytest.mark.parametrize("kept", [0, 0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(suffix: str, kept: float, pixels: Pixels, tmp_path: Path) -> None:
    path = tmp_path / f"cut{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, pixels.shape, dtype=np.uint8)
    write_picture(path, noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError, match="cut"):
        read_picture(path)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    with pytest.raises(InputError, match="no pictures"):
        list_pictures(tmp_path)


def test_a_picture_cannot_be_written_as_a_video(pixels: Pixels, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.mp4"):
        write_picture(tmp_path / "picture.mp4", pixels)


def test_a_missing_output_folder_is_named(pixels: Pixels, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such folder"):
        write_picture(tmp_path / "absent" / "picture.png", pixels)
