"""Frames spread over a video: which ones they are, of whatever holds frames."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from i2itool.errors import InputError
from i2itool.frames import Frame
from i2itool.options import ConvertOptions
from i2itool.pictures import write_picture
from i2itool.video.input import PIPE
from i2itool.video.reader import VideoReader
from i2itool.video.spread import sample_pixels, sampler_of

MakeClip = Callable[..., Path]


def test_pictures_lie_in_the_middle_of_equal_parts(make_clip: MakeClip) -> None:
    clip = make_clip("clip.mp4", pts=range(12))
    with VideoReader(clip) as reader:
        frames = [frame.pixels for frame in reader]
    sample = sample_pixels(clip, ConvertOptions(), 3)
    np.testing.assert_array_equal(sample, np.stack([frames[2], frames[6], frames[10]]))
    np.testing.assert_array_equal(sample, sample_pixels(clip, ConvertOptions(), 3))


def test_more_than_there_are_are_not_looked_for(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for = []
    find = VideoReader.shown_at

    def counted(reader: VideoReader, seconds: Fraction) -> Frame:
        looked_for.append(seconds)
        return find(reader, seconds)

    monkeypatch.setattr(VideoReader, "shown_at", counted)
    assert len(sample_pixels(make_clip("clip.mp4", pts=range(12)), ConvertOptions(), 1000)) == 12
    assert len(looked_for) == 12


def test_trim_leaves_its_part(make_clip: MakeClip) -> None:
    clip = make_clip("clip.mp4", pts=range(12))
    whole, part = (sample_pixels(clip, ConvertOptions(trim=trim), 1) for trim in (None, "0.2:"))
    assert not np.array_equal(whole, part)
    with pytest.raises(InputError, match="within --trim"):
        sample_pixels(clip, ConvertOptions(trim="100:"), 1)


def test_of_numbered_pictures_the_first_are_taken(tmp_path: Path) -> None:
    pictures = [np.full((8, 12, 3), level, np.uint8) for level in (10, 20, 30)]
    for number, pixels in enumerate(pictures):
        write_picture(tmp_path / f"{number}.png", pixels)
    sample = sample_pixels(tmp_path / "%d.png", ConvertOptions(), 2)
    np.testing.assert_array_equal(sample, np.stack(pictures[:2]))


def test_int8_is_calibrated_on_more_than_a_check_takes(make_clip: MakeClip) -> None:
    clip = make_clip("clip.mp4", pts=range(12))
    with VideoReader(clip) as reader:
        info = reader.info
    for precision, count in (("auto", 1), ("int8", 12)):
        sampler = sampler_of(clip, info, ConvertOptions(precision=precision))
        assert sampler is not None
        assert len(sampler()) == count
    assert sampler_of(PIPE, info, ConvertOptions()) is None
