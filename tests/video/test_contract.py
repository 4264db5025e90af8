"""Every container, every codec, every pair of containers: nothing is lost but what is named."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from i2itool.errors import OutputError
from i2itool.translator import Translator
from tests.video.contract import Case, convert, differences, identity, other_container, read, same_container

# A loss is named by the kind of its stream; these are the words for the others.
WORDS = {"video": "cover picture", "attachments": "attachment", "chapters": "chapters", "title": "tags"}


@pytest.fixture(scope="module")
def translator() -> Iterator[Translator]:
    with identity() as opened:
        yield opened


@pytest.mark.parametrize("case", same_container(), ids=lambda case: case.name)
def test_a_container_keeps_all_that_it_holds_with_every_codec(
    case: Case, tmp_path: Path, translator: Translator
) -> None:
    source, target = convert(case, tmp_path, translator)
    before, after = read(source), read(target)
    assert differences(before, after) == {}
    assert after.times == before.times
    assert [track.disposition for track in after.tracks] == [track.disposition for track in before.tracks]
    assert after.codec == case.codec


@pytest.mark.parametrize("case", other_container(), ids=lambda case: case.name)
def test_another_container_loses_only_what_is_named(
    case: Case, tmp_path: Path, translator: Translator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        source, target = convert(case, tmp_path, translator, drop_unsupported=True)
    before, after = read(source), read(target)
    lost = differences(before, after)
    for fact in lost:
        assert WORDS.get(fact, fact) in caplog.text
    assert not {"frames", "times"} & lost.keys()
    named = len(re.findall(r"cannot hold (?!the )", caplog.text))
    kept = len(after.tracks) + len(after.attachments) + bool(after.chapters)
    assert named + kept == len(before.tracks) + len(before.attachments) + bool(before.chapters)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (
            ".mkv",
            ".mp4",
            r"stream 3 \(subtitle, srt\), stream 4 \(attachment font.ttf\) .*write \.mkv with -o",
        ),
        (".mp4", ".mkv", r"stream 3 \(subtitle, mov_text\) .*write \.mp4 with -o"),
        (".mp4", ".mov", r"stream 5 \(cover picture, mjpeg\)"),
        (".mov", ".ts", r"stream 3 \(subtitle, mov_text\), 2 chapters"),
        (".webm", ".mov", r"\(audio, opus\)"),
    ],
)
def test_without_leave_nothing_is_dropped(
    source: str, target: str, words: str, tmp_path: Path, translator: Translator
) -> None:
    with pytest.raises(OutputError, match=words):
        convert(Case(source, target, None), tmp_path, translator)
    assert [path.name for path in tmp_path.iterdir()] == [f"source{source}"]


def test_data_of_a_transport_stream_stay_in_one(
    make_clip: Callable[..., Path], convert_as_it_is: Callable[..., Path]
) -> None:
    plain = make_clip("plain.ts", pts=range(40, 46))
    source = plain.with_name("source.ts")
    with av.open(str(plain)) as old, av.open(str(source), "w") as new:
        video = new.add_stream_from_template(old.streams.video[0], opaque=True)
        data = new.add_data_stream("klv")
        for packet in old.demux(old.streams.video[0]):
            if packet.size:
                packet.stream = video
                new.mux_one(packet)
        note = av.Packet(b"a note")
        note.stream, note.time_base, note.pts, note.dts = data, Fraction(1, 90000), 150_000, 150_000
        new.mux_one(note)

    def data_packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(container.streams.data[0]) if packet.size]

    assert data_packets(source) == [b"a note"]
    assert data_packets(convert_as_it_is(source, "out.ts")) == [b"a note"]
    with pytest.raises(OutputError, match=r"cannot hold stream 1 \(data, .*write \.ts with -o"):
        convert_as_it_is(source, "out.mp4")


def test_a_lost_time_code_is_named(
    make_clip: Callable[..., Path], convert_as_it_is: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("clip.mov", metadata={"timecode": "01:00:00:00"})
    with av.open(str(convert_as_it_is(source, "out.mov"))) as container:
        assert container.streams.video[0].metadata["timecode"] == "01:00:00:00"
    assert "time code" not in caplog.text
    convert_as_it_is(source, "out.ts")
    assert "out.ts cannot hold the time code" in caplog.text
