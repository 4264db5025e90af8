"""Constant rates: what AVI can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from i2itool.errors import OutputError
from i2itool.verification import verify
from i2itool.video.rate import constant_rate

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]

MILLISECOND = Fraction(1, 1000)
# As Matroska rounds them.
NTSC = [round(i * 1001 / 30) for i in range(60)]


@pytest.mark.parametrize(
    ("pts", "time_base", "rate"),
    [
        (range(20), Fraction(1, 25), 25),
        (range(40, 60), Fraction(1, 25), 25),
        ([40 * i for i in range(20)], MILLISECOND, 25),
        (NTSC, MILLISECOND, Fraction(30000, 1001)),
        ([*range(10), *range(11, 20)], Fraction(1, 25), None),
        ([40 * i + 15 * (i % 2) for i in range(20)], MILLISECOND, None),
    ],
)
def test_a_rate_is_constant_if_every_frame_is_in_its_place(
    pts: Sequence[int], time_base: Fraction, rate: Fraction | None, make_clip: MakeClip
) -> None:
    name = "clip.mkv" if time_base == MILLISECOND else "clip.mp4"
    assert constant_rate(make_clip(name, pts=pts, time_base=time_base)) == rate


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_a_constant_rate_goes_into_avi(name: str, make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip(name, pts=range(20))
    checks = {item.name: item.verdict for item in verify(source, convert_as_it_is(source, "out.avi")).checks}
    assert checks["frames"] == checks["frame times"] == checks["duration"] == "ok"


def test_a_part_goes_into_avi_too(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("clip.mp4", pts=range(40))
    whole = convert_as_it_is(source, "out.avi", trim="0.4:1.2")
    assert constant_rate(whole) == 25


def test_a_variable_rate_is_refused_by_avi(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("clip.mp4", pts=[*range(10), *range(11, 20)])
    with pytest.raises(OutputError, match="its rate varies"):
        convert_as_it_is(source, "out.avi")
