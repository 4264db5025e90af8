"""Pictures out of a file, each with its time and none missing, also where the file is damaged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.stream import Stream

from i2itool.errors import InputError
from i2itool.options import ReadOptions
from i2itool.video.clock import Clock
from i2itool.video.ends import Ends, refuse_early_end, refuse_missing_bytes
from i2itool.video.gaps import Gaps
from i2itool.video.input import (
    PIPE,
    demux,
    end_seconds,
    limit_pixels,
    open_input,
    reason,
    video_stream,
)
from i2itool.video.stamps import Shown, Stamps

# Of these each packet shows one picture; others have packets that show none, as the hidden ones of VP8.
_SHOW_EVERY_PACKET = ("h264", "hevc", "av1", "mpeg2video", "mjpeg", "prores", "ffv1", "png", "dnxhd")
_MOST_REPORTS = 10

logger = logging.getLogger("i2itool.video")


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture. pts (None: unknown) and duration: in units of the stream's time base.

    is_repeated: whether it stands in for one that cannot be decoded.  is_damaged: whether it is shown as
    far as it can be.
    """

    image: av.VideoFrame
    pts: int | None
    duration: int
    is_repeated: bool = False
    is_damaged: bool = False


class _DamageError(Exception):
    """A picture cannot be decoded, and the decoder is not set up to go on."""


class Decoder:
    """Iterates over the pictures of a file's video, in order of time; close it after use.

    container, stream: to ask about.  is_cut_off: whether the end seems to be missing, once it was met.
    With `on_error` "repeat" a picture that cannot be decoded is replaced by its neighbour, a damaged one
    taken as the decoder has mended it, and their times are logged; otherwise either raises InputError,
    naming the time.
    is_told: whether what is mended is logged as a warning.
    Raises InputError also if the file is missing, truncated or no video.
    """

    def __init__(self, path: Path, options: ReadOptions, *, is_told: bool = True) -> None:
        self._path = path
        self._level = logging.WARNING if is_told else logging.DEBUG
        self._repeats_lost = options.on_error == "repeat"
        self._max_pixels = options.max_pixels
        self._num_lost = self._num_damaged = 0
        self._has_hiccups = self.is_cut_off = False
        self._open(mends=False)
        try:
            refuse_missing_bytes(self.container, self.stream, path)
        except BaseException:
            self.container.close()
            raise

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self.container.close()

    def seek(self, tick: int) -> None:
        """Go on near a stamp of the file's own; raises an error of FFmpeg if that is impossible."""
        self._has_sought = True
        self.container.seek(tick, stream=self.stream)

    def __iter__(self) -> Iterator[Picture]:
        """Every picture once, from the beginning; to be used once."""
        num_given = 0
        try:
            for picture in self._pictures():
                num_given += 1
                yield picture
        except _DamageError as error:
            # What has come through a pipe does not come again.
            if not self._repeats_lost or self._path == PIPE:
                raise InputError(str(error)) from error.__cause__
            # Threads would lose those beside it, too, and not the same ones each time.
            self.container.close()
            self._open(mends=True)
            yield from islice(self._pictures(), num_given, None)
        if self._num_lost:
            logger.log(self._level, "%s: frames that repeat their neighbour: %d", self._path, self._num_lost)
        if self._num_damaged:
            logger.log(
                self._level,
                "%s: frames shown as far as they could be decoded: %d",
                self._path,
                self._num_damaged,
            )

    def _open(self, *, mends: bool) -> None:
        self._mends = mends
        # What is read once more has been told of.
        self._clock = Clock(self._path, is_told=not mends and self._level == logging.WARNING)
        self._has_sought = False
        self.container = open_input(self._path)
        try:
            self.stream = video_stream(self.container)
            if self.stream.codec_context is None:
                raise InputError(f"{self._path}: no decoder for its video stream")
            limit_pixels(self.stream, self._path, self._max_pixels)
        except BaseException:
            self.container.close()
            raise
        self.stream.thread_type = "NONE" if mends else "AUTO"
        self._time_base = Fraction(self.stream.time_base or Fraction(1, 1000))

    def _pictures(self) -> Iterator[Picture]:
        """Those decoded, and repeated ones where packets came to nothing, or are gone."""
        gaps = self._gaps = Gaps(self._path, self.container.format.name, self._time_base, self._clock)
        last: Picture | None = None
        for picture in self._pictures_of_packets():
            if last is not None:
                for pts in gaps.missing_before(picture.pts):
                    yield self._repeat(last, pts, "is missing")
                    gaps.show(pts)
            gaps.show(picture.pts)
            last = picture
            yield picture

    def _pictures_of_packets(self) -> Iterator[Picture]:
        """Those decoded, and where packets had stamps but came to nothing, repeated ones."""
        shown = Shown(counts_from_start=self.stream.codec_context.codec.canonical_name in _SHOW_EVERY_PACKET)
        stamps = Stamps()
        last: Picture | None = None
        for packet in self._packets():
            stamps.see(packet)
            shown.expect(packet)
            for image in self._decoded(packet, shown):
                pts = stamps.of(image, is_reordered=self.stream.codec_context.has_b_frames)
                if shown.was_missed(pts):
                    # Damaged streams come out of order; its time has been given to its neighbour.
                    continue
                picture = Picture(image, pts, image.duration or 0, is_damaged=image.is_corrupt)
                if image.is_corrupt:
                    self._report(pts, "is damaged")
                    self._num_damaged += 1
                # The first ones have no neighbour but the next.
                for missing in shown.missing_before(pts):
                    yield self._repeat(last or picture, missing, "cannot be decoded")
                shown.show(pts, image)
                last = picture
                yield picture
        if last is not None:
            for missing in shown.missing_at_end():
                yield self._repeat(last, missing, "cannot be decoded")

    def _packets(self) -> Iterator[av.Packet[Stream]]:
        """The video's packets and the flush at the end; raises InputError if the file ends too early."""
        last_seconds, time = 0.0, 0.0
        is_damaged, ends = False, Ends(self.container, self._path)
        try:
            packets = demux(self.container)
            for packet in packets if self._has_sought else self._clock.mended(packets):
                self._gaps.see(packet)
                ends.see(packet)
                last_seconds = max(last_seconds, end_seconds(packet))
                if packet.stream.index != self.stream.index:
                    continue
                if packet.size:
                    time = last_seconds
                    is_damaged = packet.is_corrupt and not self._is_broadcast(time)
                if is_damaged and not self._repeats_lost:
                    raise InputError(f"{self._path} is damaged or truncated at {time:.3f} s")
                yield packet
        except av.FFmpegError as error:
            raise InputError(f"{self._path} cannot be read after {time:.3f} s: {reason(error)}") from error
        if is_damaged:
            raise InputError(f"{self._path} is truncated: its last frame, at {time:.3f} s, is not whole")
        refuse_early_end(self.container, self._path, last_seconds)
        if complaint := ends.complaint():
            self._note_end(complaint)

    def _note_end(self, complaint: str) -> None:
        """Recordings end anywhere, so this one is taken as it is, unless that is not wanted."""
        message = f"{self._path} seems to have been cut off: {complaint}"
        if not self._repeats_lost:
            raise InputError(message)
        if not self.is_cut_off:
            logger.log(self._level, message)
        self.is_cut_off = True

    def _is_broadcast(self, time: float) -> bool:
        """Whether damage is but a hiccup of the reception, as in transport streams; the first is logged."""
        if self.container.format.name != "mpegts":
            return False
        if not self._has_hiccups:
            self._has_hiccups = True
            logger.log(self._level, "%s: data are missing, for the first time at %.3f s", self._path, time)
        return True

    def _decoded(self, packet: av.Packet[Stream], shown: Shown) -> list[av.VideoFrame]:
        try:
            return self.stream.decode(packet)
        except av.FFmpegError as error:
            if not self._mends:
                raise _DamageError(
                    f"{self._path} cannot be decoded after {self._seconds(shown.last)}: {reason(error)}"
                ) from error
            shown.is_damaged = True
            return []

    def _repeat(self, neighbour: Picture, pts: int, trouble: str) -> Picture:
        self._report(pts, trouble)
        self._num_lost += 1
        return replace(neighbour, pts=pts, is_repeated=True, is_damaged=False)

    def _report(self, pts: int | None, trouble: str) -> None:
        message = f"{self._path}: the frame at {self._seconds(pts)} {trouble}"
        if not self._mends:
            raise _DamageError(message)
        if self._num_lost + self._num_damaged < _MOST_REPORTS:
            logger.log(self._level, message)

    def _seconds(self, pts: int | None) -> str:
        return f"{float((pts or 0) * self._time_base):.3f} s"
