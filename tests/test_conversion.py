"""`convert` and `load_preset` as the Python API offers them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor, nn

from i2itool import convert, load_preset
from i2itool.console import SilentReporter
from i2itool.conversion import convert_file, convert_video
from i2itool.errors import InputError, OptionError, OutputError, PresetError
from i2itool.frames import Pixels
from i2itool.options import ConvertKeywords, ConvertOptions
from i2itool.pictures import read_picture, write_picture
from i2itool.still_writer import write_still
from i2itool.stills import Still, read_still
from i2itool.translator import Translator
from i2itool.verification import verify
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(autouse=True)
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_preset: Callable[[str], Path]) -> None:
    """A preset `tiny`, and a working folder."""
    monkeypatch.chdir(tmp_path)
    make_preset("tiny")


@pytest.fixture
def pixels() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (30, 42, 3), dtype=np.uint8)


class Negative(nn.Module):
    """Turns pictures into their negatives."""

    multiple_of = 4

    def forward(self, x: Tensor) -> Tensor:
        return -x


class Broken(Negative):
    """Fails at the picture after `good` ones."""

    def __init__(self, error: BaseException, good: int) -> None:
        super().__init__()
        self.error = error
        self.good = good

    def forward(self, x: Tensor) -> Tensor:
        self.good -= 1
        if self.good < 0:
            raise self.error
        return super().forward(x)


class CountingReporter(SilentReporter):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.done = 0

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        self.told.append((label, total, unit))

    def advance(self, count: int = 1, *, note: str = "") -> None:
        self.done += count

    def finish(self) -> None:
        self.told.append("finish")


def read_frames(path: Path) -> Pixels:
    with VideoReader(path) as reader:
        return np.stack([frame.pixels for frame in reader])


def luma(frames: Pixels) -> NDArray[np.float64]:
    return np.asarray(frames @ np.array([0.299, 0.587, 0.114]))


# Videos


def test_a_video_is_translated_beside_its_input(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", audio_languages=["eng"])
    reporter = CountingReporter()

    result = convert(
        source, preset="tiny", engine="eager", crf=4, batch_size=5, smooth="off", reporter=reporter
    )

    assert result.output == source.with_name("clip_tiny.mp4")
    assert result.num_frames == reporter.done == 12
    assert reporter.told == [("clip.mp4", 12, "frames"), "finish"]
    with load_preset("tiny") as loaded:
        expected = loaded.translate(read_frames(source), engine="eager")
    # A random network paints colours finer than 4:2:0 can hold, but their brightness is held.
    assert np.abs(luma(read_frames(result.output)) - luma(expected)).mean() < 4
    assert np.abs(luma(read_frames(source)) - luma(expected)).mean() > 20


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_the_batch_size_changes_nothing(batch_size: int, make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4")
    target = source.with_name("out.mkv")
    options = ConvertOptions(codec="ffv1", batch_size=batch_size, smooth="off")
    with Translator(Negative(), engine="eager", batch_size=batch_size) as translator:
        assert convert_video(source, target, translator, options, SilentReporter()).num_frames == 12
    error = read_frames(target).astype(int) - (255 - read_frames(source))
    assert np.abs(error).mean() < 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("broken")])
@pytest.mark.parametrize("good", [0, 7])
def test_a_broken_run_leaves_neither_file_nor_thread(
    error: BaseException, good: int, make_clip: MakeClip, tmp_path: Path
) -> None:
    source = make_clip("clip.mp4", pts=range(40))
    before = set(tmp_path.iterdir())
    num_threads = threading.active_count()
    with Translator(Broken(error, good), engine="eager") as translator, pytest.raises(type(error)):
        convert_video(source, tmp_path / "out.mp4", translator, ConvertOptions(), SilentReporter())
    assert set(tmp_path.iterdir()) == before
    assert threading.active_count() == num_threads


# Pictures


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_a_picture_is_translated_exactly(suffix: str, pixels: Pixels, tmp_path: Path) -> None:
    source = tmp_path / f"Füße{suffix}"
    write_picture(source, pixels)
    result = convert(source, preset="tiny", engine="eager")
    assert (result.output, result.num_frames) == (tmp_path / f"Füße_tiny{suffix}", 1)
    with load_preset("tiny") as loaded:
        np.testing.assert_array_equal(read_picture(result.output), loaded.translate(pixels, engine="eager"))


# Outputs


def test_an_output_that_exists_is_refused_and_kept(pixels: Pixels, tmp_path: Path) -> None:
    write_picture(tmp_path / "b.png", pixels)
    (tmp_path / "b_tiny.png").write_text("precious")
    with pytest.raises(OutputError, match=r"b_tiny\.png is already there .*overwrite"):
        convert(tmp_path / "b.png", preset="tiny", engine="eager")
    assert (tmp_path / "b_tiny.png").read_text() == "precious"

    convert(tmp_path / "b.png", preset="tiny", engine="eager", overwrite=True)
    assert read_picture(tmp_path / "b_tiny.png").shape == pixels.shape


def test_a_folder_is_for_convert_many(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="convert_many"):
        convert(tmp_path, preset="tiny")


def test_a_picture_keeps_its_depth_its_alpha_and_what_is_said_about_it(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (9, 14, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    write_still(tmp_path / "a.tiff", Still(deep, deep[..., 0], exif=exif.tobytes(), icc_profile=SRGB))
    with Translator(Negative(), engine="eager") as translator:
        source, target = tmp_path / "a.tiff", tmp_path / "b.png"
        convert_file(source, target, translator, ConvertOptions(), SilentReporter())
    back = read_still(tmp_path / "b.png")
    np.testing.assert_array_equal(back.pixels, 65535 - deep)
    assert back.alpha is not None
    np.testing.assert_array_equal(back.alpha, deep[..., 0])
    assert b"Maker" in back.exif
    assert back.icc_profile == SRGB


def test_an_output_folder_gets_the_usual_name(pixels: Pixels, tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", pixels)
    (tmp_path / "out").mkdir()
    result = convert(tmp_path / "a.png", tmp_path / "out", preset="tiny", engine="eager")
    assert result.output == tmp_path / "out/a_tiny.png"
    assert result.output.is_file()


@pytest.mark.parametrize("output", ["a.png", "./in/../a.png", "link.png"])
def test_the_input_is_never_replaced(output: str, pixels: Pixels, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_picture(tmp_path / "a.png", pixels)
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(OutputError, match="would replace its input"):
        convert(tmp_path / "a.png", tmp_path / output, preset="tiny", overwrite=True)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), pixels)


def test_a_missing_input_or_preset_is_named(pixels: Pixels, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.mp4"):
        convert("absent.mp4", preset="tiny")
    write_picture(tmp_path / "a.png", pixels)
    with pytest.raises(PresetError, match="no-such"):
        convert("a.png", preset="no-such")
    with pytest.raises(PresetError, match="b2a"):
        convert("a.png", preset="tiny", direction="b2a")


def test_verify_passes_what_kept_everything_and_names_what_was_lost(make_clip: MakeClip) -> None:
    source = make_clip("clip.mkv", audio_languages=["eng"], attachment=b"a font")
    assert convert(source, preset="tiny", verify=True).output.is_file()
    lossy = source.with_name("lossy.mp4")
    with pytest.raises(
        OutputError, match=r"lossy\.mp4 is whole, but differs from its input in: .*attachment"
    ):
        convert(source, lossy, preset="tiny", drop_unsupported=True, verify=True)
    assert lossy.is_file()


def test_verify_does_not_repeat_what_the_conversion_has_said(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("clip.mp4", options={"crf": "12", "preset": "veryfast", "g": "1"})
    with av.open(str(source)) as container:
        lost = [bytes(packet) for packet in container.demux(video=0) if packet.size][5]
    source.write_bytes(source.read_bytes().replace(lost, b"\xff" * len(lost)))
    convert(source, preset="tiny", engine="eager", verify=True)
    assert caplog.text.count("the frame at 0.200 s cannot be decoded") == 1


@pytest.mark.parametrize("other", [{"trim": ":1", "verify": True}, {"preview": 2, "verify": True}])
def test_verify_does_not_go_with_parts(other: ConvertKeywords, make_clip: MakeClip) -> None:
    with pytest.raises(OptionError, match="--verify compares whole files"):
        convert(make_clip("clip.mp4"), preset="tiny", **other)


def test_the_keywords_of_convert_are_the_fields_of_its_options() -> None:
    fields = {field.name: field.type for field in dataclasses.fields(ConvertOptions)}
    keywords = {name: hint.__forward_arg__ for name, hint in ConvertKeywords.__annotations__.items()}
    assert keywords == fields


# Arrays


def test_a_loaded_preset_gives_the_shape_that_it_gets(pixels: Pixels) -> None:
    with load_preset("tiny") as loaded:
        one = loaded.translate(pixels, engine="eager")
        several = loaded.translate(np.stack([pixels, pixels]), engine="eager")
    assert one.shape == pixels.shape
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(several, np.stack([one, one]))


def test_sizes_may_change_from_call_to_call() -> None:
    translator = Translator(Negative(), engine="eager", batch_size=2)
    for shape in [(1, 8, 8, 3), (5, 7, 9, 3), (2, 1, 1, 3), (1, 8, 8, 3)]:
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        np.testing.assert_array_equal(translator.translate(pixels), 255 - pixels)
    translator.close()
    translator.close()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        torch.zeros(3),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: Pixels) -> None:
    with load_preset("tiny") as loaded, pytest.raises(InputError, match="pictures must be"):
        loaded.translate(array)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mov", "prores"), ("a.mkv", "prores"), ("a.mp4", "hevc"), ("a.mkv", "ffv1")]
)
def test_every_codec_keeps_the_tags_of_colours(name: str, codec: str, make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", matrix=1, primaries=1, transfer=1, color_range=1)
    target = source.with_name(name)
    convert(source, target, preset="tiny", codec=codec)
    with VideoReader(target) as reader:
        tags = reader.coding.tags
    assert (tags.matrix, tags.primaries, tags.transfer) == (1, 1, 1)


def test_verify_looks_again_at_an_output_that_is_there(make_clip: MakeClip) -> None:
    source = make_clip("clip.mkv", attachment=b"a font")
    lossy = source.with_name("lossy.mp4")
    convert(source, lossy, preset="tiny", drop_unsupported=True)
    with Translator(Negative(), engine="eager") as translator, pytest.raises(OutputError, match="differs"):
        convert_file(source, lossy, translator, ConvertOptions(verify=True), SilentReporter())


def test_a_linked_input_is_converted_beside_the_link(pixels: Pixels, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    write_picture(tmp_path / "real/a.png", pixels)
    (tmp_path / "link.png").symlink_to(tmp_path / "real/a.png")
    assert convert(tmp_path / "link.png", preset="tiny").output == tmp_path / "link_tiny.png"
    assert (tmp_path / "link_tiny.png").is_file()


def test_two_ways_to_treat_hdr_exclude_each_other(make_clip: MakeClip) -> None:
    with pytest.raises(OptionError, match="exclude each other"):
        convert(make_clip("clip.mp4"), preset="tiny", tonemap=True, assume_sdr=True)


def test_a_bit_rate_and_a_quality_exclude_each_other(make_clip: MakeClip) -> None:
    with pytest.raises(OptionError, match="--bitrate and --crf exclude each other"):
        convert(make_clip("clip.mp4"), preset="tiny", bitrate="1M", crf=20)


def test_a_rate_is_for_numbered_pictures(make_clip: MakeClip) -> None:
    with pytest.raises(OptionError, match="--rate is for numbered pictures"):
        convert(make_clip("clip.mp4"), preset="tiny", rate="30")


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("audio_start", [0, 4800])
@pytest.mark.parametrize("name", ["a.ts", "a.m2ts"])
def test_a_transport_stream_begins_when_its_input_does(
    codec: str, audio_start: int, name: str, make_clip: MakeClip
) -> None:
    # AAC begins with a packet from before its first sound, which may lie before 0.
    source = make_clip("clip.mp4", pts=range(30), audio_languages=["eng"], audio_start=audio_start)
    target = source.with_name(name)
    convert(source, target, preset="tiny", codec=codec, drop_unsupported=True)
    checks = {item.name: item.verdict for item in verify(source, target).checks}
    assert checks["frame times"] == checks["audio 1: times"] == "ok"
