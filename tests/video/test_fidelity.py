"""What must survive a conversion: times, pictures that a network leaves alone, and everything else."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.stream import Disposition

from i2itool.errors import InputError, OptionError, OutputError
from i2itool.video.reader import VideoReader

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]

VARIABLE_RATE = (0, 1, 3, 4, 9, 10, 11, 20, 21, 30)


def frame_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        return [(frame.pts or 0) * stream.time_base for frame in container.decode(stream)]


def other_packets(path: Path) -> list[list[tuple[Fraction, bytes]]]:
    """Time in seconds and bytes of the packets of each stream but the first video, in order of streams."""
    with av.open(str(path)) as container:
        packets: list[list[tuple[Fraction, bytes]]] = [[] for _ in container.streams]
        video = container.streams.video[0].index
        for packet in container.demux():
            if packet.size:
                time = (packet.pts or 0) * Fraction(packet.time_base)
                packets[packet.stream.index].append((time, bytes(packet)))
        return [stream for index, stream in enumerate(packets) if index != video]


def chapters(container: InputContainer) -> list[tuple[Fraction, Fraction, str]]:
    """Start and end in seconds, and title."""
    return [
        (chapter["start"] * tick, chapter["end"] * tick, chapter["metadata"]["title"])
        for chapter in container.chapters()
        if (tick := chapter["time_base"]) is not None
    ]


def read_pixels(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    with VideoReader(path) as reader:
        return np.stack([frame.pixels for frame in reader]).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("constant.mp4", {}),
        ("variable.mp4", {"pts": VARIABLE_RATE, "time_base": Fraction(1, 90)}),
        ("late.mp4", {"pts": range(7, 19), "time_base": Fraction(1, 30)}),
        ("late_with_sound.mp4", {"pts": range(7, 19), "audio_languages": ["eng"]}),
        ("ntsc.mov", {"time_base": Fraction(1001, 30000)}),
        ("variable.mkv", {"pts": [40 * pts for pts in VARIABLE_RATE], "time_base": Fraction(1, 1000)}),
        ("cut_by_an_edit_list.mp4", {"pts": range(-5, 12), "audio_languages": ["eng"]}),
        ("constant.ts", {"pts": range(35, 47), "audio_languages": ["eng"]}),
        ("constant.webm", {"codec": "libvpx-vp9", "options": {"crf": "30", "cpu-used": "8"}}),
        ("constant.avi", {"codec": "mpeg4", "options": {}}),
    ],
)
def test_every_frame_keeps_its_time(
    name: str, clip: dict[str, Any], make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip(name, **clip)
    times = frame_times(source)
    assert len(times) == sum(pts >= 0 for pts in clip.get("pts", range(12)))
    assert frame_times(convert_as_it_is(source)) == times


def test_another_container_moves_nothing_by_more_than_half_its_tick(
    make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    # The sound starts before 0, as AAC does.
    source = make_clip("clip.mp4", time_base=Fraction(1001, 30000), audio_languages=["eng"])
    target = convert_as_it_is(source, "out.mkv")
    old, new = frame_times(source), frame_times(target)
    (old_sound,), (new_sound,) = other_packets(source), other_packets(target)
    assert old_sound[0][0] < 0
    assert [data for _, data in new_sound] == [data for _, data in old_sound]
    old += [time for time, _ in old_sound]
    new += [time for time, _ in new_sound]
    assert max(abs(a - b) for a, b in zip(old, new, strict=True)) <= Fraction(1, 2000)


def test_the_tests_of_time_have_b_frames(make_clip: MakeClip) -> None:
    with av.open(str(make_clip("clip.mp4"))) as container:
        stamps = [packet.pts for packet in container.demux(container.streams.video[0]) if packet.size]
    assert any(later < earlier for earlier, later in pairwise(stamps) if earlier is not None and later)


def test_frames_stored_out_of_order_with_one_stamp_are_shown_in_order(
    make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip("clip.mp4", pts=VARIABLE_RATE, time_base=Fraction(1, 90))
    times = frame_times(source)
    broken = source.with_name("broken.mp4")
    with av.open(str(source)) as old, av.open(str(broken), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0], opaque=True)
        packets = [packet for packet in old.demux(old.streams.video[0]) if packet.size]
        # Each packet gets the stamp of its place in the file.
        for pts, packet in zip(sorted(packet.pts or 0 for packet in packets), packets, strict=True):
            packet.pts = packet.dts = pts
            packet.stream = stream
            new.mux_one(packet)
    assert frame_times(broken) != times
    assert frame_times(convert_as_it_is(broken)) == times


COLORS = {
    "bt601 limited": {"matrix": 6, "color_range": 1, "primaries": 6, "transfer": 6},
    "bt601 full": {"matrix": 5, "color_range": 2},
    "bt709 limited": {"matrix": 1, "color_range": 1, "primaries": 1, "transfer": 1},
    "bt709 full": {"matrix": 1, "color_range": 2, "primaries": 1},
    "bt2020": {"matrix": 9, "color_range": 1, "primaries": 9, "transfer": 14},
    "untagged": {},
    "4:4:4": {"matrix": 1, "pixel_format": "yuv444p"},
    "4:2:2, odd height": {"pixel_format": "yuv422p", "height": 47},
    "odd size": {"pixel_format": "yuv444p", "width": 63, "height": 47},
}


@pytest.mark.parametrize("clip", COLORS.values(), ids=COLORS)
def test_pictures_that_a_network_leaves_alone_come_back(
    clip: dict[str, Any], make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip("clip.mp4", **clip)
    target = convert_as_it_is(source, crf=4)

    before, after = read_pixels(source), read_pixels(target)
    assert before.shape == after.shape
    error = after - before
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 40
    assert np.abs(error.mean(axis=(0, 1, 2))).max() < 0.5
    with VideoReader(source) as old, VideoReader(target) as new:
        assert new.coding.tags.matrix == old.coding.tags.matrix
        assert new.coding.tags.primaries == old.coding.tags.primaries
        assert new.coding.tags.transfer == old.coding.tags.transfer
        assert (new.coding.tags.color_range or 1) == (old.coding.tags.color_range or 1)
        assert new.coding.pixel_format == old.coding.pixel_format


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize(("mirror", "axis"), [("columns", 2), ("rows", 1)])
def test_a_mirrored_video_is_read_as_it_is_shown(
    rotation: int, mirror: str, axis: int, make_clip: MakeClip
) -> None:
    stored = read_pixels(make_clip("stored.mp4"))
    mirrored = read_pixels(make_clip("mirrored.mp4", rotation=rotation, mirror=mirror))
    upright = np.flip(np.rot90(stored, k=rotation // 90, axes=(1, 2)), axis)
    # Two runs of x264 may differ by some levels.
    assert np.abs(mirrored - upright).mean() < 1 < np.abs(mirrored - upright[:, ::-1]).mean()


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_turned_video_is_upright_without_its_rotation(
    rotation: int, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    stored = read_pixels(make_clip("stored.mp4", aspect=Fraction(4, 3)))
    source = make_clip("turned.mp4", rotation=rotation, aspect=Fraction(4, 3))

    target = convert_as_it_is(source, crf=4)

    upright = np.rot90(stored, k=rotation // 90, axes=(1, 2))
    assert np.abs(read_pixels(target) - upright).mean() < 3
    with av.open(str(target)) as container:
        frame = next(container.decode(container.streams.video[0]))
        assert frame.rotation == 0
        aspect = container.streams.video[0].sample_aspect_ratio
    assert aspect == (Fraction(4, 3) if rotation == 180 else Fraction(3, 4))


RICH = {
    "audio_languages": ["eng", "fra"],
    "subtitles": [(0, 200, "hello"), (240, 100, "world")],
    "chapters": [(0, 200, "one"), (200, 480, "two")],
    "metadata": {"title": "A title", "comment": "A comment"},
}


def without_encoder(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.lower() != "encoder"}


@pytest.mark.parametrize("clip", [("rich.mkv", {"attachment": b"a font"}), ("rich.mp4", {"has_cover": True})])
def test_everything_but_the_video_is_copied(
    clip: tuple[str, dict[str, Any]], make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip(clip[0], **RICH, **clip[1])
    target = convert_as_it_is(source)

    assert other_packets(target) == other_packets(source)
    assert [len(packets) > 0 for packets in other_packets(target)[:3]] == [True] * 3
    with av.open(str(source)) as old, av.open(str(target)) as new:
        # What wrote the file is for the writer to say.
        assert without_encoder(new.metadata) == without_encoder(old.metadata)
        assert new.metadata["title"] == "A title"
        assert len(chapters(new)) == 2
        assert chapters(new) == chapters(old)
        assert [stream.type for stream in new.streams] == [stream.type for stream in old.streams]
        for before, after in zip(old.streams, new.streams, strict=True):
            assert after.language == before.language
            assert after.disposition == before.disposition


def test_the_attachment_of_a_matroska_file_is_copied(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    target = convert_as_it_is(make_clip("clip.mkv", attachment=b"a font"))
    with av.open(str(target)) as container:
        attachment = container.streams.attachments[0]
        assert (attachment.data, attachment.mimetype) == (b"a font", "application/x-truetype-font")


def test_a_cover_goes_from_mp4_to_matroska(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("clip.mp4", has_cover=True)
    (cover,) = other_packets(source)
    target = convert_as_it_is(source, "out.mkv")
    with av.open(str(target)) as container:
        assert container.streams[1].disposition & Disposition.attached_pic
    assert [data for _, data in other_packets(target)[0]] == [data for _, data in cover]


def test_tags_that_mp4_has_no_place_for_are_kept(make_clip: MakeClip, convert_as_it_is: Convert) -> None:
    source = make_clip("clip.mkv", metadata={"title": "A title", "CAMERA": "A camera"})
    with av.open(str(convert_as_it_is(source, "out.mp4"))) as container:
        assert container.metadata["title"] == "A title"
        assert container.metadata["CAMERA"] == "A camera"


def test_a_stream_that_the_container_cannot_hold_is_named(
    make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip("clip.mkv", audio_languages=["eng"], subtitles=[(0, 100, "hello")])
    with pytest.raises(OutputError, match=r"cannot hold stream 2 .*subtitle, srt.*\.mkv"):
        convert_as_it_is(source, "out.mp4")
    assert [path.name for path in source.parent.iterdir()] == ["clip.mkv"]


@pytest.mark.parametrize(
    ("codec", "cause"),
    [("libx999", "no such encoder"), ("aac", "does not encode video"), ("libx264", "cannot hold")],
)
def test_an_encoder_that_does_not_fit_is_refused(
    codec: str, cause: str, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = make_clip("clip.avi", codec="mpeg4", options={})
    with pytest.raises((OutputError, OptionError), match=cause):
        convert_as_it_is(source, "out.webm", codec=codec)
    assert [path.name for path in source.parent.iterdir()] == ["clip.avi"]


def test_hdr_is_refused_with_a_remedy(make_clip: MakeClip) -> None:
    source = make_clip("hdr.mp4", matrix=9, primaries=9, transfer=16)
    with pytest.raises(InputError, match=r"is HDR \(PQ\).*--tonemap.*--assume-sdr"):
        VideoReader(source)
