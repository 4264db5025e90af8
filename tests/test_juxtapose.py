"""Before and after in one picture, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch import Tensor, nn

from i2itool.console import SilentReporter
from i2itool.conversion import convert, convert_file
from i2itool.errors import OptionError
from i2itool.frames import Frame
from i2itool.juxtapose import Juxtaposition, juxtapose
from i2itool.options import ConvertOptions
from i2itool.stills import read_still
from i2itool.translator import Translator
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]
BEFORE, AFTER = np.full((4, 10, 3), 50, np.uint8), np.full((4, 10, 3), 200, np.uint8)


class Negative(nn.Module):
    """Turns pictures into their negatives."""

    multiple_of = 1

    def forward(self, x: Tensor) -> Tensor:
        return -x


def run(source: Path, target: Path, **options: Any) -> None:  # Any: the fields of ConvertOptions
    with Translator(Negative(), engine="eager") as translator:
        convert_file(source, target, translator, ConvertOptions(**options), SilentReporter())


def test_side_has_the_original_on_the_left() -> None:
    picture = juxtapose(BEFORE, AFTER, "side")
    assert picture.shape == (4, 20, 3)
    assert (picture[:, :10] == BEFORE).all()
    assert (picture[:, 10:] == AFTER).all()


def test_the_edge_of_a_wipe_passes_over_the_whole_picture() -> None:
    shown = [juxtapose(BEFORE, AFTER, "wipe", seconds)[0, :, 0] for seconds in np.arange(0, 6, 0.05)]
    shares = [np.mean(row == 50) for row in shown]
    assert min(shares) == 0
    assert max(shares) >= 0.9
    for row in shown:
        assert (np.diff((row == 200).astype(int)) >= 0).all()


def test_frames_meet_their_own_originals_however_late() -> None:
    beside = Juxtaposition("side")
    frames = [Frame(np.full((2, 2, 3), i, np.uint8), i, Fraction(1, 25), 1) for i in range(9)]
    for frame in list(beside.watch(frames)):
        picture = beside.put(Frame(100 + frame.pixels, frame.pts, frame.time_base, 1)).pixels
        assert (picture[0, :, 0] == [frame.pts, frame.pts, 100 + frame.pts, 100 + frame.pts]).all()


@pytest.mark.parametrize("name", ["out.mkv", "%d.png"])
def test_a_video_beside_its_translation(name: str, make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("clip.mp4", audio_languages=["eng"])
    target = tmp_path / "out" / name
    target.parent.mkdir()
    codec = {"codec": "ffv1", "pixel_format": "bgr0"} if name.endswith("mkv") else {}
    run(source, target, compare="side", smooth="off", batch_size=2, **codec)
    with VideoReader(source) as reader:
        originals = [frame.pixels for frame in reader]
    if name.endswith("mkv"):
        with VideoReader(target) as reader:
            pictures = [frame.pixels for frame in reader]
    else:
        pictures = [read_still(target.with_name(f"{i}.png")).pixels for i in range(1, len(originals) + 1)]
    for original, picture in zip(originals, pictures, strict=True):
        np.testing.assert_array_equal(picture, np.hstack([original, 255 - original]))


def test_a_picture_beside_its_translation(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), BEFORE)
    run(tmp_path / "in.png", tmp_path / "out.png", compare="side")
    np.testing.assert_array_equal(read_still(tmp_path / "out.png").pixels, np.hstack([BEFORE, 255 - BEFORE]))


def test_what_is_compared_cannot_be_verified(make_clip: MakeClip, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--compare"):
        convert(make_clip("clip.mp4"), tmp_path / "out.mp4", preset="day2night", compare="wipe", verify=True)
