"""Conversions into a pipe, which takes each frame once and for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path

from i2itool.console import Reporter
from i2itool.errors import InputError
from i2itool.frames import Damage, Frame, VideoInfo, stacked
from i2itool.juxtapose import Juxtaposition
from i2itool.options import ConvertOptions
from i2itool.profile import stage
from i2itool.smoothing import passing
from i2itool.translator import Translator
from i2itool.trim import num_frames_within, window_of
from i2itool.video.ahead import WriteBehind
from i2itool.video.input import PIPE
from i2itool.video.products import say_what_is_left
from i2itool.video.sources import open_source
from i2itool.video.y4m import Y4mWriter


def stream_video(
    source: Path, translator: Translator, options: ConvertOptions, reporter: Reporter
) -> tuple[int, Damage]:
    """Translate frames into YUV4MPEG2 on standard output; returns how many, and what was wrong with them.

    source: a video, `-` for a pipe, a pattern of numbered pictures or an animation. Raises InputError or
    OutputError.
    """
    num_frames = 0
    with open_source(source, options) as opened:
        window = window_of(options.trim, opened.start_seconds)
        say_what_is_left(source, opened, PIPE)
        beside = Juxtaposition(options.compare)
        with (
            # First of all: it takes standard output for itself, before a thread can print there.
            Y4mWriter(beside.info(opened.info), opened.coding) as writer,
            WriteBehind(writer) as sink,
            passing(
                _prepared(beside.watch(opened.frames(window)), translator, opened.info), translator, options
            ) as frames,
            ExitStack() as exits,
        ):
            reporter.start(source.name, num_frames_within(opened.info, options.trim))
            exits.callback(reporter.finish)
            for passed in frames:
                sink.write(beside.put(passed.frame))
                num_frames += 1
                reporter.advance()
            if num_frames == 0:
                raise InputError(f"no frame of {source} lies within --trim")
    return num_frames, opened.damage


def _prepared(frames: Iterator[Frame], translator: Translator, info: VideoInfo) -> Iterator[Frame]:
    """The same frames, when the first of them, which a pipe gives only once, have made the engine ready."""
    with stage("decode"):
        first = list(islice(frames, translator.batch_size))
    if first:
        translator.prepare(info.height, info.width, lambda: stacked(first), num_frames=info.num_frames)
    return chain(first, frames)
