"""Tiny clips, made anew for each test: odd sizes, variable rates, rotation, sound and more."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from i2itool.networks import build
from i2itool.preset import Network, Preset, write_preset
from i2itool.weights import save_weights

AUDIO_RATE = 48000


def pytest_configure() -> None:
    """Let Ctrl-C through: a shell ignores it for what runs in its background, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With I2ITOOL_REQUIRE_CUDA=1 a test that needs a GPU cannot pass by being skipped."""
    report = yield
    is_required = (
        os.environ.get("I2ITOOL_REQUIRE_CUDA") == "1" and item.get_closest_marker("cuda") is not None
    )
    if report.skipped and is_required:
        report.outcome, report.longrepr = "failed", f"skipped, though required: {report.longrepr}"
    return report


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the user's compiled networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2ITOOL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The command line configures logging for its process; here many tests share one."""
    root, ours = logging.getLogger(), logging.getLogger("i2itool")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@dataclass(frozen=True)
class Clip:
    """What a test clip is to be.

    pts: one stamp a frame, in units of `time_base` seconds.  matrix to transfer: tags of H.273.
    rotation: degrees, counter-clockwise.  mirror: "columns" or "rows", after it.
    subtitles: (pts, duration, text) in milliseconds.  audio_languages: one sound stream each.
    """

    width: int = 64
    height: int = 48
    pts: Sequence[int] = range(12)
    time_base: Fraction = Fraction(1, 25)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "12", "preset": "veryfast"})
    matrix: int = 2
    color_range: int = 0
    primaries: int = 2
    transfer: int = 2
    aspect: Fraction = Fraction(1)
    rotation: int = 0
    mirror: str = ""
    audio_languages: Sequence[str] = ()
    audio_start: int = 0
    subtitles: Sequence[tuple[int, int, str]] = ()
    chapters: Sequence[tuple[int, int, str]] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    attachment: bytes = b""
    has_cover: bool = False


MakeClip = Callable[..., Path]


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Write a clip: make_clip("name.mp4", rotation=90) -> its path; the keywords are those of `Clip`."""

    def make(name: str, **keywords: Any) -> Path:  # Any: the fields of Clip, checked by its constructor
        path = tmp_path / name
        write_clip(path, Clip(**keywords))
        return path

    return make


@pytest.fixture
def make_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a tiny preset of random a2b weights, found by name: make_preset("tiny") -> its folder."""
    presets = tmp_path / "presets"
    monkeypatch.setenv("I2ITOOL_PRESETS", str(presets))

    def make(name: str, width: int = 4, blocks: int = 1) -> Path:
        folder = presets / name
        folder.mkdir(parents=True)
        generator = build("resnet", width=width, blocks=blocks)
        weights = save_weights(folder / "a2b.safetensors", generator.state_dict())
        network = Network(name="resnet", hyper={"width": width, "blocks": blocks})
        write_preset(Preset(name=name, summary="random", network=network, a2b=weights), folder)
        return folder

    return make


def picture(width: int, height: int, shift: int = 0) -> NDArray[np.uint8]:
    """A smooth colourful picture, H,W,3 uint8 RGB; another one for each `shift`."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    waves = [np.sin(3 * x + 2 * y + shift / 9), np.cos(4 * y - shift / 7), np.sin(5 * x * y + shift / 5)]
    return np.stack([130 + 90 * wave for wave in waves], axis=-1).round().astype(np.uint8)


def write_clip(path: Path, clip: Clip) -> None:
    """Encode `clip` with PyAV."""
    # Starts other than 0 are rounded to ticks of the movie.
    ticks = {"movie_timescale": str(clip.time_base.denominator * 1000)} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", container_options=ticks) as output:
        output.metadata.update(clip.metadata)
        video = _add_video(output, clip)
        sounds = [_add_audio(output, language) for language in clip.audio_languages]
        subtitles = _add_subtitles(output, path) if clip.subtitles else None
        if clip.attachment:
            output.add_attachment("font.ttf", "application/x-truetype-font", clip.attachment)
        if clip.chapters:
            output.set_chapters(
                [
                    {
                        "id": i,
                        "start": start,
                        "end": end,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for i, (start, end, title) in enumerate(clip.chapters)
                ]
            )
        if clip.has_cover:
            _mux_cover(output)
        _mux_video(output, video, clip)
        for sound in sounds:
            seconds = float((clip.pts[-1] - clip.pts[0] + 1) * clip.time_base)
            _mux_audio(output, sound, seconds, clip.audio_start)
        if subtitles is not None:
            _mux_subtitles(output, subtitles, clip)


def _add_video(output: OutputContainer, clip: Clip) -> VideoStream:
    video = output.add_stream(clip.codec, rate=25, options=clip.options)
    assert isinstance(video, VideoStream)
    context = video.codec_context
    context.width, context.height, context.pix_fmt = clip.width, clip.height, clip.pixel_format
    video.time_base = context.time_base = clip.time_base
    context.sample_aspect_ratio = clip.aspect
    context.colorspace, context.color_range = clip.matrix, clip.color_range
    context.color_primaries, context.color_trc = clip.primaries, clip.transfer
    if clip.rotation or clip.mirror:
        video.set_display_rotation(clip.rotation, clip.mirror == "columns", clip.mirror == "rows")
    return video


def _add_audio(output: OutputContainer, language: str) -> AudioStream:
    codec = {"webm": "libopus", "avi": "mp2"}.get(output.format.name, "aac")
    sound = output.add_stream(codec, rate=AUDIO_RATE)
    assert isinstance(sound, AudioStream)
    sound.metadata["language"] = language
    return sound


def _add_subtitles(output: OutputContainer, path: Path) -> Stream:
    # Packets are made by hand, since the encoders want a whole ASS script.
    codecs = {".mp4": "mov_text", ".mov": "mov_text", ".webm": "webvtt"}
    subtitles = output.add_mux_stream(codecs.get(path.suffix, "subrip"))
    subtitles.time_base = Fraction(1, 1000)
    subtitles.metadata["language"] = "deu"
    return subtitles


def _mux_cover(output: OutputContainer) -> None:
    cover = output.add_stream("mjpeg", rate=1)
    assert isinstance(cover, VideoStream)
    cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
    cover.disposition = Disposition.attached_pic
    frame = av.VideoFrame.from_ndarray(picture(32, 32), "rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    output.mux(cover.encode(frame))


def _mux_video(output: OutputContainer, video: VideoStream, clip: Clip) -> None:
    matrix = {2: 5, 6: 5}.get(clip.matrix, clip.matrix)
    for i, pts in enumerate(clip.pts):
        frame = av.VideoFrame.from_ndarray(picture(clip.width, clip.height, i), "rgb24")
        frame = frame.reformat(
            format=clip.pixel_format,
            dst_colorspace=matrix,
            src_color_range=2,
            dst_color_range=clip.color_range or 1,
        )
        frame.pts, frame.time_base = pts, clip.time_base
        output.mux(video.encode(frame))
    output.mux(video.encode(None))


def _mux_audio(output: OutputContainer, sound: AudioStream, seconds: float, start: int) -> None:
    noise = np.random.default_rng(sound.index).normal(scale=0.1, size=(2, 960)).astype(np.float32)
    sample_format = sound.codec_context.format.name
    for i in range(round(seconds * AUDIO_RATE / 960)):
        packed = noise.T.reshape(1, -1) if sample_format == "flt" else noise
        frame = av.AudioFrame.from_ndarray(packed, "flt" if sample_format == "flt" else "fltp", "stereo")
        frame.sample_rate, frame.pts = AUDIO_RATE, start + i * 960
        frame.time_base = Fraction(1, AUDIO_RATE)
        output.mux(sound.encode(frame))
    output.mux(sound.encode(None))


def _mux_subtitles(output: OutputContainer, subtitles: Stream, clip: Clip) -> None:
    for pts, duration, text in clip.subtitles:
        data = text.encode()
        if output.format.name in ("mp4", "mov"):
            data = len(data).to_bytes(2, "big") + data
        packet = av.Packet(data)
        packet.stream = subtitles
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = pts
        packet.duration = duration
        output.mux(packet)
