"""Frames that cannot be decoded: reported, replaced by their neighbours, and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from i2itool.errors import InputError
from i2itool.frames import Damage
from i2itool.options import ReadOptions
from i2itool.verification import verify
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]

ALL_KEYS = {"crf": "12", "preset": "veryfast", "g": "1"}
NO_B_FRAMES = {"crf": "12", "preset": "veryfast", "bf": "0"}


def stamps(path: Path) -> list[int]:
    with VideoReader(path) as reader:
        return [frame.pts for frame in reader]


def damage(path: Path, index: int, *, keep: int = 0) -> None:
    """Overwrite the packet `index` of the video with ones, all but its first `keep` bytes."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    start = data.index(packets[index])
    end = start + len(packets[index])
    path.write_bytes(data[: start + keep] + b"\xff" * (end - start - keep) + data[end:])


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("index", [0, 5, 11])
def test_a_frame_that_cannot_be_decoded_is_replaced_by_its_neighbour(
    name: str, index: int, make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip(name, options=ALL_KEYS)
    with VideoReader(source) as reader:
        before = list(reader)
    damage(source, index)
    with VideoReader(source) as reader:
        after = list(reader)
        assert reader.damage.num_repeated == 1
    assert [frame.pts for frame in after] == [frame.pts for frame in before]
    neighbour = index - 1 if index else 1
    assert (after[index].pixels == before[neighbour].pixels).all()
    for i in {*range(12)} - {index}:
        assert (after[i].pixels == before[i].pixels).all()
    assert f"the frame at {index / 25:.3f} s cannot be decoded" in caplog.text


@pytest.mark.parametrize("options", [NO_B_FRAMES, {"crf": "12"}], ids=["no b-frames", "b-frames"])
@pytest.mark.parametrize("index", [2, 3, 6, 11])
def test_every_time_stays_whichever_packet_is_damaged(
    options: dict[str, str], index: int, make_clip: MakeClip
) -> None:
    source = make_clip("clip.mp4", options=options)
    whole = stamps(source)
    damage(source, index)
    assert stamps(source) == whole


def test_the_same_damage_gives_the_same_pictures_each_time(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", pts=range(30), width=128, height=128)
    damage(source, 7, keep=20)
    runs = []
    for _ in range(3):
        with VideoReader(source) as reader:
            runs.append(np.stack([frame.pixels for frame in reader]))
    assert (runs[0] == runs[1]).all()
    assert (runs[0] == runs[2]).all()


def test_a_frame_that_decodes_in_part_is_shown_and_reported(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("clip.mp4", options=ALL_KEYS)
    damage(source, 5, keep=200)
    with VideoReader(source) as reader:
        frames = list(reader)
        assert reader.damage == Damage(num_damaged=1)
    assert len(frames) == 12
    assert not (frames[5].pixels == frames[4].pixels).all()
    assert "the frame at 0.200 s is damaged" in caplog.text


@pytest.mark.parametrize("keep", [0, 200])
def test_a_damaged_frame_is_an_error_when_asked_for(keep: int, make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", options=ALL_KEYS)
    damage(source, 5, keep=keep)
    with (
        VideoReader(source, ReadOptions(on_error="fail")) as reader,
        pytest.raises(InputError, match=r"clip\.mp4.* 0\.\d+ s"),
    ):
        list(reader)


def test_a_video_without_damage_is_not_mended(make_clip: MakeClip, caplog: pytest.LogCaptureFixture) -> None:
    source = make_clip("clip.ts", pts=range(35, 65))
    with caplog.at_level(logging.WARNING), VideoReader(source) as reader:
        assert len(list(reader)) == 30
        assert reader.damage.num_repeated == 0
    assert not caplog.records


def test_sound_stays_in_step_with_a_damaged_video(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("clip.mp4", options=ALL_KEYS, audio_languages=["eng"])
    whole = stamps(source)
    damage(source, 5)
    target = convert_as_it_is(source)
    assert stamps(target) == whole
    with av.open(str(source)) as old, av.open(str(target)) as new:
        assert [bytes(packet) for packet in new.demux(audio=0)] == [
            bytes(packet) for packet in old.demux(audio=0)
        ]


@pytest.mark.parametrize("keep", [0, 200])
def test_a_damaged_input_can_be_verified(keep: int, make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("clip.mp4", options=ALL_KEYS, audio_languages=["eng"])
    damage(source, 5, keep=keep)
    assert verify(source, convert_as_it_is(source)).is_same


def test_a_video_without_any_frame_that_can_be_decoded_is_refused(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", pts=range(3), options=ALL_KEYS)
    for index in range(3):
        damage(source, index)
    with pytest.raises(InputError, match="no frame that can be decoded"):
        VideoReader(source)
