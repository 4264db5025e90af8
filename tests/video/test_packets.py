"""Packets on the disk and in order."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from i2itool.errors import OutputError
from i2itool.video.packets import (
    Encoded,
    PacketFile,
    hash_file,
    read_packets,
    reorder_depth,
    with_decode_stamps,
)


def packets_at(stamps: list[int]) -> list[Encoded]:
    return [Encoded(bytes([i % 256] * i), pts, 2, i == 0) for i, pts in enumerate(stamps)]


def shuffled(num_frames: int, most: int, seed: int) -> list[int]:
    """Stamps of uneven distances, no further than some places from their order."""
    dice = np.random.default_rng(seed)
    stamps = np.cumsum(dice.integers(1, 50, num_frames)) - 100
    order = np.argsort(np.arange(num_frames) + dice.uniform(0, most, num_frames))
    return [int(stamps[i]) for i in order]


@pytest.mark.parametrize("most", [1, 2, 3, 6])
@pytest.mark.parametrize("num_frames", [1, 2, 5, 40])
@pytest.mark.parametrize("seed", range(5))
def test_stamps_of_decoding_rise_and_never_exceed_those_of_showing(
    most: int, num_frames: int, seed: int
) -> None:
    # Two pieces, one behind the other, each with a reordering of its own.
    first = shuffled(num_frames, most, seed)
    second = [max(first) + 101 + pts for pts in shuffled(num_frames, 1 + most // 2, seed + 100)]
    depth = max(reorder_depth(first), reorder_depth(second))
    packets = packets_at(first + second)

    stamped = list(with_decode_stamps(packets, depth))

    assert [packet for packet, _ in stamped] == packets
    stamps = [dts for _, dts in stamped]
    assert all(a < b for a, b in pairwise(stamps))
    assert all(dts <= packet.pts for packet, dts in stamped)
    assert stamps[depth:] == sorted(packet.pts for packet in packets)[: len(packets) - depth]


def test_packets_in_order_are_decoded_when_they_are_shown() -> None:
    packets = packets_at([-5, 0, 7, 8, 100])
    assert reorder_depth([packet.pts for packet in packets]) == 0
    assert [dts for _, dts in with_decode_stamps(packets, 0)] == [-5, 0, 7, 8, 100]


def test_b_frames_come_a_frame_early() -> None:
    assert reorder_depth([0, 30, 10, 20, 60, 40, 50]) == 1
    stamps = [dts for _, dts in with_decode_stamps(packets_at([0, 30, 10, 20, 60, 40, 50]), 1)]
    assert stamps == [-10, 0, 10, 20, 30, 40, 50]


def test_a_file_gives_its_packets_back(tmp_path: Path) -> None:
    packets = packets_at([2**40, -(2**40), 0, 3])
    file = PacketFile(tmp_path / "a.packets")
    for packet in packets:
        file.write(packet)
    file.finish()
    assert list(read_packets(tmp_path / "a.packets")) == packets
    assert hash_file(tmp_path / "a.packets") == file.sha256


@pytest.mark.parametrize("missing", [1, 3, 10, 25])
def test_a_file_that_ends_early_is_refused(missing: int, tmp_path: Path) -> None:
    path = tmp_path / "a.packets"
    file = PacketFile(path)
    for packet in packets_at([0, 1, 2, 3]):
        file.write(packet)
    file.finish()
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(OutputError, match=r"truncated"):
        list(read_packets(path))


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.packets").write_bytes(b"something else, of some length")
    with pytest.raises(OutputError, match="not a file of packets"):
        list(read_packets(tmp_path / "a.packets"))


def test_what_is_discarded_is_gone(tmp_path: Path) -> None:
    file = PacketFile(tmp_path / "a.packets")
    file.write(packets_at([0])[0])
    file.discard()
    assert list(tmp_path.iterdir()) == []
