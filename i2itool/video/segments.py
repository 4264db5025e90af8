"""A video made piece by piece, so that what is finished survives whatever happens next."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from i2itool.errors import OutputError
from i2itool.frames import Frame
from i2itool.video.encoding import FrameEncoder
from i2itool.video.packets import Encoded, PacketFile, hash_file, read_packets, reorder_depth

# A crash loses at most so many frames: some minutes of a slow network. Each costs a key frame, and with
# 250, x264's own interval, hardly more of them than without.
SEGMENT_FRAMES = 240


@dataclass(frozen=True, slots=True)
class Segment:
    """A finished piece: `num_frames` frames, as the packets of one encoder or as a folder of pictures.

    index: its place among the pieces, from 0.  first_pts, last_pts: of its frames, in the video's time base.
    reorder_depth: by how many places its packets are out of order.  sha256: of its file, or of all its files.
    kind: "packets" or "pictures".  state_sha256: of the file that holds what the next piece depends on; empty
    if that is nothing.
    """

    index: int
    num_frames: int
    first_pts: int
    last_pts: int
    reorder_depth: int
    sha256: str
    kind: str = "packets"
    state_sha256: str = ""

    def path(self, folder: Path) -> Path:
        """Where it lies in the folder of its job."""
        return segment_path(folder, self.index, self.kind)

    def is_whole(self, folder: Path) -> bool:
        """Whether what it consists of is there and as it was written."""
        try:
            return hash_piece(self.path(folder)) == self.sha256
        except OSError:
            return False

    def state_path(self, folder: Path) -> Path:
        """Where what the next piece depends on lies in the folder of its job."""
        return segment_path(folder, self.index, "npz")

    def can_be_followed(self, folder: Path) -> bool:
        """Whether what the next piece depends on is there and as it was written."""
        try:
            return not self.state_sha256 or hash_file(self.state_path(folder)) == self.state_sha256
        except OSError:
            return False


def segment_path(folder: Path, index: int, kind: str) -> Path:
    """The name of a piece; the names sort in the order of time."""
    return folder / f"{index:06}.{kind}"


def hash_piece(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files and their names; raises OSError if it cannot be read."""
    if not path.is_dir():
        return hash_file(path)
    names = "".join(f"{hash_file(file)} {file.name}\n" for file in sorted(path.iterdir()))
    return hashlib.sha256(names.encode()).hexdigest()


class SegmentLog(Protocol):
    """What keeps account of finished pieces. folder: where they lie.  segments: those of earlier runs."""

    folder: Path
    segments: list[Segment]

    def note(self, segment: Segment) -> None:
        """Is told of each piece once it is on the disk."""
        ...


class Piece(Protocol):
    """A piece that is being made. num_frames: those that it has."""

    num_frames: int

    def write(self, frame: Frame) -> None:
        """Add a frame; its time stamp is kept."""
        ...

    def finish(self) -> Segment:
        """Bring it to the disk, under its name."""
        ...

    def discard(self) -> None:
        """Leave nothing behind."""
        ...


OpenPiece = Callable[[Path, int], Piece]
"""Begins the piece of a folder and an index."""


class SegmentWriter:
    """A `FrameSink` that makes pieces of `segment_frames` frames each; the last may be shorter.

    It goes on behind the pieces that `log` knows. When the block ends with an exception, the finished
    pieces stay and the one at hand goes.
    A piece depends on its own frames only, so pieces made by several runs are those that one run makes.
    """

    def __init__(self, log: SegmentLog, open_piece: OpenPiece, *, segment_frames: int) -> None:
        self._log = log
        self._open_piece = open_piece
        self._segment_frames = segment_frames
        self._index = len(log.segments)
        self._open: Piece | None = None

    def write(self, frame: Frame) -> None:
        """Add a frame; its time stamp is kept."""
        if self._open is None:
            self._open = self._open_piece(self._log.folder, self._index)
        self._open.write(frame)
        if self._open.num_frames == self._segment_frames:
            self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is None:
            return
        if kind is None:
            self._finish()
        else:
            self._open.discard()

    def _finish(self) -> None:
        assert self._open is not None
        try:
            segment = self._open.finish()
        except BaseException:
            self._open.discard()
            raise
        self._open = None
        self._index += 1
        self._log.note(segment)


class PacketPiece:
    """Packets of one encoder, under a temporary name until they are finished; a `Piece`."""

    def __init__(self, folder: Path, index: int, encoder: FrameEncoder) -> None:
        self._path = segment_path(folder, index, "packets")
        self._partial = self._path.with_suffix(".part")
        self._index = index
        self._encoder = encoder
        self._file = PacketFile(self._partial)
        self._stamps: list[int] = []
        self._first_pts = self._last_pts = 0
        self.num_frames = 0

    def write(self, frame: Frame) -> None:
        """Encode a frame."""
        if self.num_frames == 0:
            self._first_pts = frame.pts
        self._last_pts = frame.pts
        self.num_frames += 1
        self._put(self._encoder.encode(frame))

    def finish(self) -> Segment:
        """Take the last packets out of the encoder, and give the file its name."""
        self._put(self._encoder.finish())
        self._file.finish()
        if len(self._stamps) != self.num_frames:
            raise OutputError(
                f"the encoder made {len(self._stamps)} packets of {self.num_frames} frames",
                hint="choose another --codec",
            )
        try:
            self._partial.replace(self._path)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error
        return Segment(
            index=self._index,
            num_frames=self.num_frames,
            first_pts=self._first_pts,
            last_pts=self._last_pts,
            reorder_depth=reorder_depth(self._stamps),
            sha256=self._file.sha256,
        )

    def discard(self) -> None:
        """Remove the file."""
        self._file.discard()

    def _put(self, packets: Iterator[Encoded]) -> None:
        for packet in packets:
            self._stamps.append(packet.pts)
            self._file.write(packet)


def read_segments(folder: Path, segments: list[Segment]) -> Iterator[Encoded]:
    """The packets of all pieces, in the order of decoding."""
    for segment in segments:
        yield from read_packets(segment.path(folder))
