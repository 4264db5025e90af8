"""Deep, HDR, interlaced and transparent videos: what is kept, what is changed, and that it is said."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from i2itool.errors import InputError
from i2itool.frames import AnyPixels
from i2itool.options import ReadOptions
from i2itool.verification import verify
from i2itool.video.encoders import choose_pixel_format
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]

HDR = {"matrix": 9, "primaries": 9, "color_range": 1, "pixel_format": "yuv420p10le"}


def write_luma(path: Path, frames: list[NDArray[np.uint16]], pixel_format: str, codec: str = "ffv1") -> None:
    """Encode gray pictures, given by their luma; H,W uint16 for deep formats, else uint8."""
    with av.open(str(path), "w") as output:
        stream = cast(av.VideoStream, output.add_stream(codec, rate=25))
        height, width = frames[0].shape
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        for pts, luma in enumerate(frames):
            frame = av.VideoFrame(width, height, pixel_format)
            bits = frame.format.components[0].bits
            for i, plane in enumerate(frame.planes):
                dtype = np.uint8 if bits == 8 else np.uint16
                rows = np.frombuffer(cast(bytearray, plane), dtype).reshape(plane.height, -1)
                rows[:, : plane.width] = luma if i == 0 else 1 << (bits - 1)
            frame.pts, frame.time_base = pts, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def read_luma(path: Path) -> NDArray[np.uint16]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        plane = frame.planes[0]
        rows = np.frombuffer(cast(bytearray, plane), np.uint16).reshape(plane.height, -1)
        return rows[:, : plane.width].copy()


def read_pixels(path: Path, options: ReadOptions | None = None) -> list[AnyPixels]:
    with VideoReader(path, options or ReadOptions()) as reader:
        return [frame.pixels for frame in reader]


def test_every_level_of_ten_bits_survives(tmp_path: Path, convert_as_it_is: Convert) -> None:
    ramp = np.tile(np.arange(64, 941).astype(np.uint16), (16, 1))
    write_luma(tmp_path / "ramp.mkv", [ramp], "yuv444p10le")
    target = convert_as_it_is(tmp_path / "ramp.mkv", codec="ffv1")
    assert (read_luma(target) == ramp).all()


@pytest.mark.parametrize(
    ("name", "codec", "stored"),
    [
        ("out.mp4", "libx264", "yuv420p10le"),
        ("out.mp4", "libx265", "yuv420p10le"),
        ("out.mkv", "libsvtav1", "yuv420p10le"),
        ("out.mov", "prores_ks", "yuv422p10le"),
        ("out.mkv", "ffv1", "yuv420p10le"),
    ],
)
def test_encoders_that_can_store_ten_bits_do(
    name: str, codec: str, stored: str, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip("deep.mp4", pixel_format="yuv420p10le", pts=range(3), width=96, height=80)
    with av.open(str(convert_as_it_is(source, name, codec=codec))) as container:
        assert next(container.decode(video=0)).format.name == stored


@pytest.mark.parametrize(
    ("codec", "like", "chosen", "words"),
    [
        ("mpeg4", "yuv420p10le", "yuv420p", "fewer bits"),
        ("libx264", "yuv420p12le", "yuv420p10le", "fewer bits"),
        ("libsvtav1", "yuv444p10le", "yuv420p10le", "chroma"),
        ("libx264", "yuv422p10le", "yuv422p10le", ""),
        ("prores_ks", "yuv420p", "yuv422p10le", ""),
    ],
)
def test_what_an_encoder_cannot_store_is_said(
    codec: str, like: str, chosen: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_pixel_format(codec, like, width=64, height=48) == chosen
    assert bool(caplog.records) == bool(words)
    assert words in caplog.text


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_unless_asked_for(transfer: int, name: str, make_clip: MakeClip) -> None:
    with pytest.raises(InputError, match=rf"is HDR \({name}\).*--tonemap.*--assume-sdr"):
        VideoReader(make_clip("hdr.mp4", transfer=transfer, **HDR))


def test_hdr_taken_as_sdr_keeps_its_levels_and_tags(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("hdr.mp4", transfer=16, **HDR)
    target = convert_as_it_is(source, crf=4, assume_sdr=True)
    options = ReadOptions(assume_sdr=True)
    with VideoReader(source, options) as old, VideoReader(target, options) as new:
        assert new.coding == old.coding
        assert new.coding.tags.transfer == 16
    before, after = read_pixels(source, options)[0], read_pixels(target, options)[0]
    assert np.abs(after.astype(float) - before).mean() / 257 < 1


@pytest.mark.parametrize("transfer", [16, 18])
def test_tone_mapped_hdr_is_tagged_as_the_sdr_that_it_is(
    transfer: int, make_clip: MakeClip, convert_as_it_is: Convert, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("hdr.mp4", transfer=transfer, **HDR)
    target = convert_as_it_is(source, crf=4, tonemap=True)
    with VideoReader(target) as reader:
        tags = reader.coding.tags
        assert (tags.matrix, tags.primaries, tags.transfer, tags.color_range) == (1, 1, 1, 1)
        assert reader.coding.pixel_format == "yuv420p10le"
    expected = read_pixels(source, ReadOptions(tonemap=True))[0].astype(float)
    assert np.abs(read_pixels(target)[0] - expected).mean() / 257 < 1.5
    assert "HDR is made SDR" in caplog.text
    assert verify(source, target, is_tonemapped=True).is_same
    assert not verify(source, target).is_same


def combing(pixels: AnyPixels) -> float:
    """How much rows differ from their neighbours' mean, in levels."""
    rows = pixels.astype(float)
    return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())


def make_interlaced(make_clip: MakeClip, name: str) -> Path:
    """A bar that moves 4 px from field to field."""
    frames = []
    for i in range(8):
        luma = np.full((64, 128), 40, np.uint8)
        luma[0::2, 8 * i + 10 : 8 * i + 30] = 200
        luma[1::2, 8 * i + 14 : 8 * i + 34] = 200
        frames.append(luma.astype(np.uint16))
    progressive = make_clip(name).with_name("fields.mkv")
    write_luma(progressive, frames, "yuv420p")
    source = progressive.with_name(name)
    with av.open(str(progressive)) as old, av.open(str(source), "w") as new:
        options = {"crf": "4", "x264-params": "tff=1"}
        stream = new.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for frame in old.decode(video=0):
            new.mux(stream.encode(frame))
        new.mux(stream.encode(None))
    return source


def test_interlaced_frames_are_deinterlaced_at_their_times(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_interlaced(make_clip, "clip.mp4")
    with VideoReader(source, ReadOptions(deinterlace="off")) as reader:
        woven = list(reader)
        assert not caplog.records
    with VideoReader(source) as reader:
        whole = list(reader)
    assert [(frame.pts, frame.duration) for frame in whole] == [
        (frame.pts, frame.duration) for frame in woven
    ]
    assert len(whole) == 8
    assert combing(whole[4].pixels) < combing(woven[4].pixels) / 3
    assert caplog.text.count("deinterlaced") == 1


def test_frames_that_are_not_interlaced_are_left_alone(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4")
    for one, other in zip(
        read_pixels(source), read_pixels(source, ReadOptions(deinterlace="off")), strict=True
    ):
        assert (one == other).all()


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("clip.webm", "libvpx-vp9", "yuva420p"),
        ("clip.mov", "prores_ks", "yuva444p10le"),
        ("clip.mkv", "ffv1", "yuva420p"),
    ],
)
def test_transparency_is_dropped_with_a_word(
    name: str,
    codec: str,
    pixel_format: str,
    make_clip: MakeClip,
    convert_as_it_is: Convert,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = make_clip(name, codec=codec, pixel_format=pixel_format, options={}, pts=range(3))
    target = convert_as_it_is(source)
    assert "transparency is dropped" in caplog.text
    caplog.clear()
    assert len(read_pixels(target)) == 3
    assert not caplog.records


@pytest.mark.parametrize("is_seen_through", [False, True])
def test_only_transparency_that_is_in_use_is_spoken_of(
    is_seen_through: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = np.full((48, 64, 4), 255, np.uint8)
    pixels[:8, :, 3] = 0 if is_seen_through else 255
    with av.open(str(tmp_path / "clip.mov"), "w") as output:
        stream = output.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgba"
        frame = av.VideoFrame.from_ndarray(pixels, "rgba")
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    read_pixels(tmp_path / "clip.mov")
    assert ("transparency" in caplog.text) == is_seen_through


def test_frames_with_one_stamp_are_moved_apart_and_it_is_said(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("clip.mkv", options={"bf": "0"}, pts=[0, 40, 80, 120], time_base=Fraction(1, 1000))
    doubled = source.with_name("doubled.mkv")
    with av.open(str(source)) as old, av.open(str(doubled), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0], opaque=True)
        for packet in old.demux(video=0):
            if packet.size:
                packet.pts = packet.dts = 40 if packet.pts == 80 else packet.pts
                packet.stream = stream
                new.mux_one(packet)
    with VideoReader(doubled) as reader:
        assert [frame.pts for frame in reader] == [0, 40, 41, 120]
        assert reader.damage.num_repeated == 0
    assert "moved by a tick" in caplog.text
