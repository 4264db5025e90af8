"""Inputs are files that hold what they show: nothing else is ever opened for them."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from i2itool.errors import InputError
from i2itool.options import ReadOptions
from i2itool.partial import whole_file
from i2itool.pictures import write_picture
from i2itool.video.input import open_input
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]

M3U8 = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
LISTS = {
    "list.m3u8": M3U8,
    "absolute.m3u8": M3U8,
    "concat.mp4": "ffconcat version 1.0\nfile {}\n",
    "concat.ffconcat": "ffconcat version 1.0\nfile {}\n",
    "manifest.mpd": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"'
        ' bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'
    ),
    "session.sdp": "v=0\no=- 0 0 IN IP6 ::1\ns=x\nc=IN IP6 ::1\nt=0 0\nm=video 9 RTP/AVP 96\n# {}\n",
}


@pytest.fixture
def secret(make_clip: MakeClip) -> Path:
    return make_clip("secret.ts")


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_other_files_is_refused_whatever_it_is_called(name: str, secret: Path) -> None:
    path = secret.with_name(name)
    path.write_text(LISTS[name].format(secret if name.startswith("absolute") else secret.name))
    with pytest.raises(InputError, match=name):
        VideoReader(path)
    with pytest.raises(InputError, match=name):
        open_input(path)


def test_the_lists_would_be_followed_if_they_were_not_refused(secret: Path) -> None:
    """Otherwise the test above would pass for a list that is simply wrong."""
    for name in ("list.m3u8", "concat.mp4"):
        path = secret.with_name(name)
        path.write_text(LISTS[name].format(secret.name))
        with av.open(f"file:{path}", options={"protocol_whitelist": "file"}) as container:
            assert next(container.decode(video=0)).width == 64


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each box of an MP4 between two places."""
    while start < end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        yield kind, start, start + size
        start += size


def with_data_elsewhere(data: bytes, other: str) -> bytes:
    """An MP4 whose video is said to lie in another file, by an alias as QuickTime writes it."""
    name = other.encode()
    volume = b"disk"
    record = bytearray(150)
    struct.pack_into(">HH", record, 4, 150, 2)
    record[10 : 11 + len(volume)] = bytes([len(volume)]) + volume
    record[50 : 51 + len(name)] = bytes([len(name)]) + name
    # Levels up from here to the common folder, and down from there to the file.
    struct.pack_into(">HH", record, 130, 1, 1)
    tail = struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2)
    tail += struct.pack(">HH", 18, len(name)) + name + bytes(len(name) % 2) + struct.pack(">HH", 0xFFFF, 0)
    alias = bytes(record) + tail
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    path: list[int] = []
    start, end = 0, len(data)
    for wanted in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        _, start, end = next(box for box in boxes(data, start, end) if box[0] == wanted)
        path.append(start)
        start += 8
    old = slice(start + 8, end)
    grown = len(entry) - (old.stop - old.start)
    changed = bytearray(data)
    for place in path:
        struct.pack_into(">I", changed, place, struct.unpack_from(">I", data, place)[0] + grown)
    changed[old] = entry
    return bytes(changed)


def test_a_movie_whose_pictures_lie_in_another_file_does_not_open_it(make_clip: MakeClip) -> None:
    secret, path = make_clip("secret.mov"), make_clip("clip.mov")
    data = with_data_elsewhere(secret.read_bytes(), "secret.mov")
    # Its own pictures are gone, so that whatever is decoded comes from the other file.
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"mdat":
            data = data[: start + 8] + bytes(end - start - 8) + data[end:]
    path.write_bytes(data)
    with av.open(f"file:{path}", options={"enable_drefs": "1"}) as container:
        assert len(list(container.decode(video=0))) == 12, "the reference is sound"
    with pytest.raises(InputError), VideoReader(path) as reader:
        list(reader)


@pytest.mark.parametrize(
    "name",
    ["http://localhost:9/clip.mp4", "file:clip.mp4", "concat:a.ts|b.ts", "pipe:0", "tcp://localhost:9"],
)
def test_an_address_is_a_file_that_is_not_there(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such"):
        VideoReader(Path(name))


def test_frames_of_too_many_pixels_are_refused(make_clip: MakeClip) -> None:
    path = make_clip("clip.mp4", width=64, height=48)
    with pytest.raises(InputError, match=r"64x48 pixels.*limit of 3071 .*max-pixels"):
        VideoReader(path, ReadOptions(max_pixels=64 * 48 - 1))
    with VideoReader(path, ReadOptions(max_pixels=64 * 48)) as reader:
        assert len(list(reader)) == 12


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="there are no modes")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_is_private_until_it_is_whole(mask: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    before = os.umask(mask)
    try:
        with whole_file(path) as partial:
            assert mode(partial) == 0o600
            partial.write_bytes(b"whole")
        (tmp_path / "usual").touch()
    finally:
        os.umask(before)
    assert mode(path) == mode(tmp_path / "usual")
    assert path.read_bytes() == b"whole"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_that_waits_under_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "a.png", tmp_path / "victim"
    victim.write_text("precious")
    with whole_file(path) as partial:
        name = partial.name
    path.unlink()
    (tmp_path / name).symlink_to(victim)
    write_picture(path, np.zeros((4, 4, 3), np.uint8))
    assert victim.read_text() == "precious"
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.png", "victim"}
