"""Encoders by name, and what is asked of them: obeyed, or refused before any work."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from i2itool.errors import OptionError, OutputError
from i2itool.options import ConvertOptions
from i2itool.video.codecs import choose_encoder, encoder_options, try_encoder
from i2itool.video.quality import parse_bitrate

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "asked", "encoder"),
    [
        ("a.mp4", None, "libx264"),
        ("a.MKV", None, "libx264"),
        ("a.webm", None, "libvpx-vp9"),
        ("a.avi", None, "mpeg4"),
        ("a.mp4", "h264", "libx264"),
        ("a.mp4", "hevc", "libx265"),
        ("a.mkv", "av1", "libsvtav1"),
        ("a.mov", "prores", "prores_ks"),
        ("a.mkv", "ffv1", "ffv1"),
        ("a.mp4", "libx265", "libx265"),
    ],
)
def test_codecs_are_known_by_their_names(name: str, asked: str | None, encoder: str) -> None:
    assert choose_encoder(Path(name), asked) == encoder


@pytest.mark.parametrize(
    ("name", "asked", "remedy"),
    [
        ("a.mov", "vp9", r"\.mov files cannot hold vp9 \(write \.mp4 or \.mkv or \.webm"),
        ("a.mp4", "prores", r"\.mkv or \.mov"),
        ("a.webm", "h264", r"\.mp4 or \.mkv or \.mov"),
        ("a.ts", "av1", r"\.ts files cannot hold av1"),
        ("a.avi", "h264", r"\.avi files cannot hold h264"),
    ],
)
def test_a_codec_that_does_not_fit_is_refused_with_a_remedy(name: str, asked: str, remedy: str) -> None:
    with pytest.raises(OutputError, match=remedy):
        choose_encoder(Path(name), asked)


@pytest.mark.parametrize(
    ("asked", "cause"),
    [("nonsense", r"no such encoder: nonsense \(.*ffv1"), ("aac", "does not encode video")],
)
def test_what_encodes_no_video_is_refused(asked: str, cause: str) -> None:
    with pytest.raises(OptionError, match=cause):
        choose_encoder(Path("a.mp4"), asked)


@pytest.mark.parametrize(
    ("codec", "asked", "cause"),
    [
        ("libx264", {"encoder_preset": "hasty"}, "libx264 has no preset hasty"),
        ("libsvtav1", {"encoder_preset": "99"}, "preset"),
        ("prores_ks", {"encoder_preset": "best"}, "profile"),
        ("ffv1", {"encoder_preset": "slow"}, "ffv1 has no presets"),
        ("ffv1", {"bitrate": "5M"}, "takes no bit rate"),
        ("ffv1", {"crf": 20}, "has no crf"),
        ("libx264", {"bitrate": "fast"}, "'fast' is no bit rate"),
        ("libx264", {"crf": 60}, r"no crf 60 \(0 to 51\)"),
        ("libx264", {"encoder_options": ("tunee=film",)}, r"no option tunee \(did you mean tune\?\)"),
        ("libx264", {"encoder_options": ("g=many",)}, "option g"),
        ("libx264", {"encoder_options": ("x264-params=nonsense=1",)}, "nonsense"),
        ("libx265", {"encoder_options": ("x265-params=nonsense=1",)}, "nonsense"),
        ("libx264", {"encoder_options": ("tune",)}, "'tune' is no encoder option"),
    ],
)
def test_what_an_encoder_does_not_know_is_refused(codec: str, asked: dict[str, Any], cause: str) -> None:
    with pytest.raises(OptionError, match=cause):
        encoder_options(codec, ConvertOptions(**asked))


def test_options_of_the_user_win() -> None:
    asked = ConvertOptions(encoder_preset="fast", encoder_options=("crf=30", "tune=film"))
    options = encoder_options("libx264", asked)
    assert (options["crf"], options["preset"], options["tune"]) == ("30", "fast", "film")


@pytest.mark.parametrize(
    ("text", "bits"), [("5M", 5_000_000), ("1.5m", 1_500_000), ("800k", 800_000), ("9", 9)]
)
def test_bit_rates_are_read(text: str, bits: int) -> None:
    assert parse_bitrate(text) == bits


def test_the_bit_rate_is_heeded(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("clip.mp4", pts=range(50), width=160, height=120)
    sizes = [
        convert_as_it_is(source, f"{rate}.mp4", bitrate=rate, encoder_preset="veryfast").stat().st_size
        for rate in ("20k", "400k")
    ]
    assert sizes[1] > 4 * sizes[0]


@pytest.mark.parametrize(
    ("codec", "pixel_format"), [("h264", "yuv444p"), ("h264", "nv12"), ("ffv1", "bgr0"), ("hevc", "gbrp")]
)
def test_the_pixel_format_is_heeded(
    codec: str, pixel_format: str, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    target = convert_as_it_is(make_clip("clip.mkv"), "out.mkv", codec=codec, pixel_format=pixel_format)
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    # Of nv12, only the order in memory differs from yuv420p, and no stream keeps that.
    assert frame.format.name == {"nv12": "yuv420p"}.get(pixel_format, pixel_format)


def test_a_pixel_format_that_an_encoder_lacks_is_refused(
    make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    with pytest.raises(OptionError, match=r"libsvtav1 has no pixel format yuv444p \(one of yuv420p,"):
        convert_as_it_is(make_clip("clip.mkv"), "out.mkv", codec="av1", pixel_format="yuv444p")


@pytest.mark.parametrize("codec", ["h264_nvenc", "hevc_qsv", "h264_amf"])
def test_hardware_is_used_only_if_it_works(codec: str, caplog: pytest.LogCaptureFixture) -> None:
    reason = try_encoder(codec, {})
    chosen = choose_encoder(Path("a.mp4"), codec)
    if reason is None:
        assert chosen == codec
    else:
        assert chosen == {"h264": "libx264", "hevc": "libx265"}[codec.split("_")[0]]
        assert f"{codec} does not work here" in caplog.text


@pytest.mark.parametrize(("name", "codec"), [("out.mkv", "vp9"), ("out.webm", "vp9"), ("out.mkv", "ffv1")])
def test_the_aspect_of_pixels_is_never_lost_silently(
    name: str, codec: str, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip("clip.mp4", aspect=Fraction(4, 3))
    with pytest.raises(OutputError, match=r"cannot hold pixels of 4:3 .*\.mp4"):
        convert_as_it_is(source, name, codec=codec)
    with av.open(str(convert_as_it_is(source, "out.mp4", codec=codec))) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_encoders_write_nothing_to_stderr(
    make_clip: MakeClip, convert_as_it_is: Convert, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("clip.mkv", pts=range(4), width=64, height=64)
    for codec in ("h264", "hevc", "av1", "vp9", "prores", "ffv1"):
        convert_as_it_is(source, f"{codec}.mkv", codec=codec)
    assert capfd.readouterr().err == ""
