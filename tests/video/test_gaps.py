"""Packets that damage has removed whole: their frames are replaced, and nothing else is touched."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from av.stream import Stream

from i2itool.errors import InputError
from i2itool.options import ReadOptions
from i2itool.verification import verify
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]

PTS = range(40, 70)
IN_ORDER = {"g": "6", "bf": "0", "preset": "ultrafast"}
OUT_OF_ORDER = {"g": "12", "bf": "2", "preset": "ultrafast"}
_TS_BYTES = 188
_BLOCK_HEAD_BYTES = 8


def stamps(path: Path, **options: Any) -> list[int]:  # Any: fields of ReadOptions
    with VideoReader(path, ReadOptions(**options)) as reader:
        return [frame.pts for frame in reader]


def clip(make_clip: MakeClip, name: str, **keywords: Any) -> Path:  # Any: fields of Clip
    return make_clip(name, **{"pts": PTS, "width": 128, "height": 96, "audio_languages": ["eng"], **keywords})


def destroy(path: Path, index: int) -> None:
    """Make a video packet unrecognisable: its block's head, or all packets of the transport stream."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    start, end = data.index(packets[index][20:60]), data.index(packets[index + 1][20:60])
    if path.suffix == ".ts":
        start, end = start // _TS_BYTES * _TS_BYTES, end // _TS_BYTES * _TS_BYTES
    else:
        start = data.index(packets[index]) - _BLOCK_HEAD_BYTES
        end = start + _BLOCK_HEAD_BYTES + len(packets[index])
    path.write_bytes(data[:start] + (b"\0" if path.suffix == ".ts" else b"\xff") * (end - start) + data[end:])


def without(source: Path, name: str, lost: range) -> Path:
    """A whole file in which a few frames were never stored."""
    target = source.with_name(name)
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copies: dict[int, Stream] = {
            stream.index: new.add_stream_from_template(stream, opaque=True) for stream in old.streams
        }
        number = 0
        for packet in old.demux():
            is_lost = packet.stream.type == "video" and number in lost
            number += packet.stream.type == "video"
            if packet.size and not is_lost:
                packet.stream = copies[packet.stream.index]
                new.mux_one(packet)
    return target


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts"])
@pytest.mark.parametrize("options", [IN_ORDER, OUT_OF_ORDER], ids=["in order", "out of order"])
def test_frames_whose_packets_are_gone_are_replaced(
    name: str, options: dict[str, str], make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = clip(make_clip, name, options=options)
    whole = stamps(source)
    destroy(source, 9)
    with VideoReader(source) as reader:
        found = [frame.pts for frame in reader]
        assert reader.damage.num_repeated > 0
    assert found == whole
    assert " is missing" in caplog.text


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts"])
def test_missing_frames_are_an_error_when_asked_for(name: str, make_clip: MakeClip) -> None:
    source = clip(make_clip, name, options=IN_ORDER)
    destroy(source, 9)
    with pytest.raises(InputError, match=r"clip\.(mkv|ts).* \d+\.\d+ s"):
        stamps(source, on_error="fail")


@pytest.mark.parametrize("name", ["gap.mkv", "gap.ts"])
def test_a_gap_without_damage_is_left_alone(
    name: str, make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = without(clip(make_clip, f"clip{Path(name).suffix}", options=IN_ORDER), name, range(9, 12))
    with caplog.at_level(logging.WARNING):
        assert len(stamps(source)) == len(PTS) - 3
    assert not caplog.records


def test_damage_leaves_a_variable_rate_alone(make_clip: MakeClip) -> None:
    uneven = [40, 41, 43, 44, 47, 48, 49, 53, 54, 55, 58, 59, 62, 63, 64, 66, 67, 69, 72, 73]
    source = clip(make_clip, "clip.mkv", options=IN_ORDER, pts=uneven)
    whole = stamps(source)
    destroy(source, 9)
    assert set(stamps(source)) < set(whole)


def test_sound_stays_in_step_where_frames_are_missing(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = clip(make_clip, "clip.mkv", options=IN_ORDER)
    whole = stamps(source)
    destroy(source, 9)
    assert stamps(convert_as_it_is(source)) == whole


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts"])
def test_an_input_that_lacks_packets_can_be_verified(
    name: str, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = clip(make_clip, name, options=IN_ORDER)
    destroy(source, 9)
    target = convert_as_it_is(source)
    assert verify(source, target).is_same
    # And yet a frame too few is seen.
    short = without(target, f"short_{name}", range(20, 21))
    assert not verify(source, short).is_same
