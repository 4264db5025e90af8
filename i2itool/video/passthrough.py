"""Everything of a file but its video: sound, subtitles, data, attachments, covers, chapters, tags."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import OutputContainer
from av.stream import AttachmentStream, DataStream, Disposition, Stream

from i2itool.errors import InputError, OutputError
from i2itool.frames import WHOLE, Window
from i2itool.video.clock import Clock, Order
from i2itool.video.containers import OLDER_LANGUAGES, alternatives, describe, losses, lost_tags
from i2itool.video.head import clipped, copy_tags, has_unusual_tags
from i2itool.video.input import demux, open_input

logger = logging.getLogger("i2itool.video")


class OtherStreams:
    """The streams of a file other than its video, copied packet by packet as time goes on.

    Reads the file on its own, just as far as the video has come: memory stays bounded.
    window: the part of the file to copy, by default all; packets are taken whole.
    lost: what the output cannot hold, in words; known once it is settled.
    """

    def __init__(
        self,
        path: Path,
        video_index: int,
        window: Window = WHOLE,
        *,
        drop_unsupported: bool = False,
    ) -> None:
        self._path = path
        self._input = open_input(path)
        self._clock, self._order = Clock(path), Order()
        self._video_index = video_index
        self._window = window
        self._drop_unsupported = drop_unsupported
        self._left_out: set[int] = set()
        self.lost: list[str] = []
        self._outputs: dict[int, Stream] = {}
        self._packets: Iterator[av.Packet[Stream]] | None = None
        self._waiting: av.Packet[Stream] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._input.close()

    @property
    def format_name(self) -> str:
        """FFmpeg's name of the input's container."""
        return self._input.format.name

    @property
    def has_unusual_tags(self) -> bool:
        """Whether the file has tags that MP4 has no place of its own for."""
        return has_unusual_tags(self._input.metadata)

    @property
    def start_ticks_per_second(self) -> int:
        """A clock in which every stream's start is a whole number of ticks; 1 if all start at 0."""
        clocks = [Fraction(stream.time_base or 1) for stream in self._input.streams if stream.start_time]
        return math.lcm(*(clock.denominator for clock in clocks))

    def settle(self, output: OutputContainer) -> None:
        """Decide what of the file goes into `output`, and put into `lost` what does not; call it first.

        Raises OutputError, naming all that the container cannot hold, unless that is to be dropped.
        """
        copied = [
            stream
            for stream in self._input.streams
            if stream.index != self._video_index and not self._is_remade(stream)
        ]
        name = output.format.name
        lost = losses(name, self._input, copied)
        words = ", ".join(loss.words for loss in lost)
        if lost and not self._drop_unsupported:
            others = " or ".join(alternatives(self._input, copied)[:2])
            hint = f"write {others} with -o; " if others else ""
            hint += "--drop-unsupported leaves it out"
            raise OutputError(f"{name} cannot hold {words} of {self._path}", hint=hint)
        self._left_out = {loss.index for loss in lost if loss.index is not None}
        kept = [stream for stream in copied if stream.index not in self._left_out]
        self.lost = [loss.words for loss in lost] + lost_tags(name, self._input, kept)

    def copy_head(self, output: OutputContainer) -> None:
        """Copy the tags of the file and its chapters; call it before the header is written."""
        copy_tags(self._input.metadata, output.metadata)
        if chapters := clipped(self._input.chapters(), self._window):
            output.set_chapters(chapters)

    def copy_video_tags(self, video: Stream) -> None:
        """Give the new video stream the tags and the disposition of the old one."""
        original = self._input.streams[self._video_index]
        copy_tags(original.metadata, video.metadata, without_statistics=True)
        video.disposition = original.disposition

    def add_to(self, output: OutputContainer, *, after_video: bool) -> None:
        """Declare the streams before the video, or those after it, so that their order stays.

        Raises OutputError, naming the stream, if the container cannot hold one.
        """
        for stream in self._input.streams:
            follows = stream.index > self._video_index
            if stream.index == self._video_index or follows != after_video or self._is_remade(stream):
                continue
            if stream.index in self._left_out:
                continue
            if "matroska" in output.format.name and stream.disposition & Disposition.attached_pic:
                self._add_cover_as_attachment(output, stream)
                continue
            self._outputs[stream.index] = self._declare(output, stream)

    def _open_packets(self) -> Iterator[av.Packet[Stream]]:
        copied = {
            index for index in self._outputs if not isinstance(self._input.streams[index], AttachmentStream)
        }
        if not copied:
            return iter(())
        # Of all streams, for a clock is theirs together.
        packets = self._clock.mended(demux(self._input))
        return (packet for packet in packets if packet.stream.index in copied)

    def mux_until(self, output: OutputContainer, seconds: Fraction | None) -> None:
        """Copy the packets up to `seconds` of the file's time; None means all that are left."""
        while (packet := self._next()) is not None:
            if seconds is not None and _time(packet) > seconds:
                self._waiting = packet
                return
            if self._is_end_of_subtitle(packet) and _is_mov(output.format.name):
                continue
            packet.stream = self._outputs[packet.stream.index]
            if packet.dts is None and packet.pts is None:
                # Cover pictures come without a time, but the muxers insist on one.
                packet.pts = packet.dts = 0
            self._order.keep(packet, output.format.flags)
            output.mux_one(packet)
        num_moved = self._order.num_moved + self._clock.num_moved
        if seconds is None and num_moved:
            logger.warning("%s: packets that went back in time, and were moved: %d", self._path, num_moved)

    def _next(self) -> av.Packet[Stream] | None:
        if self._packets is None:
            self._packets = self._open_packets()
        packet, self._waiting = self._waiting, None
        try:
            while packet is None or _is_flush(packet):
                packet = next(self._packets, None)
                if packet is None:
                    return None
                if not self._moved_into_window(packet):
                    packet = None
        except av.FFmpegError as error:
            raise InputError(f"{self._path} cannot be read to its end: {error.strerror}") from error
        return packet

    def _moved_into_window(self, packet: av.Packet[Stream]) -> bool:
        """Bring the stamps of a packet to the window's time; false if it lies outside."""
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None or packet.stream.disposition & Disposition.attached_pic:
            return True
        tick = Fraction(packet.time_base)
        shift = self._window.shift(tick)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        return self._window.holds(stamp * tick)

    def _is_end_of_subtitle(self, packet: av.Packet[Stream]) -> bool:
        """Whether this is one of the empty texts that QuickTime ends subtitles with; its muxer adds them."""
        return packet.stream.type == "subtitle" and _is_mov(self.format_name) and bytes(packet) == b"\x00\x00"

    def _is_remade(self, stream: Stream) -> bool:
        """Whether the muxer makes this stream anew, from the chapters or from the time code in the tags."""
        if not isinstance(stream, DataStream) or not _is_mov(self.format_name):
            return False
        is_chapter_text = stream.name == "bin_data" and bool(self._input.chapters())
        return "timecode" in stream.metadata or is_chapter_text

    def _declare(self, output: OutputContainer, stream: Stream) -> Stream:
        try:
            copy = output.add_stream_from_template(stream, opaque=True)
        except ValueError as error:
            raise OutputError(
                f"{output.format.name} cannot hold stream {stream.index} of {self._path} "
                f"({describe(stream)})",
                hint="choose another container with -o, for instance .mkv",
            ) from error
        copy_tags(stream.metadata, copy.metadata)
        language = stream.metadata.get("language", "")
        if output.format.name == "mov" and language in OLDER_LANGUAGES:
            copy.metadata["language"] = OLDER_LANGUAGES[language]
        copy.disposition = stream.disposition
        return copy

    def _add_cover_as_attachment(self, output: OutputContainer, stream: Stream) -> None:
        """Matroska keeps covers as attached files, not as streams."""
        with open_input(self._path) as source:
            packet = next(source.demux(source.streams[stream.index]))
            suffix = {"mjpeg": "jpg"}.get(stream.codec_context.name, stream.codec_context.name)
            mimetype = "image/jpeg" if suffix == "jpg" else f"image/{suffix}"
            name = stream.metadata.get("filename", f"cover.{suffix}")
            output.add_attachment(name, stream.metadata.get("mimetype", mimetype), bytes(packet))


def _is_mov(format_name: str) -> bool:
    """Whether FFmpeg's name of a container, of a reader or of a writer, is of QuickTime's family."""
    return bool({"mov", "mp4", "ipod", "3gp"}.intersection(format_name.split(",")))


def _is_flush(packet: av.Packet[Stream]) -> bool:
    """PyAV ends each stream with an empty packet, for decoders."""
    return packet.size == 0 and packet.dts is None


def _time(packet: av.Packet[Stream]) -> Fraction:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return Fraction(0) if stamp is None else stamp * Fraction(packet.time_base)
