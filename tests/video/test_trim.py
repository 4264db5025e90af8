"""A part of a video, and a look at one."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from torch import Tensor, nn

from i2itool import convert
from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.errors import InputError, OptionError
from i2itool.frames import Window
from i2itool.options import ConvertOptions
from i2itool.pictures import read_picture
from i2itool.preview import preview_video
from i2itool.translator import Translator
from i2itool.trim import Trim, parse_trim
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]
UNEVEN = [100, 140, 180, 300, 301, 420, 500, 940, 980, 1020, 1100, 1140, 1200, 1300, 1420]


class Negative(nn.Module):
    """Turns pictures into their negatives."""

    multiple_of = 4

    def forward(self, x: Tensor) -> Tensor:
        return -x


def video_times(path: Path) -> list[Fraction]:
    with VideoReader(path) as reader:
        return [frame.pts * frame.time_base for frame in reader]


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts * Fraction(packet.time_base or 1), bytes(packet))
            for packet in container.demux(container.streams.get({kind: 0}))
            if packet.pts is not None
        ]


@pytest.mark.parametrize(
    ("text", "trim"),
    [
        ("2.5:10", Trim(Fraction(5, 2), Fraction(10))),
        ("0:01:00:1:00:00.25", Trim(Fraction(60), Fraction(14401, 4))),
        (":0:01:00", Trim(None, Fraction(60))),
        ("3:", Trim(Fraction(3), None)),
        (":", Trim()),
    ],
)
def test_both_sides_are_seconds_or_clock_times(text: str, trim: Trim) -> None:
    assert parse_trim(text) == trim


@pytest.mark.parametrize("text", ["", "10", "a:b", "-1:2", "1:2:3", "1:00:02:00", "0:0:1:", "1e3:"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is not START:END"):
        parse_trim(text)


@pytest.mark.parametrize("text", ["3:3", "5:2", ":0"])
def test_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is empty"):
        parse_trim(text)


@pytest.mark.parametrize("trim", ["0.2:0.85", ":0.4", "0.44:", "0.2:0.201", ":"])
@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4"])
def test_the_frames_from_start_until_before_end_are_converted(
    trim: str, name: str, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip(name, pts=UNEVEN, time_base=Fraction(1, 1000))
    asked, times = parse_trim(trim), video_times(source)
    # Players show the earliest instant as 0.
    wanted = [
        time
        for time in times
        if time - times[0] >= (asked.start or 0) and (asked.end is None or time - times[0] < asked.end)
    ]
    # Without a start, the beginning stays where it is.
    zero = 0 if asked.start is None else wanted[0]
    assert video_times(convert_as_it_is(source, trim=trim)) == [time - zero for time in wanted]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_sound_stays_in_step_and_begins_within_the_part(
    name: str, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip(name, pts=range(35, 85), audio_languages=["eng"], audio_start=35 * 1920)
    output = convert_as_it_is(source, trim="0.5:1.5")
    times = video_times(source)
    with VideoReader(source) as reader:
        zero = reader.start_seconds
    first = next(time for time in times if time - zero >= Fraction(1, 2))
    wanted = [
        (time - first, data)
        for time, data in packets(source, "audio")
        if first <= time < zero + Fraction(3, 2)
    ]
    found = packets(output, "audio")
    # Muxers of transport streams begin at a time of their own; what counts is the distance to the picture.
    shift = video_times(output)[0]
    assert [data for _, data in found] == [data for _, data in wanted]
    assert max(abs(a - shift - b) for (a, _), (b, _) in zip(found, wanted, strict=True)) <= Fraction(1, 1000)


def test_chapters_are_cut_at_the_ends_of_the_part(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    chapters = [(0, 400, "before"), (400, 1000, "first"), (1000, 1500, "second"), (1500, 2000, "behind")]
    source = make_clip("clip.mkv", pts=range(50), chapters=chapters)
    with av.open(str(convert_as_it_is(source, trim="0.6:1.48"))) as container:
        found = [
            (
                round(float(chapter["start"] * (chapter["time_base"] or 1)), 3),
                round(float(chapter["end"] * (chapter["time_base"] or 1)), 3),
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]
    assert found == [(0.0, 0.4, "first"), (0.4, 0.88, "second")]


def test_the_cover_stays_whatever_the_part(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("clip.mp4", pts=range(50), has_cover=True)
    with av.open(str(convert_as_it_is(source, trim="1:"))) as container:
        assert {stream.codec_context.name for stream in container.streams.video} == {"mjpeg", "h264"}


def test_a_part_behind_the_end_is_refused(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("clip.mp4")
    with pytest.raises(InputError, match=r"no frame of .* lies within --trim"):
        convert_as_it_is(source, trim="5:")
    assert [path.name for path in source.parent.iterdir()] == ["clip.mp4"]


def test_a_part_is_the_whole_seen_through_a_window(make_clip: MakeClip) -> None:
    source = make_clip("clip.mkv", pts=UNEVEN, time_base=Fraction(1, 1000))
    with VideoReader(source) as reader:
        every = list(reader)
    with VideoReader(source) as reader:
        part = list(reader.frames(Window(Fraction(3, 10), Fraction(1))))
    expected = [frame for frame in every if 300 <= frame.pts < 1000]
    assert [frame.pts for frame in part] == [frame.pts for frame in expected]
    for one, other in zip(part, expected, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


# Preview


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (4, 4, 1), (7, 4, 2)])
def test_a_preview_is_one_picture_of_pairs(
    count: int, rows: int, columns: int, make_clip: MakeClip, tmp_path: Path
) -> None:
    source = make_clip("clip.mp4", pts=range(40), width=400, height=202, options={"g": "12"})
    with Translator(Negative(), engine="eager") as translator:
        options = ConvertOptions(preview=count)
        made = preview_video(source, tmp_path / "sheet.png", translator, options, SilentReporter())
    sheet = read_picture(tmp_path / "sheet.png")
    assert made == count
    assert sheet.shape == (rows * (162 + 18), columns * (2 * 320 + 2 * 4), 3)
    before, after = sheet[:162, :320].astype(int), sheet[:162, 324:644]
    assert np.abs(before + after - 255).mean() < 2


def test_a_preview_shows_the_middles_of_equal_parts(make_clip: MakeClip) -> None:
    source = make_clip("clip.mkv", pts=range(100), options={"g": "30", "crf": "12"})
    with VideoReader(source) as reader:
        every = list(reader)
    with VideoReader(source) as reader:
        for i in (95, 5, 50, 31, 0):
            frame = reader.shown_at(Fraction(2 * i + 1, 50))
            assert frame.pts == every[i].pts
            np.testing.assert_array_equal(frame.pixels, every[i].pixels)


def test_a_preview_has_no_frame_twice(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("clip.mp4", pts=range(3))
    with Translator(Negative(), engine="eager") as translator:
        options = ConvertOptions(preview=9)
        assert preview_video(source, tmp_path / "s.png", translator, options, SilentReporter()) == 3


def test_a_preview_writes_its_picture_and_nothing_else(
    make_clip: MakeClip, make_preset: Callable[[str], Path], tmp_path: Path
) -> None:
    source = make_clip("clip.mp4", pts=range(10))
    make_preset("tiny")
    before = set(tmp_path.iterdir())
    result = convert(source, preset="tiny", engine="eager", preview=2)
    assert (result.output, result.num_frames) == (tmp_path / "clip_tiny_preview.png", 2)
    assert set(tmp_path.iterdir()) - before == {result.output}


def test_a_preview_goes_where_the_user_says(
    tmp_path: Path, make_clip: MakeClip, make_preset: Callable[[str], Path]
) -> None:
    make_preset("tiny")
    source = make_clip("clip.mp4", pts=range(5))
    (tmp_path / "folder").mkdir()
    for output, made in (
        ("p.png", "p.png"),
        ("out.mp4", "out_preview.png"),
        ("folder", "folder/clip_tiny_preview.png"),
    ):
        result = convert(source, tmp_path / output, preset="tiny", engine="eager", preview=2)
        assert result.output == tmp_path / made
        assert result.output.is_file()


def test_progress_counts_the_frames_that_trim_leaves(
    make_clip: MakeClip, make_preset: Callable[[str], Path]
) -> None:
    make_preset("tiny")
    source = make_clip("clip.mp4", pts=range(50))
    progress = Progress()
    for number, (trim, count) in enumerate({"1:": 25, "0.4:0.8": 10, ":": 50}.items()):
        target = source.with_name(f"out{number}.mp4")
        result = convert(source, target, preset="tiny", engine="eager", trim=trim, reporter=progress)
        assert (result.num_frames, progress.total) == (count, count)


class Progress(SilentReporter):
    """Remembers how many frames were announced."""

    total: int | None = None

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        self.total = total


@pytest.mark.parametrize("option", [{"preview": 2}, {"trim": "1:2"}])
def test_pictures_have_neither_parts_nor_previews(
    option: dict[str, str], make_preset: Callable[[str], Path], tmp_path: Path
) -> None:
    make_preset("tiny")
    (tmp_path / "a.png").write_bytes(b"whatever")
    with pytest.raises(OptionError, match="are for videos"):
        convert(tmp_path / "a.png", preset="tiny", **option)  # type: ignore[arg-type]  # one option of two


def test_the_whole_is_the_same_with_an_open_part(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", pts=range(30), audio_languages=["eng"])
    with Translator(Negative(), engine="eager") as translator:
        for name, trim in (("a.mp4", None), ("b.mp4", ":")):
            convert_video(
                source, source.with_name(name), translator, ConvertOptions(trim=trim), SilentReporter()
            )
    assert source.with_name("a.mp4").read_bytes() == source.with_name("b.mp4").read_bytes()
