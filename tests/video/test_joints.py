"""Stamps that go back: every picture and sound is kept, in order, and one in step with the other."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.stream import Stream

from i2itool.verification import verify

MakeClip = Callable[..., Path]
Convert = Callable[..., Path]

_TICK = Fraction(1, 1000)
# So that a short file has many of them.
_SHORT_CLUSTERS = {"cluster_time_limit": "400"}
_CLUSTER_ID, _TIME_ID = b"\x1f\x43\xb6\x75", b"\xe7"


def joined(first: Path, second: Path) -> Path:
    """Two files as `cat` joins them."""
    target = first.with_name(f"joined{first.suffix}")
    target.write_bytes(first.read_bytes() + second.read_bytes())
    return target


def recording(make_clip: MakeClip, name: str, num_frames: int = 25, **keywords: object) -> Path:
    """Picture and sound stored side by side, which begin together."""
    clip = make_clip(f"raw_{name}", pts=range(num_frames), audio_languages=["eng"], **keywords)
    target = clip.with_name(name)
    with av.open(str(clip)) as old, av.open(str(target), "w", container_options=_SHORT_CLUSTERS) as new:
        copies: dict[int, Stream] = {
            stream.index: new.add_stream_from_template(stream, opaque=True) for stream in old.streams
        }
        packets = [packet for packet in old.demux() if packet.size]
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            packet.stream = copies[packet.stream.index]
            new.mux_one(packet)
    clip.unlink()
    return target


def times(path: Path) -> dict[str, list[Fraction]]:
    """When packets of each kind are to be shown, in the order in which they are stored."""
    found: dict[str, list[Fraction]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                found.setdefault(packet.stream.type, []).append(packet.pts * packet.time_base)
    return found


def contents(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mp4"])
def test_recordings_that_were_joined_go_on_one_behind_the_other(
    suffix: str, make_clip: MakeClip, convert_as_it_is: Convert, caplog: pytest.LogCaptureFixture
) -> None:
    first = recording(make_clip, "first.ts")
    both = joined(first, recording(make_clip, "second.ts", num_frames=40))
    target = convert_as_it_is(both, f"out{suffix}")
    old, new = times(both), times(target)
    assert len(new["video"]) == 65
    assert len(new["audio"]) == len(old["audio"])
    moves = []
    for kind, count in (("video", 25), ("audio", len(contents(first)))):
        ordered = sorted(new[kind])
        assert all(0.01 < later - earlier < 0.1 for earlier, later in pairwise(ordered)), kind
        moves.append(min(new[kind][count:]) - min(old[kind][count:]))
    # In the second one, pictures and sound are as far apart as they were.
    assert moves[0] > 0.9
    assert abs(moves[0] - moves[1]) <= 2 * _TICK
    assert "joined.ts: its time jumps back, first at" in caplog.text
    assert "jumps: 1" in caplog.text
    assert verify(both, target).is_same


def test_three_recordings_of_which_one_has_no_sound_stay_in_order(
    make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    first, silent = recording(make_clip, "first.ts"), make_clip("silent.ts", pts=range(20))
    three = joined(joined(first, silent), first)
    new = times(convert_as_it_is(three))
    assert len(new["video"]) == 70
    assert sorted(new["audio"]) == new["audio"]
    # The sound of the third begins with its pictures, behind those of the second.
    third = len(new["audio"]) // 2
    assert new["audio"][third] > new["audio"][third - 1] + Fraction(1, 2)
    assert abs(new["audio"][third] - sorted(new["video"])[45]) < 0.1


@pytest.mark.parametrize("milliseconds", [300, 2500])
def test_a_matroska_file_whose_time_is_damaged_keeps_all_and_stays_in_step(
    milliseconds: int, make_clip: MakeClip, convert_as_it_is: Convert
) -> None:
    source = recording(make_clip, "clip.mkv", num_frames=75, options={"bf": "0", "preset": "ultrafast"})
    num_sounds = len(contents(source))
    set_time_of_cluster(source, 4, milliseconds)
    target = convert_as_it_is(source)
    new = times(target)
    assert (len(new["video"]), len(new["audio"])) == (75, num_sounds)
    assert len(set(new["video"])) == 75
    assert new["audio"] == sorted(new["audio"])
    assert abs(max(new["video"]) - max(new["audio"])) < 0.1
    assert verify(source, target).is_same


def set_time_of_cluster(path: Path, index: int, milliseconds: int) -> None:
    """Claim another time for a cluster, which all that is in it counts from."""
    data = bytearray(path.read_bytes())
    start = 0
    for _ in range(index + 1):
        start = data.index(_CLUSTER_ID, start) + len(_CLUSTER_ID)
    place = data.index(_TIME_ID, start)
    num_bytes = data[place + 1] & 0x7F
    data[place + 2 : place + 2 + num_bytes] = milliseconds.to_bytes(num_bytes, "big")
    path.write_bytes(data)


@pytest.mark.parametrize(("kind", "index"), [("video", 30), ("audio", 60)])
@pytest.mark.parametrize("milliseconds", [20_000, -900])
def test_a_single_packet_that_is_astray_is_put_between_its_neighbours(
    kind: str,
    index: int,
    milliseconds: int,
    make_clip: MakeClip,
    convert_as_it_is: Convert,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = recording(make_clip, "clip.mkv", num_frames=40, options={"bf": "0", "preset": "ultrafast"})
    whole = times(source)
    move_block(source, kind, index, milliseconds)
    target = convert_as_it_is(source)
    new = times(target)
    for name, old in whole.items():
        assert len(new[name]) == len(old), name
        assert all(abs(a - b) <= _TICK for a, b in zip(sorted(new[name]), old, strict=True)), name
    assert "packets whose time is far from their neighbours': 1" in caplog.text
    assert verify(source, target).is_same


def move_block(path: Path, kind: str, index: int, milliseconds: int) -> None:
    """Damage the stamp of a block, which lies before its flags and counts from that of the cluster."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(**{kind: 0}) if packet.size]
    data = bytearray(path.read_bytes())
    place = data.index(packets[index]) - 3
    stamp = int.from_bytes(data[place : place + 2], "big", signed=True) + milliseconds
    data[place : place + 2] = stamp.to_bytes(2, "big", signed=True)
    path.write_bytes(data)


@pytest.mark.parametrize("suffix", [".ts", ".mp4", ".mkv", ".avi"])
def test_sound_that_steps_back_a_little_is_moved_alone(
    suffix: str, make_clip: MakeClip, convert_as_it_is: Convert, caplog: pytest.LogCaptureFixture
) -> None:
    source = recording(make_clip, "clip.mkv", options={"bf": "0", "preset": "ultrafast"})
    sounds = contents(source)
    move_block(source, "audio", 20, -50)
    target = convert_as_it_is(source, f"out{suffix}", drop_unsupported=True)
    assert len(contents(target)) == len(sounds)
    assert len(times(target)["video"]) == 25
    assert "packets that went back in time, and were moved: " in caplog.text
    # AVI tells no times.
    assert suffix == ".avi" or verify(source, target, is_fast=True).is_same
