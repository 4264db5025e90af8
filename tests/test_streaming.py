"""Pipes, numbered pictures and animations, in and out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from i2itool.console import SilentReporter
from i2itool.conversion import convert_file
from i2itool.errors import InputError, OptionError, OutputError
from i2itool.frames import AnyPixels
from i2itool.options import ConvertOptions
from i2itool.stills import read_still
from i2itool.translator import Translator
from i2itool.video.animation import num_plays
from i2itool.video.input import PIPE
from i2itool.video.reader import VideoReader
from i2itool.video.sources import parse_rate
from i2itool.video.y4m import Y4mWriter
from tests.video.combinations import Identity

MakeClip = Callable[..., Path]
VARIABLE_RATE = (0, 1, 3, 4, 9, 10)


def stream(source: Path, target: Path, **options: Any) -> int:  # Any: fields of ConvertOptions
    with Translator(Identity(), engine="eager") as translator:
        return convert_file(
            source, target, translator, ConvertOptions(**{"smooth": "off", **options}), SilentReporter()
        ).num_frames


def read_pixels(path: Path) -> AnyPixels:
    with VideoReader(path) as reader:
        return np.stack([frame.pixels for frame in reader])


def read_animation(path: Path) -> tuple[list[np.ndarray[Any, Any]], list[int]]:
    """Pictures, and milliseconds of each."""
    with Image.open(path) as image:
        frames = [
            (np.asarray(frame.convert("RGB")), frame.info["duration"])
            for frame in ImageSequence.Iterator(image)
        ]
    return [pixels for pixels, _ in frames], [round(duration) for _, duration in frames]


# Numbered pictures


def test_a_video_becomes_pictures_that_are_its_frames(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("clip.mp4", audio_languages=["eng"])
    assert stream(source, tmp_path / "out/frame_%05d.png") == 12
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"frame_{number:05}.png" for number in range(1, 13)]
    pictures = [read_still(tmp_path / "out" / name).pixels for name in names]
    np.testing.assert_array_equal(pictures, read_pixels(source))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_pictures_through_a_lossless_video_stay_the_same_bits(
    pixel_format: str, make_clip: MakeClip, tmp_path: Path
) -> None:
    first, second = tmp_path / "a/%03d.png", tmp_path / "b/%03d.png"
    stream(make_clip("clip.mp4", pixel_format=pixel_format), first)
    is_deep = pixel_format.endswith("le")
    rgb = "gbrp16le" if is_deep else "bgr0"
    stream(first, tmp_path / "clip.mkv", codec="ffv1", pixel_format=rgb, rate="30000/1001")
    stream(tmp_path / "clip.mkv", second)
    for path in first.parent.iterdir():
        pixels = read_still(path).pixels
        assert pixels.dtype == (np.uint16 if is_deep else np.uint8)
        np.testing.assert_array_equal(read_still(second.with_name(path.name)).pixels, pixels)
    with av.open(str(tmp_path / "clip.mkv")) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)


def test_numbers_go_on_where_they_began(make_clip: MakeClip, tmp_path: Path) -> None:
    stream(make_clip("clip.mp4", pts=range(3)), tmp_path / "a/%d.png")
    for number in (3, 2, 1):
        (tmp_path / f"a/{number}.png").rename(tmp_path / f"a/{number + 97}.png")
    stream(tmp_path / "a/%d.png", tmp_path / "b/%04d.png")
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["0098.png", "0099.png", "0100.png"]


def test_missing_numbers_are_named(make_clip: MakeClip, tmp_path: Path) -> None:
    stream(make_clip("clip.mp4"), tmp_path / "a/%02d.png")
    for number in (3, 7, 8):
        (tmp_path / f"a/{number:02}.png").unlink()
    with pytest.raises(InputError, match="lacks the numbers 3, 7-8 "):
        stream(tmp_path / "a/%02d.png", tmp_path / "out.mp4")
    with pytest.raises(InputError, match="no pictures called"):
        stream(tmp_path / "a/other_%02d.png", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_pictures_that_are_there_already_are_not_replaced(make_clip: MakeClip, tmp_path: Path) -> None:
    long, short = make_clip("long.mp4"), make_clip("short.mp4", pts=range(4))
    pattern = tmp_path / "out/%02d.png"
    stream(long, pattern)
    with pytest.raises(OutputError, match=r"01\.png is already there"):
        stream(short, pattern)
    assert len(list(pattern.parent.iterdir())) == 12
    # What is left of a longer sequence would seem to belong to the new one.
    stream(short, pattern, overwrite=True)
    assert len(list(pattern.parent.iterdir())) == 4


def test_a_stopped_run_leaves_no_pictures(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("clip.mp4")
    stream(source, tmp_path / "a/%d.png")
    (tmp_path / "a/9.png").write_bytes(b"damaged")
    for target in (tmp_path / "b/%d.png", tmp_path / "b/clip.mp4", tmp_path / "b/clip.gif"):
        with pytest.raises(InputError, match=r"9\.png"):
            stream(tmp_path / "a/%d.png", target)
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "rate"),
    [("25", Fraction(25)), ("29.97", Fraction(2997, 100)), ("30000/1001", Fraction(30000, 1001))],
)
def test_rates_are_exact(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "fast", "-5", "1/0", "nan"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is no frame rate"):
        parse_rate(text)


# Animations


@pytest.mark.parametrize(("name", "tick_ms"), [("a.gif", 10), ("a.apng", 1), ("a.webp", 1)])
def test_frames_of_an_animation_keep_their_times(
    name: str, tick_ms: int, make_clip: MakeClip, tmp_path: Path
) -> None:
    source = make_clip("clip.mp4", pts=VARIABLE_RATE, time_base=Fraction(1, 25), audio_languages=["eng"])
    assert stream(source, tmp_path / name, crf=0) == len(VARIABLE_RATE)
    pictures, durations = read_animation(tmp_path / name)
    assert durations[:-1] == [40, 80, 40, 200, 40]
    assert abs(durations[-1] - 40) <= tick_ms
    error = np.abs(np.stack(pictures) - read_pixels(source).astype(int))
    assert error.max() <= (0 if tick_ms == 1 else 30)
    assert num_plays(tmp_path / name) == 0


@pytest.mark.parametrize("name", ["a.gif", "a.apng", "a.webp"])
@pytest.mark.parametrize("other", ["b.gif", "b.apng", "b.webp"])
def test_an_animation_of_few_colours_goes_from_form_to_form(name: str, other: str, tmp_path: Path) -> None:
    pictures = [np.full((20, 30, 3), 0, np.uint8) for _ in range(4)]
    for i, picture in enumerate(pictures):
        picture[i : i + 9, 5:25] = (200, 40 * i, 90)
    images = [Image.fromarray(picture) for picture in pictures]
    form = {"gif": "GIF", "apng": "PNG", "webp": "WEBP"}[name.split(".")[1]]
    durations = [100, 250, 40, 700]
    loop = 2 if form == "GIF" else 3  # GIF does not count the first time
    options = {"lossless": True} if form == "WEBP" else {"optimize": False} if form == "GIF" else {}
    images[0].save(
        tmp_path / name,
        form,
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=loop,
        **options,
    )
    stream(tmp_path / name, tmp_path / other, crf=0)
    found, times = read_animation(tmp_path / other)
    assert times == durations
    assert np.abs(np.stack(found).astype(int) - np.stack(pictures)).max() <= 1
    assert num_plays(tmp_path / other) == num_plays(tmp_path / name) == 3


def test_one_png_cannot_hold_a_video(make_clip: MakeClip, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"out_%05d\.png .*\.apng"):
        stream(make_clip("clip.mp4"), tmp_path / "out.png")


def test_what_is_left_out_is_named(
    make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream(make_clip("clip.mp4", pts=range(2), audio_languages=["eng"]), tmp_path / "out.gif")
    assert "out.gif holds pictures only; left out: audio, aac" in caplog.text


# Pipes


@contextmanager
def standard_input(path: Path) -> Iterator[None]:
    """The file as standard input."""
    before = os.dup(0)
    with path.open("rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


@contextmanager
def standard_output(path: Path) -> Iterator[None]:
    """Whatever goes to standard output, in the file."""
    before = os.dup(1)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)


@pytest.mark.parametrize(
    "pixel_format",
    ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"],
)
@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_a_pipe_carries_the_planes_of_the_video(
    pixel_format: str, size: tuple[int, int], make_clip: MakeClip, tmp_path: Path
) -> None:
    source = make_clip(
        "clip.mkv",
        width=size[0],
        height=size[1],
        codec="ffv1",
        options={},
        pixel_format=pixel_format,
        pts=range(5),
    )
    first, second = tmp_path / "first.y4m", tmp_path / "second.y4m"
    with standard_output(first):
        stream(source, PIPE)
    with standard_input(first), standard_output(second):
        assert stream(PIPE, PIPE) == 5
    with av.open(str(second)) as container:
        stream_ = container.streams.video[0]
        assert stream_.codec_context.pix_fmt == (
            pixel_format if size[0] % 2 == 0 else f"yuv444{pixel_format[6:]}"
        )
        assert (stream_.width, stream_.height) == size
        assert stream_.average_rate == 25
    error = read_pixels(second).astype(int) - read_pixels(source)
    assert np.abs(error).mean() / (257 if pixel_format.endswith("le") else 1) < 1


@pytest.mark.parametrize("color_range", ["FULL", "LIMITED"])
def test_a_pipe_carries_rate_range_and_aspect(color_range: str, tmp_path: Path) -> None:
    form = "C420mpeg2 XYSCSS=420MPEG2"
    head = f"YUV4MPEG2 W64 H48 F30000:1001 Ip A4:3 {form} XCOLORRANGE={color_range}\n".encode()
    ramp = bytes(90 + x for _ in range(48) for x in range(64))
    frame = b"FRAME\n" + ramp + bytes([100] * (64 * 48 // 4)) + bytes([140] * (64 * 48 // 4))
    (tmp_path / "in.y4m").write_bytes(head + 3 * frame)
    with standard_input(tmp_path / "in.y4m"), standard_output(tmp_path / "out.y4m"):
        assert stream(PIPE, PIPE) == 3
    out = (tmp_path / "out.y4m").read_bytes()
    assert out.startswith(head)
    error = np.frombuffer(out[len(head) :], np.uint8).astype(int) - np.frombuffer(3 * frame, np.uint8)
    assert np.abs(error).max() <= 1


class SlowWriter(Y4mWriter):
    """Gives threads that run already the time to print."""

    def __enter__(self) -> Self:
        time.sleep(0.3)
        return super().__enter__()


def test_only_the_video_goes_to_standard_output(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("i2itool.streaming.Y4mWriter", SlowWriter)
    source = make_clip("clip.mp4", pts=range(3))
    with standard_output(tmp_path / "out.y4m"):
        with Translator(Identity(), engine="eager") as translator:
            translate = translator.translate

            def noisy(pixels: Any) -> Any:  # Any: as `translate`
                os.write(1, b"a library prints this")
                return translate(pixels)

            translator.translate = noisy  # type: ignore[method-assign] # it stands for a library
            convert_file(source, PIPE, translator, ConvertOptions(), SilentReporter())
        os.write(1, b"and this is behind the video")
    data = (tmp_path / "out.y4m").read_bytes()
    assert b"library" not in data
    assert data.endswith(b"behind the video")
    assert len(data) - len(b"and this is behind the video") == data.index(b"\n") + 1 + 3 * (
        len(b"FRAME\n") + 64 * 48 * 3 // 2
    )


def test_a_reader_that_stops_reading_is_one_clear_error(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", width=640, height=480)
    reading, writing = os.pipe()
    before = os.dup(1)
    os.dup2(writing, 1)
    os.close(writing)
    os.close(reading)
    try:
        with pytest.raises(OutputError, match="has stopped reading"):
            stream(source, PIPE)
    finally:
        os.dup2(before, 1)
        os.close(before)


@pytest.mark.parametrize("missing_bytes", [1, 3000, 4600])
def test_a_pipe_that_ends_within_a_frame_is_truncated(
    missing_bytes: int, make_clip: MakeClip, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.y4m", tmp_path / "cut.y4m"
    with standard_output(whole):
        stream(make_clip("clip.mp4", pts=range(4)), PIPE)
    cut.write_bytes(whole.read_bytes()[:-missing_bytes])
    with standard_input(cut), pytest.raises(InputError, match="standard input is truncated"):
        stream(PIPE, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


def test_other_than_y4m_on_standard_input_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    with standard_input(make_clip("clip.mp4")), pytest.raises(InputError, match="no YUV4MPEG2"):
        stream(PIPE, tmp_path / "out.mp4")


def test_the_command_keeps_its_words_out_of_the_pipe(
    make_clip: MakeClip, make_preset: Callable[[str], Path]
) -> None:
    source, preset = make_clip("clip.mp4", pts=range(2), width=32, height=24), make_preset("tiny")
    command = [sys.executable, "-m", "i2itool", "convert", str(source), "--preset", str(preset), "--json"]
    result = subprocess.run([*command, "--engine", "eager", "-o", "-"], capture_output=True, check=True)
    assert result.stdout.startswith(b"YUV4MPEG2 W32 H24 F25:1 Ip A1:1 C420mpeg2")
    assert len(result.stdout.split(b"FRAME\n")) == 3
    assert b'"output": "-"' in result.stderr
