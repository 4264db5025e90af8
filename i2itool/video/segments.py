"""A video encoded piece by piece, so that what is finished survives whatever happens next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from i2itool.errors import OutputError
from i2itool.frames import Frame
from i2itool.video.encoding import Encoding, FrameEncoder
from i2itool.video.packets import Encoded, PacketFile, hash_file, read_packets, reorder_depth

# A crash loses at most so many frames: some minutes of a slow network. Each costs a key frame, and with
# 250, x264's own interval, hardly more of them than without.
SEGMENT_FRAMES = 240


@dataclass(frozen=True, slots=True)
class Segment:
    """A finished piece: `num_frames` frames that one encoder has made the packets of, from a key frame on.

    index: its place among the pieces, from 0.  first_pts, last_pts: of its frames, in the video's time base.
    reorder_depth: by how many places its packets are out of order.  sha256: of its file.
    """

    index: int
    num_frames: int
    first_pts: int
    last_pts: int
    reorder_depth: int
    sha256: str

    def path(self, folder: Path) -> Path:
        """Where it lies in the folder of its job."""
        return segment_path(folder, self.index)

    def is_whole(self, folder: Path) -> bool:
        """Whether its file is there and as it was written."""
        try:
            return hash_file(self.path(folder)) == self.sha256
        except OSError:
            return False


def segment_path(folder: Path, index: int) -> Path:
    """The name of a piece; the names sort in the order of time."""
    return folder / f"{index:06}.packets"


class SegmentLog(Protocol):
    """What keeps account of finished pieces. folder: where they lie.  segments: those of earlier runs."""

    folder: Path
    segments: list[Segment]

    def note(self, segment: Segment) -> None:
        """Is told of each piece once it is on the disk."""
        ...


class SegmentWriter:
    """A `FrameSink` that makes files of packets, `segment_frames` frames each; the last may be shorter.

    It goes on behind the pieces that `log` knows. When the block ends with an exception, the finished
    pieces stay and the one at hand goes.
    A piece depends on its own frames only, so pieces made by several runs are those that one run makes.
    """

    def __init__(self, log: SegmentLog, encoding: Encoding, *, segment_frames: int) -> None:
        self._log = log
        self._encoding = encoding
        self._segment_frames = segment_frames
        self._index = len(log.segments)
        self._open: _OpenSegment | None = None

    def write(self, frame: Frame) -> None:
        """Add a frame; its time stamp is kept."""
        if self._open is None:
            self._open = _OpenSegment(self._log.folder, self._index, FrameEncoder(self._encoding))
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


class _OpenSegment:
    """A piece that is being made, under a temporary name."""

    def __init__(self, folder: Path, index: int, encoder: FrameEncoder) -> None:
        self._path = segment_path(folder, index)
        self._partial = self._path.with_suffix(".part")
        self._index = index
        self._encoder = encoder
        self._file = PacketFile(self._partial)
        self._stamps: list[int] = []
        self._first_pts = self._last_pts = 0
        self.num_frames = 0

    def write(self, frame: Frame) -> None:
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
        self._file.discard()

    def _put(self, packets: Iterator[Encoded]) -> None:
        for packet in packets:
            self._stamps.append(packet.pts)
            self._file.write(packet)


def read_segments(folder: Path, segments: list[Segment]) -> Iterator[Encoded]:
    """The packets of all pieces, in the order of decoding."""
    for segment in segments:
        yield from read_packets(segment.path(folder))
