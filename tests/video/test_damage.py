"""Damaged and unfit files: one clear error, no half-written output."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from i2itool.errors import InputError
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.8])
def test_a_truncated_video_is_refused_and_leaves_nothing(
    name: str, kept: float, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    source = make_clip(name, pts=range(100), codec=codec, options={})
    data = source.read_bytes()
    source.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError):
        convert_as_it_is(source)
    assert [path.name for path in source.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webm", "clip.avi"])
def test_a_video_cut_anywhere_is_refused_or_has_all_its_frames(name: str, make_clip: MakeClip) -> None:
    codec = {"avi": "mpeg4", "webm": "libvpx-vp9"}.get(name[5:], "libx264")
    source = make_clip(name, codec=codec, options={}, pts=range(12))
    data = source.read_bytes()
    for kept in range(19, 0, -1):
        source.write_bytes(data[: len(data) * kept // 20 + kept])
        with suppress(InputError), VideoReader(source) as reader:
            assert len(list(reader)) == 12


@pytest.mark.parametrize("content", [b"", b"some text\n" * 500, bytes(5000), b"RIFF\0\0\0\0AVI LIST"])
def test_a_file_that_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"clip\.mp4"):
        VideoReader(path)


def test_a_missing_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such video"):
        VideoReader(tmp_path / "absent.mp4")


def test_a_playlist_reaches_no_other_file(make_clip: MakeClip) -> None:
    clip = make_clip("clip.ts")
    playlist = clip.with_name("list.m3u8")
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/clip.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(InputError):
        VideoReader(playlist)


def test_a_video_whose_pictures_change_size_is_refused(make_clip: MakeClip) -> None:
    small = make_clip("small.ts", pts=range(35, 47))
    large = make_clip("large.ts", pts=range(47, 59), width=96)
    both = small.with_name("both.ts")
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with VideoReader(both) as reader, pytest.raises(InputError, match="change from 64x48 to 96x48 at 1"):
        list(reader)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_no_damage_gives_anything_but_frames_in_order_or_an_error(name: str, make_clip: MakeClip) -> None:
    source = make_clip(name, pts=range(35, 50))
    data = source.read_bytes()
    generator = random.Random(3)
    for _ in range(30):
        damaged = bytearray(data)
        for _ in range(generator.choice((1, 5, 40))):
            damaged[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        source.write_bytes(damaged)
        with suppress(InputError), VideoReader(source) as reader:
            stamps = [frame.pts for frame in reader]
            assert stamps == sorted(set(stamps))
