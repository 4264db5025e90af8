"""Files whose end is missing: refused where they tell how long they were, else reported if it shows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from i2itool.errors import InputError
from i2itool.options import ReadOptions
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]

CODECS: dict[str, dict[str, Any]] = {  # Any: fields of Clip
    "clip.wmv": {"codec": "wmv2", "options": {}},
    "clip.mpg": {"codec": "mpeg2video", "options": {}},
    "clip.flv": {"audio_languages": ["eng"]},
}
_PS_PACK_BYTES = 2048
_TS_BYTES = 188


def cut(path: Path, num_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:num_bytes])


def frames(path: Path, **options: Any) -> tuple[int, bool]:  # Any: fields of ReadOptions
    """How many there are, and whether the file is said to be cut off."""
    with VideoReader(path, ReadOptions(**options)) as reader:
        return sum(1 for _ in reader), reader.damage.is_cut_off


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_file_that_tells_its_length_is_refused_without_its_end(
    name: str, kept: float, make_clip: MakeClip
) -> None:
    source = make_clip(name, pts=range(100), **CODECS[name])
    assert frames(source) == (100, False)
    cut(source, int(source.stat().st_size * kept))
    with pytest.raises(InputError, match="truncated"):
        frames(source)


@pytest.mark.parametrize("name", ["clip.wmv", "clip.mpg"])
def test_missing_bytes_are_found_before_any_work(name: str, make_clip: MakeClip) -> None:
    source = make_clip(name, pts=range(100), **CODECS[name])
    cut(source, source.stat().st_size * 7 // 10)
    with pytest.raises(InputError, match="bytes are missing"):
        VideoReader(source)


def test_a_program_stream_cut_anywhere_is_refused_but_between_its_packs(make_clip: MakeClip) -> None:
    source = make_clip("clip.mpg", pts=range(100), **CODECS["clip.mpg"])
    data = source.read_bytes()
    for end in range(len(data) - 1, 0, -97):
        source.write_bytes(data[:end])
        with suppress(InputError):
            assert frames(source)[0] == 100 or end % _PS_PACK_BYTES == 0
    source.write_bytes(data + b"\0\0\1\xb9" + bytes(300))
    assert frames(source) == (100, False)


@pytest.mark.parametrize("kept", [0.4, 0.7, 0.95])
def test_an_mp4_of_fragments_is_refused_without_its_end(kept: float, make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", pts=range(50), audio_languages=["eng"], options={"g": "10"})
    fragments = source.with_name("fragments.mp4")
    with (
        av.open(str(source)) as old,
        av.open(str(fragments), "w", container_options={"movflags": "frag_keyframe+empty_moov"}) as new,
    ):
        copies = {stream.index: new.add_stream_from_template(stream, opaque=True) for stream in old.streams}
        for packet in old.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                new.mux_one(packet)
    assert frames(fragments) == (50, False)
    whole = fragments.read_bytes()
    # What some programs put behind the last box is none.
    fragments.write_bytes(whole + b"\xff" * 500)
    assert frames(fragments) == (50, False)
    fragments.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match="truncated"):
        frames(fragments)


def test_a_streamed_matroska_is_refused_without_its_end(tmp_path: Path, make_clip: MakeClip) -> None:
    source, streamed = make_clip("clip.mkv", pts=range(50)), tmp_path / "streamed.mkv"
    with streamed.open("wb") as file, av.open(str(source)) as old:
        # Of a pipe nothing can be mended at the head when all is written.
        pipe = _Pipe(file.write)
        with av.open(pipe, "w", format="matroska", container_options={"cluster_time_limit": "400"}) as new:
            stream = new.add_stream_from_template(old.streams.video[0], opaque=True)
            for packet in old.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    new.mux_one(packet)
    assert frames(streamed) == (50, False)
    cut(streamed, streamed.stat().st_size * 7 // 10)
    with pytest.raises(InputError, match="truncated"):
        VideoReader(streamed)


class _Pipe:
    def __init__(self, write: Callable[[bytes], int]) -> None:
        self.write = write


def test_a_transport_stream_that_ends_within_a_packet_is_converted_and_reported(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("clip.ts", pts=range(50))
    assert frames(source) == (50, False)
    cut(source, source.stat().st_size // _TS_BYTES * 7 // 10 * _TS_BYTES + 100)
    num_frames, is_cut_off = frames(source)
    assert 20 < num_frames < 50
    assert is_cut_off
    assert caplog.text.count("seems to have been cut off: its last packet is not whole") == 1
    with pytest.raises(InputError, match="cut off"):
        frames(source, on_error="fail")


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_sound_that_goes_on_without_pictures_is_reported(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, seconds in (("whole", 2), ("half", 8)):
        source = tmp_path / f"{name}{suffix}"
        write_with_sound(source, num_frames=50, seconds=seconds)
        assert frames(source) == (50, name == "half")
    assert "its pictures end at" in caplog.text


def write_with_sound(path: Path, *, num_frames: int, seconds: int) -> None:
    with av.open(str(path), "w") as output:
        video, sound = output.add_stream("mpeg2video", rate=25), output.add_stream("mp2", rate=48000)
        assert isinstance(video, VideoStream)
        assert isinstance(sound, AudioStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(num_frames):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), "rgb24")
            picture.pts = number
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        for number in range(seconds * 48000 // 1152):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 2304), np.int16), "s16", "stereo")
            silence.sample_rate, silence.pts = 48000, number * 1152
            output.mux(sound.encode(silence))
        output.mux(sound.encode(None))
