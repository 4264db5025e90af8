"""What `i2itool verify` must see: one altered thing, and that thing alone; and nothing in a faithful copy."""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.stream import AttachmentStream, Disposition, Stream
from click.testing import CliRunner

from i2itool.cli import main
from i2itool.conversion import convert
from i2itool.errors import InputError
from i2itool.verification import Verification, verify
from i2itool.video.comparison import compare_times
from i2itool.video.tally import Times

MakeClip = Callable[..., Path]
Alter = Callable[[int, "av.Packet[Stream]"], "av.Packet[Stream] | None"]

MILLISECOND = Fraction(1, 1000)
STAMPS = tuple(range(0, 480, 40))
MKV: dict[str, Any] = {
    "pts": STAMPS,
    "time_base": MILLISECOND,
    "audio_languages": ["eng", "fra"],
    "subtitles": [(0, 200, "hello"), (240, 100, "world")],
    "chapters": [(0, 200, "one"), (200, 480, "two")],
    "metadata": {"title": "A title", "comment": "A comment"},
    "attachment": b"a font",
    "matrix": 6,
    "color_range": 1,
    "primaries": 6,
    "transfer": 6,
    "aspect": Fraction(4, 3),
}
MP4: dict[str, Any] = {
    "audio_languages": ["eng"],
    "subtitles": MKV["subtitles"],
    "chapters": MKV["chapters"],
    "metadata": MKV["metadata"],
    "has_cover": True,
}


def differing(verification: Verification) -> set[str]:
    return {check.name for check in verification.checks if check.verdict == "differs"}


def remux(
    source: Path,
    name: str,
    *,
    alter: Alter = lambda number, packet: packet,
    stream_index: int | None = None,
    without: Sequence[int] = (),
    dispositions: dict[int, Disposition] | None = None,
) -> Path:
    """Copy all packets; `alter` sees those of the stream `stream_index`, each with its number."""
    target = source.with_name(name)
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        new.metadata.update(old.metadata)
        new.set_chapters(old.chapters())
        # The track in which QuickTime repeats its chapters is made anew.
        kept = [item for item in old.streams if item.index not in without and item.type != "data"]
        copies = {}
        for item in kept:
            copies[item.index] = new.add_stream_from_template(item, opaque=True)
            copies[item.index].metadata.update(item.metadata)
            copies[item.index].disposition = (dispositions or {}).get(item.index, item.disposition)
        number = 0
        for packet in old.demux(*(item for item in kept if not isinstance(item, AttachmentStream))):
            index = packet.stream.index
            if packet.size == 0 or (bytes(packet) == b"\0\0" and packet.stream.type == "subtitle"):
                continue
            altered: av.Packet[Stream] | None = packet
            if index == stream_index:
                altered, number = alter(number, packet), number + 1
            if altered is not None:
                if altered.pts is None:
                    altered.pts = altered.dts = 0
                altered.stream = copies[index]
                new.mux_one(altered)
    return target


# What is the same


@pytest.mark.parametrize(("name", "clip"), [("clip.mkv", MKV), ("clip.mp4", MP4)])
@pytest.mark.parametrize("is_fast", [False, True])
def test_a_faithful_remux_passes(name: str, clip: dict[str, Any], is_fast: bool, make_clip: MakeClip) -> None:
    source = make_clip(name, **clip)
    verification = verify(source, remux(source, f"copy_{name}"), is_fast=is_fast)
    assert differing(verification) == set()
    assert verification.is_same
    names = {check.name for check in verification.checks}
    assert {"frames", "A/V offset", "audio 1: SHA-256", "subtitle 1: times", "chapters"} <= names


def test_times_that_a_container_rounds_are_the_same(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", time_base=Fraction(1001, 30000), audio_languages=["eng"], audio_start=1024)
    verification = verify(source, remux(source, "copy.mkv"))
    assert differing(verification) == set()


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("constant.mp4", MP4),
        ("variable.mp4", {"pts": (0, 1, 3, 4, 9, 10, 11, 20), "time_base": Fraction(1, 90)}),
        ("late.mov", {"pts": range(7, 19), "audio_languages": ["eng"]}),
        ("rich.mkv", MKV),
        ("turned.mp4", {"rotation": 90, "aspect": Fraction(4, 3)}),
        ("constant.ts", {"pts": range(35, 47), "audio_languages": ["eng"], "audio_start": 67200}),
        ("constant.webm", {"codec": "libvpx-vp9", "options": {"crf": "30", "cpu-used": "8"}}),
        ("transparent.webm", {"codec": "libvpx-vp9", "pixel_format": "yuva420p", "options": {}}),
    ],
)
def test_a_conversion_of_ours_passes(
    name: str, clip: dict[str, Any], make_clip: MakeClip, make_preset: Callable[[str], Path]
) -> None:
    make_preset("tiny")
    source = make_clip(name, **clip)
    converted = convert(source, preset="tiny", engine="eager")
    assert differing(verify(source, converted.output)) == set()


@pytest.mark.parametrize("name", ["frame_%05d.png", "-"])
def test_what_is_no_file_cannot_be_verified(name: str, make_clip: MakeClip) -> None:
    with pytest.raises(InputError, match="numbered pictures and pipes cannot be verified"):
        verify(make_clip("clip.mp4"), name)


def test_counting_packets_gives_what_decoding_gives(make_clip: MakeClip) -> None:
    source = make_clip("clip.mkv", **MKV)
    other = make_clip("other.mkv", **MKV | {"pts": [*STAMPS[:5], *STAMPS[6:]]})
    assert verify(source, other, is_fast=True).checks == verify(source, other).checks


def test_an_untagged_video_may_get_the_tags_that_players_assume(make_clip: MakeClip) -> None:
    untagged = make_clip("clip.mp4")
    tagged = make_clip("tagged.mp4", matrix=6, color_range=1, primaries=6, transfer=6)
    assert differing(verify(untagged, tagged)) == set()
    others = make_clip("others.mp4", matrix=1, color_range=2, primaries=9, transfer=4)
    assert differing(verify(untagged, others)) == {
        *("colour matrix", "colour range", "colour primaries", "transfer"),
    }


@pytest.mark.parametrize(("created", "names"), [("1970-01-01", set()), ("2020-02-02", {"file: tags"})])
def test_a_creation_time_counts_if_one_was_set(created: str, names: set[str], make_clip: MakeClip) -> None:
    source = make_clip("clip.mkv", metadata={"creation_time": f"{created}T00:00:00.000000Z"})
    # The tracks of the copy are given the time of the file, too.
    copy = remux(source, "copy.mp4")
    assert differing(verify(source, copy)) == set()
    assert differing(verify(source, make_clip("other.mkv"))) == names


# What is not


@pytest.mark.parametrize(
    ("alteration", "names"),
    [
        ({"pts": [*STAMPS[:5], *STAMPS[6:]]}, {"frames", "frame times"}),
        ({"pts": [*STAMPS[:6], 241, *STAMPS[7:]]}, {"frame times"}),
        ({"audio_start": 480}, {"A/V offset", "audio 1: times", "audio 2: times"}),
        ({"audio_languages": ["eng", "deu"]}, {"audio 2: language"}),
        ({"chapters": MKV["chapters"][:1]}, {"chapters"}),
        ({"chapters": [(0, 200, "one"), (200, 480, "three")]}, {"chapters"}),
        ({"chapters": [(0, 199, "one"), (200, 480, "two")]}, {"chapters"}),
        ({"subtitles": [(0, 200, "hello"), (240, 101, "world")]}, {"subtitle 1: times"}),
        ({"subtitles": [(0, 200, "hello"), (240, 100, "World")]}, {"subtitle 1: SHA-256"}),
        ({"attachment": b"A font"}, {"attachment 1: SHA-256"}),
        ({"metadata": {"title": "A title"}}, {"file: tags"}),
        ({"matrix": 1}, {"colour matrix"}),
        ({"color_range": 2}, {"colour range"}),
        ({"primaries": 1}, {"colour primaries"}),
        ({"transfer": 4}, {"transfer"}),
        ({"matrix": 2}, {"colour matrix"}),
        ({"aspect": Fraction(1)}, {"pixel aspect"}),
        ({"width": 66, "aspect": Fraction(4, 3)}, {"size"}),
    ],
    ids=str,
)
def test_what_is_altered_differs_and_nothing_else(
    alteration: dict[str, Any], names: set[str], make_clip: MakeClip
) -> None:
    source, other = make_clip("clip.mkv", **MKV), make_clip("other.mkv", **MKV | alteration)
    assert differing(verify(source, other)) == names
    assert differing(verify(other, source)) >= names - {"colour matrix"}


def changed_byte(number: int, packet: av.Packet[Stream]) -> av.Packet[Stream]:
    """The third packet with one bit turned, everything else as it was."""
    if number != 2:
        return packet
    data = bytearray(bytes(packet))
    data[len(data) // 2] ^= 1
    copy: av.Packet[Stream] = av.Packet(bytes(data))
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
    return copy


def later_by_a_tick(number: int, packet: av.Packet[Stream]) -> av.Packet[Stream]:
    if number == 2:
        packet.pts, packet.dts = (packet.pts or 0) + 1, (packet.dts or 0) + 1
    return packet


@pytest.mark.parametrize(
    ("keywords", "names"),
    [
        ({"stream_index": 1, "alter": changed_byte}, {"audio 1: SHA-256"}),
        ({"stream_index": 2, "alter": later_by_a_tick}, {"audio 2: times"}),
        (
            {"stream_index": 1, "alter": lambda number, packet: None if number == 5 else packet},
            {"audio 1: packets", "audio 1: times", "audio 1: SHA-256"},
        ),
        (
            {"dispositions": {1: Disposition.default | Disposition.hearing_impaired}},
            {"audio 1: dispositions"},
        ),
        ({"dispositions": {2: Disposition.default}}, {"audio 1: dispositions", "audio 2: dispositions"}),
        ({"dispositions": {3: Disposition.forced}}, {"subtitle 1: dispositions"}),
        ({"without": [1]}, {"audio 1: stream"}),
        ({"without": [3]}, {"subtitle 1: stream"}),
        ({"without": [4]}, {"attachment 1: stream"}),
    ],
    ids=str,
)
def test_an_altered_stream_differs_and_no_other(
    keywords: dict[str, Any], names: set[str], make_clip: MakeClip
) -> None:
    source = make_clip("clip.mkv", **MKV)
    assert differing(verify(source, remux(source, "other.mkv", **keywords))) == names


def test_an_altered_cover_differs(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", **MP4)
    with av.open(str(source)) as container:
        (cover,) = (item.index for item in container.streams if item.disposition & Disposition.attached_pic)

    def flipped(number: int, packet: av.Packet[Stream]) -> av.Packet[Stream]:
        return changed_byte(2, packet)

    target = remux(source, "other.mp4", stream_index=cover, alter=flipped)
    assert differing(verify(source, target)) == {"cover 1: SHA-256"}


def test_the_duration_of_the_last_frame_counts(make_clip: MakeClip) -> None:
    options = {"bf": "0", "preset": "veryfast"}
    source = make_clip("clip.mp4", options=options)

    def longer(number: int, packet: av.Packet[Stream]) -> av.Packet[Stream]:
        packet.duration = (packet.duration or 0) * (3 if number == 11 else 1)
        return packet

    target = remux(source, "other.mp4", stream_index=0, alter=longer)
    assert differing(verify(source, target)) == {"duration"}


def test_a_video_on_its_side_differs(make_clip: MakeClip) -> None:
    upright, turned = make_clip("clip.mp4"), make_clip("turned.mp4", rotation=90)
    assert "size" in differing(verify(upright, turned))


def test_one_of_many_times_is_named() -> None:
    before = Times(array("q", range(0, 90_000, 3003)), Fraction(1, 90_000))
    rounded = [round(tick / 90) for tick in before.ticks]
    after = Times(array("q", rounded), MILLISECOND)
    assert compare_times("times", before, after, within=MILLISECOND / 2).verdict == "ok"
    after.ticks[20] += 1
    check = compare_times("times", before, after, within=MILLISECOND / 2)
    assert check.verdict == "differs"
    assert check.found == "1 differ, first 0.667333 s -> 0.668000 s"


@pytest.mark.parametrize("place", [0, 13, 29])
def test_one_missing_time_spoils_no_other(place: int) -> None:
    before = Times(array("q", range(30)), MILLISECOND)
    after = Times(array("q", [tick for tick in range(30) if tick != place]), MILLISECOND)
    for old, new in ((before, after), (after, before)):
        assert compare_times("times", old, new, within=MILLISECOND / 2).found.startswith("1 differ")


# Pictures


def test_pictures_are_compared_by_size(tmp_path: Path) -> None:
    for name, width in (("a.png", 8), ("b.jpg", 8), ("c.png", 9)):
        cv2.imwrite(str(tmp_path / name), np.zeros((6, width, 3), np.uint8))
    assert verify(tmp_path / "a.png", tmp_path / "b.jpg").is_same
    assert differing(verify(tmp_path / "a.png", tmp_path / "c.png")) == {"size"}


# Bad files


@pytest.mark.parametrize(
    "other", ["absent.mp4", "text.mp4", "empty.mkv", "folder", "picture.png", "list.m3u8"]
)
def test_what_is_no_video_is_an_input_error(other: str, make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("clip.mp4")
    (tmp_path / "text.mp4").write_text("some text\n" * 500)
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n")
    for pair in ((clip, tmp_path / other), (tmp_path / other, clip)):
        with pytest.raises(InputError, match=other.replace(".", r"\.")):
            verify(*pair)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_a_damaged_file_is_an_input_error_or_differs(name: str, make_clip: MakeClip) -> None:
    source = make_clip(name, pts=range(35, 47), audio_languages=["eng"])
    data = source.read_bytes()
    numbers = random.Random(name)
    for kept in (0.05, 0.3, 0.6, 0.9, 1, 1, 1, 1):
        damaged = bytearray(data[: int(len(data) * kept)])
        for _ in range(12 if kept == 1 else 0):
            damaged[numbers.randrange(len(damaged))] ^= 1 << numbers.randrange(8)
        target = source.with_name(f"damaged_{name}")
        target.write_bytes(damaged)
        try:
            verification = verify(source, target)
        except InputError:
            continue
        # A turned bit in the pictures alone may be concealed by the decoder.
        assert kept == 1 or not verification.is_same


# The command


def test_the_command_says_by_its_exit_code_what_its_table_says(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("clip.mkv", **MKV)
    other = make_clip("other.mkv", **MKV | {"audio_start": 480})
    same = CliRunner().invoke(main, ["verify", "-q", str(source), str(source)])
    assert same.exit_code == 0
    assert "differs" not in same.stdout
    different = CliRunner().invoke(main, ["verify", "-q", "--fast", str(source), str(other)])
    assert different.exit_code == 1
    (line,) = (line for line in different.stdout.splitlines() if line.startswith("A/V offset"))
    assert line.split() == ["A/V", "offset", "differs", "-0.021000", "s", "-0.011000", "s"]
    unreadable = CliRunner().invoke(main, ["verify", "-q", str(source), str(tmp_path / "absent.mkv")])
    assert unreadable.exit_code == 3
    assert unreadable.stderr.startswith("error: ")
    assert "Traceback" not in unreadable.output


def test_the_command_prints_one_json_object(make_clip: MakeClip) -> None:
    source = make_clip("clip.mkv", **MKV)
    other = make_clip("other.mkv", **MKV | {"matrix": 1})
    result = CliRunner().invoke(main, ["verify", "-q", "--json", str(source), str(other)])
    facts = json.loads(result.stdout)
    assert (facts["input"], facts["output"], facts["is_same"]) == (str(source), str(other), False)
    assert [check for check in facts["checks"] if check["verdict"] == "differs"] == [
        {"name": "colour matrix", "expected": "6", "found": "1", "verdict": "differs"}
    ]
