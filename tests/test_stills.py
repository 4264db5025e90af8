"""Whatever a picture is stored as, it comes out the same but for its pixels."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from i2itool.errors import InputError, OutputError
from i2itool.frames import AnyPixels, DeepPixels, Pixels
from i2itool.still_writer import write_still
from i2itool.stills import Still, read_still, to_8_bits

LOSSY = (".jpg", ".webp")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" dc:title="Fest"/></x:xmpmeta>'


def rgb() -> Pixels:
    y, x = np.mgrid[0:30, 0:41]
    return np.stack([x * 6, y * 8, (x + y) * 3], axis=-1).clip(0, 255).astype(np.uint8)


def deep() -> DeepPixels:
    noise = np.random.default_rng(0).integers(0, 257, (30, 41, 3))
    return (rgb().astype(np.uint16) * 256 + noise).clip(0, 65535).astype(np.uint16)


def make_exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", orientation
    exif.get_ifd(0x8769).update({0x9003: "2020:01:02 03:04:05", 0x927C: b"maker\0note", 0x829A: 0.01})
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 5.0)})
    # Only what a file has held is written out again.
    exif[0x8769], exif[0x8825] = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    return exif.tobytes()


def tags_of(exif: bytes) -> dict[str, Any]:  # Any: whatever a tag holds
    loaded = Image.Exif()
    loaded.load(exif)
    inside = loaded.get_ifd(0x8769)
    return {
        "maker": loaded.get(0x010F),
        "orientation": loaded.get(0x0112),
        "taken": inside.get(0x9003),
        "note": inside.get(0x927C),
        "latitude": loaded.get_ifd(0x8825).get(2),
    }


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("pixels", [rgb(), deep()], ids=["8", "16"])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_lossless_forms_keep_every_level_and_alpha(
    suffix: str, pixels: AnyPixels, has_alpha: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"Ωß 日本 \N{PARTY POPPER}{suffix}"
    write_still(path, Still(pixels, pixels[..., 1] if has_alpha else None))
    back = read_still(path)
    assert back.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(back.pixels, pixels)
    if has_alpha:
        assert back.alpha is not None
        np.testing.assert_array_equal(back.alpha, pixels[..., 1])
    else:
        assert back.alpha is None


def test_webp_keeps_alpha_and_what_lies_under_it(tmp_path: Path) -> None:
    alpha = np.where(np.arange(41) < 20, 0, 200).astype(np.uint8)[None].repeat(30, axis=0)
    write_still(tmp_path / "a.webp", Still(rgb(), alpha))
    back = read_still(tmp_path / "a.webp")
    assert back.alpha is not None
    np.testing.assert_array_equal(back.alpha, alpha)
    assert np.abs(back.pixels.astype(int) - rgb()).mean() < 4


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
@pytest.mark.parametrize("pixels", [rgb(), deep()], ids=["8", "16"])
def test_exif_profile_and_xmp_are_kept(suffix: str, pixels: AnyPixels, tmp_path: Path) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_still(first, Still(pixels, exif=make_exif(), icc_profile=SRGB, xmp=XMP, dpi=(300.0, 240.0)))
    write_still(second, read_still(first))
    back = read_still(second)
    assert tags_of(back.exif) == tags_of(make_exif())
    assert tags_of(back.exif)["taken"] == "2020:01:02 03:04:05"
    assert back.icc_profile == SRGB
    assert back.xmp == XMP.replace(b'Orientation="6"', b'Orientation="1"')
    if suffix != ".webp":  # it has no place for this
        assert back.dpi == pytest.approx((300, 240), abs=0.1)


@pytest.mark.parametrize("name", ["8.jpg", "8.png", "16.png", "8.tiff", "16.tiff", "8.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_once(orientation: int, name: str, tmp_path: Path) -> None:
    pixels = deep() if name.startswith("16") else rgb()
    write_still(tmp_path / name, Still(pixels, exif=make_exif(orientation)))
    back = read_still(tmp_path / name)
    # Pillow's own way of turning is the second opinion.
    stored = Image.fromarray(to_8_bits(pixels))
    stored.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(stored)).astype(int)
    assert back.pixels.shape == expected.shape
    error = np.abs(to_8_bits(back.pixels).astype(int) - expected).mean()
    assert error < (4 if name in ("8.jpg", "8.webp") else 0.01)
    assert tags_of(back.exif)["orientation"] == 1


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".jpg", ".webp"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "I;16"])
def test_other_kinds_of_pixels_become_rgb(mode: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    original = Image.fromarray(rgb())
    image = Image.fromarray(deep()[..., 0]) if mode == "I;16" else original.convert(mode)
    try:
        image.save(path)
    except OSError:
        pytest.skip("there is no such file")
    if suffix == ".webp" and mode == "I;16":
        pytest.skip("there is no such file")
    back = read_still(path)
    if mode == "I;16":
        np.testing.assert_array_equal(back.pixels, deep()[..., :1].repeat(3, axis=2))
    else:
        expected = np.asarray(image.convert("RGB")).astype(int)
        # The noise of a palette is what lossy forms drop first.
        limit = 20 if mode in ("P", "PA") else 4
        assert np.abs(back.pixels.astype(int) - expected).mean() < (limit if suffix in LOSSY else 0.01)


def test_the_transparent_colour_of_a_palette_becomes_alpha(tmp_path: Path) -> None:
    paletted = Image.fromarray(rgb()).convert("P")
    paletted.save(tmp_path / "a.png", transparency=paletted.getpixel((3, 4)))
    back = read_still(tmp_path / "a.png")
    assert back.alpha is not None
    np.testing.assert_array_equal(back.alpha == 0, np.asarray(paletted) == paletted.getpixel((3, 4)))


@pytest.mark.parametrize("suffix", [".jpg", ".tiff"])
def test_cmyk_with_a_profile_is_converted_by_it(suffix: str, tmp_path: Path) -> None:
    """The profile says that ink K alone is what sRGB calls red: only a converter that asks it can know."""
    profile = make_cmyk_profile()
    image = Image.new("CMYK", (8, 8), (0, 0, 0, 255))
    image.save(tmp_path / f"a{suffix}", icc_profile=profile)
    back = read_still(tmp_path / f"a{suffix}")
    red, green, blue = back.pixels[4, 4].astype(int)
    assert red > 80 > 40 > max(green, blue)
    assert back.icc_profile[16:20] == b"RGB "


def make_cmyk_profile() -> bytes:
    """An ICC profile (version 2) of four inks, in which white paper is white and any ink is red."""

    def lut8() -> bytes:
        head = struct.pack(">4s4xBBBx", b"mft1", 4, 3, 2)
        matrix = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
        ramp = bytes(range(256))
        white, red = bytes((255, 128, 128)), bytes((135, 208, 195))
        grid = b"".join(white if corner == 0 else red for corner in range(16))
        return head + matrix + ramp * 4 + grid + ramp * 3

    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"inks\0" + bytes(78)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    parts = {b"A2B0": lut8(), b"desc": text, b"wtpt": white, b"cprt": b"text\0\0\0\0none\0"}
    table, data, offset = struct.pack(">I", len(parts)), b"", 128 + 4 + 12 * len(parts)
    for name, part in parts.items():
        part += bytes(-len(part) % 4)
        table += struct.pack(">4sII", name, offset + len(data), len(part))
        data += part
    size = offset + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + data


def test_a_profile_that_does_not_fit_is_left_out_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(rgb()).save(tmp_path / "a.png", icc_profile=make_cmyk_profile())
    back = read_still(tmp_path / "a.png")
    np.testing.assert_array_equal(back.pixels, rgb())
    assert back.icc_profile == b""
    assert "does not fit" in caplog.text


def test_what_a_form_cannot_hold_is_dropped_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_still(tmp_path / "a.jpg", Still(deep(), deep()[..., 0]))
    assert "transparency" in caplog.text
    assert "8 bits" in caplog.text
    back = read_still(tmp_path / "a.jpg")
    assert back.pixels.dtype == np.uint8
    assert back.alpha is None


@pytest.mark.parametrize("mode", ["F", "I"])
def test_kinds_that_would_lose_too_much_are_refused(mode: str, tmp_path: Path) -> None:
    Image.fromarray(rgb()).convert("L").convert(mode).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match="not supported"):
        read_still(tmp_path / "a.tiff")


def test_the_first_of_several_pages_is_read_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Image.fromarray(rgb())
    first.save(tmp_path / "a.tiff", save_all=True, append_images=[first.rotate(180)])
    np.testing.assert_array_equal(read_still(tmp_path / "a.tiff").pixels, rgb())
    assert "holds 2 pictures" in caplog.text


# Files that are not what they should be


def png_of_declared_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def bmp_of_declared_size(width: int, height: int) -> bytes:
    head = io.BytesIO()
    Image.new("RGB", (1, 1)).save(head, "BMP")
    data = head.getvalue()
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


@pytest.mark.parametrize("make", [png_of_declared_size, bmp_of_declared_size])
def test_a_bomb_is_refused_by_its_header(make: Any, tmp_path: Path) -> None:  # Any: one of those above
    path = tmp_path / "bomb.png"
    path.write_bytes(make(60_000, 60_000))
    with pytest.raises(InputError, match=r"60000x60000 .*max-pixels"):
        read_still(path)
    path.write_bytes(make(11, 1))
    with pytest.raises(InputError, match="limit of 10"):
        read_still(path, max_pixels=10)


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9, 0.99])
@pytest.mark.filterwarnings("ignore")  # of Pillow, about its EXIF
def test_a_truncated_16_bit_picture_is_refused(name: str, kept: float, tmp_path: Path) -> None:
    write_still(tmp_path / name, Still(deep()))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError, match=name):
        read_still(tmp_path / name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["8.png", "16.png", "8.jpg", "8.webp", "8.tiff", "16.tiff", "8.bmp"])
def test_a_mutated_picture_is_read_or_refused_but_never_breaks(name: str, tmp_path: Path) -> None:
    pixels = deep() if name.startswith("16") else rgb()
    path = tmp_path / name
    write_still(path, Still(pixels, exif=make_exif(6), icc_profile=SRGB, xmp=XMP, dpi=(72.0, 72.0)))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(whole)
        # Half of the damage is where the structure is.
        for _ in range(int(rng.integers(1, 6))):
            limit = len(data) if rng.random() < 0.5 else min(len(data), 300)
            data[int(rng.integers(limit))] = int(rng.integers(256))
        path.write_bytes(data)
        try:
            still = read_still(path)
        except InputError:
            continue
        try:
            write_still(tmp_path / f"out_{name}", still)
        except OutputError as error:
            raise AssertionError(data.hex()) from error


def test_a_folder_or_a_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    for name in ("a.png", "b.png"):
        with pytest.raises(InputError, match=name):
            read_still(tmp_path / name)


def test_opencv_agrees_about_what_is_written(tmp_path: Path) -> None:
    for name in ("a.png", "a.tiff"):
        write_still(tmp_path / name, Still(deep(), deep()[..., 1], exif=make_exif(), icc_profile=SRGB))
        theirs = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
        assert theirs is not None
        np.testing.assert_array_equal(theirs, np.dstack([deep()[..., ::-1], deep()[..., 1]]))
