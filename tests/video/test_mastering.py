"""The mastering metadata of HDR survives where an encoder can write it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from i2itool.video.mastering import Mastering, mastering_of

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]

WORDS = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
MASTERING = Mastering(
    points=tuple(  # type: ignore[arg-type]  # four of them
        (Fraction(x, 50000), Fraction(y, 50000))
        for x, y in ((34000, 16000), (13250, 34500), (7500, 3000), (15635, 16450))
    ),
    luminance=(Fraction(1, 10000), Fraction(1000)),
    light=(1000, 400),
)


@pytest.fixture
def source(make_clip: MakeClip) -> Path:
    params = f"log-level=none:{WORDS}"
    return make_clip(
        "hdr.mp4",
        pts=range(3),
        codec="libx265",
        options={"preset": "ultrafast", "x265-params": params},
        pixel_format="yuv420p10le",
        matrix=9,
        primaries=9,
        transfer=16,
        color_range=1,
    )


def mastering(path: Path) -> Mastering | None:
    with av.open(str(path)) as container:
        return mastering_of(next(container.decode(video=0)))


def test_it_is_read(source: Path) -> None:
    assert mastering(source) == MASTERING


@pytest.mark.parametrize(("codec", "name"), [("hevc", "a.mp4"), ("h264", "a.mkv"), ("av1", "a.webm")])
def test_it_survives(codec: str, name: str, source: Path, convert_as_it_is: Convert) -> None:
    preset = "12" if codec == "av1" else "ultrafast"
    found = mastering(convert_as_it_is(source, name, codec=codec, assume_sdr=True, encoder_preset=preset))
    assert found is not None
    assert found.light == MASTERING.light
    for points in zip(found.points or (), MASTERING.points or (), strict=True):
        for ours, theirs in zip(*points, strict=True):
            assert abs(ours - theirs) < Fraction(1, 40000)
    assert [round(float(value), 3) for value in found.luminance or ()] == [0.0, 1000.0]


def test_a_codec_that_cannot_hold_it_says_so(
    source: Path, convert_as_it_is: Convert, caplog: pytest.LogCaptureFixture
) -> None:
    convert_as_it_is(source, "a.mkv", codec="ffv1", assume_sdr=True)
    assert "ffv1 cannot keep what the video says about the screen" in caplog.text


def test_a_tone_mapped_video_has_none(source: Path, convert_as_it_is: Convert) -> None:
    assert mastering(convert_as_it_is(source, codec="hevc", tonemap=True, encoder_preset="ultrafast")) is None
