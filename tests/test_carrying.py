"""Carrying to full size without RGB: as if by way of RGB, and only where it fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor, nn

from i2itool.affine import OPEN, AffineGrid, fit_affine
from i2itool.carrying import apply_affine, apply_to_stored
from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.frames import Stored
from i2itool.options import ConvertOptions
from i2itool.translator import Translator
from i2itool.video.color import BT709, FULL_RANGE, LIMITED_RANGE, SMPTE170M, ColorTags
from i2itool.video.planes import RgbReader, RgbWriter, samples_of
from i2itool.video.reader import VideoReader
from i2itool.video.stored import StoredReader, to_picture
from i2itool.work_size import resized, small_of
from tests.conftest import MakeClip
from tests.test_affine import psnr, scene, small

Array = NDArray[Any]
LIMITED = ColorTags(matrix=BT709, color_range=LIMITED_RANGE)
FULL = ColorTags(matrix=SMPTE170M, color_range=FULL_RANGE)


class Dusk(nn.Module):
    """Darker and bluer."""

    multiple_of = 4

    def forward(self, x: Tensor) -> Tensor:
        return (x + 1) * x.new_tensor([0.4, 0.5, 0.7]).view(1, 3, 1, 1) - 0.9


def stored_scene(tags: ColorTags, seed: int = 0) -> Stored:
    """Left-sited, as everything that is kept."""
    pixels = scene(240, 320, seed)
    picture = RgbWriter("yuv420p", tags, is_left_sited=True)(pixels)
    return StoredReader(tags, width=320, height=240)(picture)


def planes(stored: Stored) -> list[Array]:
    return [stored.luma, stored.blue, stored.red]


def to_rgb(stored: Stored, tags: ColorTags) -> Array:
    return RgbReader()(to_picture(stored), tags)


@pytest.mark.parametrize(("height", "width"), [(520, 700), (513, 701)])
def test_what_is_more_than_halved_is_averaged(height: int, width: int) -> None:
    """Also where no whole number divides it: of white and black by turns grey is left."""
    fine = np.indices((height, width, 3)).sum(0)[..., :1] % 2 * np.uint8(255)
    pixels = fine.repeat(3, axis=2).astype(np.uint8)
    (small,) = resized(pixels[None], (256, 340))
    assert small.std() < 16
    assert small.mean() == pytest.approx(127.5, abs=1)


@pytest.mark.parametrize("size", [(52, 70), (96, 128), (200, 268)])
def test_fine_colours_are_as_strong_in_the_small_picture_as_by_way_of_rgb(size: tuple[int, int]) -> None:
    stored = stored_scene(LIMITED)
    grain = np.random.default_rng(0).integers(40, 216, (2, 60, 80)).astype(np.uint8)
    blue, red = grain.repeat(2, axis=1).repeat(2, axis=2)
    stored = replace(stored, blue=blue, red=red)
    by_rgb = cv2.resize(to_rgb(stored, LIMITED), size[::-1], interpolation=cv2.INTER_AREA)
    made = small_of(stored, size)
    assert abs(made[..., 0].std() / by_rgb[..., 0].std() - 1) < 0.15
    assert psnr(made, by_rgb) > 26


@pytest.mark.parametrize("tags", [LIMITED, FULL])
def test_the_identity_leaves_what_is_stored(tags: ColorTags) -> None:
    stored = stored_scene(tags)
    little = small_of(stored, (60, 80))
    carried = apply_to_stored(fit_affine(little, little), stored)
    for before, after in zip(planes(stored), planes(carried), strict=True):
        assert psnr(before, after) > 50


@pytest.mark.parametrize("tags", [LIMITED, FULL])
def test_what_is_stored_is_mapped_as_its_rgb_would_be(tags: ColorTags) -> None:
    stored = stored_scene(tags)
    little = small_of(stored, (60, 80))
    mixed = np.stack([little[..., 1] // 2, little[..., 0] // 3 + 30, 90 - little[..., 2] // 3], -1)
    mixed[20:24, 30:34] = (250, 220, 160)
    grid = fit_affine(little, mixed, trust=OPEN)
    assert grid.light is not None
    assert grid.light.max() > 0.1
    by_way_of_rgb = apply_affine(grid, to_rgb(stored, tags).astype(np.uint8))
    assert psnr(to_rgb(apply_to_stored(grid, stored), tags), by_way_of_rgb) > 40


def test_nothing_becomes_darker_than_black_or_lighter_than_white() -> None:
    stored = stored_scene(LIMITED)
    maps = np.zeros((3, 4, 4, 5), np.float32)
    for offset, level in ((-0.5, 16), (1.5, 235)):
        maps[:, 3] = offset
        carried = apply_to_stored(AffineGrid(maps), stored)
        assert (carried.luma == level).all()
        assert (carried.blue == 128).all()


@pytest.mark.parametrize("tags", [LIMITED, FULL])
def test_the_small_copy_is_that_of_the_rgb(tags: ColorTags) -> None:
    stored = stored_scene(tags)
    assert psnr(small_of(stored, (60, 80)), small(to_rgb(stored, tags), 4)) > 38


def test_planes_come_and_go_bit_for_bit(make_clip: MakeClip) -> None:
    path = make_clip("a.mp4")
    with VideoReader(path) as reader:
        reader.keep_stored((24, 32))
        frames = list(reader)
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
    assert len(frames) == len(pictures) == 12
    for frame, picture in zip(frames, pictures, strict=True):
        assert frame.stored is not None
        assert frame.pixels.shape == (24, 32, 3)
        for ours, theirs in zip(to_picture(frame.stored).planes, picture.planes, strict=True):
            np.testing.assert_array_equal(samples_of(ours, np.uint8), samples_of(theirs, np.uint8))


def is_kept(path: Path) -> bool:
    with VideoReader(path) as reader:
        return reader.can_keep_stored()


def test_only_what_fits_is_kept(make_clip: MakeClip) -> None:
    assert is_kept(make_clip("plain.mp4"))
    assert is_kept(make_clip("full.mp4", pixel_format="yuvj420p"))
    assert not is_kept(make_clip("fine.mp4", pixel_format="yuv444p"))
    assert not is_kept(make_clip("deep.mp4", pixel_format="yuv420p10le"))
    assert not is_kept(make_clip("turned.mp4", rotation=90))
    # Its chroma samples lie elsewhere than those of H.264.
    assert not is_kept(make_clip("middle.webm", codec="libvpx-vp9", options={"cpu-used": "8"}))


def convert(source: Path, target: Path, **options: Any) -> list[Array]:  # Any: the fields of ConvertOptions
    with Translator(Dusk(), engine="eager", work_px=32) as translator:
        convert_video(source, target, translator, ConvertOptions(crf=4, **options), SilentReporter())
    with VideoReader(target) as reader:
        return [frame.pixels for frame in reader]


@pytest.mark.parametrize("smooth", ["auto", "off"])
def test_a_video_looks_as_if_all_of_it_had_been_rgb(make_clip: MakeClip, smooth: str) -> None:
    source = make_clip("a.mp4", width=128, height=96, matrix=BT709, color_range=LIMITED_RANGE)
    kept = convert(source, source.with_name("kept.mp4"), smooth=smooth)
    # 4:4:4 is not what the source stores, so it goes by way of RGB.
    rgb = convert(source, source.with_name("rgb.mp4"), smooth=smooth, pixel_format="yuv444p")
    assert len(kept) == len(rgb) == 12
    assert all(psnr(x, y) > 38 for x, y in zip(kept, rgb, strict=True))


def test_before_and_after_stand_side_by_side(make_clip: MakeClip) -> None:
    source = make_clip("a.mp4", width=128, height=96)
    both = convert(source, source.with_name("both.mp4"), compare="side")
    assert both[0].shape == (96, 256, 3)
    assert both[0][:, :128].mean() > both[0][:, 128:].mean() + 20


def test_a_picture_of_another_kind_in_the_midst_is_stored_alike() -> None:
    fine = RgbWriter("yuv444p", FULL)(scene(48, 64))
    stored = StoredReader(FULL, width=64, height=48)(fine)
    assert stored.luma.shape == (48, 64)
    assert stored.blue.shape == stored.red.shape == (24, 32)
