"""The pipeline: a video, a picture or a folder of pictures -> network -> the same kind of thing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from i2itool.console import Reporter, SilentReporter
from i2itool.errors import InputError, OutputError
from i2itool.frames import Pixels, Window, batches
from i2itool.options import ConvertOptions, Direction
from i2itool.pictures import is_picture, list_pictures, read_picture, write_picture
from i2itool.preset import find_preset
from i2itool.translator import Translator
from i2itool.trim import parse_trim
from i2itool.video.ahead import ReadAhead, WriteBehind
from i2itool.video.encoding import Encoding
from i2itool.video.job import Job, job_identity, open_job
from i2itool.video.reader import VideoReader
from i2itool.video.segments import SEGMENT_FRAMES, SegmentWriter, read_segments
from i2itool.video.writer import VideoFile
from i2itool.weights import load_network


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion has made.

    output: the file, or the folder of pictures.  num_frames: frames or pictures translated.
    seconds: wall time, the loading of the network included.
    """

    input: Path
    output: Path
    num_frames: int
    seconds: float


class ConvertKeywords(TypedDict, total=False):
    """The fields of `ConvertOptions`, as keywords of `convert`."""

    direction: Direction
    engine: str
    device: str
    batch_size: int
    codec: str | None
    crf: int
    bitrate: str | None
    encoder_preset: str | None
    pixel_format: str | None
    encoder_options: tuple[str, ...]
    drop_unsupported: bool
    trim: str | None
    preview: int | None
    overwrite: bool
    restart: bool


def convert(
    input: str | Path,
    output: str | Path | None = None,
    *,
    preset: str,
    reporter: Reporter | None = None,
    **options: Unpack[ConvertKeywords],
) -> Converted:
    """Translate a video, a picture, or the pictures of a folder, with a preset; the input stays as it is.

    output: a file, or a folder to put it into; None means STEM_PRESET.EXT beside the input.
    preset: a name or a path.  options: the fields of `ConvertOptions`.

    Raises InputError, PresetError, EngineError or OutputError; nothing half-written is left behind. An
    output that exists is refused without `overwrite`, before any work is done.
    """
    started = time.monotonic()
    asked = ConvertOptions(**options)
    _check(asked)
    source = Path(input)
    if not source.exists():
        raise InputError(f"no such file or folder: {source}")
    found = find_preset(preset)
    target = _target(source, None if output is None else Path(output), found.name)
    pairs = _pairs(source, target)
    _refuse_existing(pairs, overwrite=asked.overwrite)

    with Translator(
        load_network(found, asked.direction),
        engine=asked.engine,
        device=asked.device,
        batch_size=asked.batch_size,
    ) as translator:
        reports = reporter or SilentReporter()
        if source.is_dir() or is_picture(source):
            num_frames = _convert_pictures(pairs, translator, reports, label=source.name)
        else:
            num_frames = convert_video(source, target, translator, asked, reports)
    return Converted(source, target, num_frames, time.monotonic() - started)


def convert_video(
    source: Path,
    target: Path,
    translator: Translator,
    options: ConvertOptions,
    reporter: Reporter,
    *,
    segment_frames: int = SEGMENT_FRAMES,
) -> int:
    """Translate the frames of a video; times and all other streams stay. Returns the number of frames.

    Pieces of `segment_frames` frames are kept in a hidden folder beside `target` as they are finished; a
    later call with the same arguments goes on behind them, to the same file bit for bit.
    """
    # Batches end where pieces end, however often the run is interrupted.
    segment_frames = max(1, segment_frames // options.batch_size) * options.batch_size
    with VideoReader(source) as reader:
        info, window = reader.info, _window(options, reader)
        encoding = Encoding.choose(target, info, reader.coding, options)
        identity = job_identity(
            source,
            options,
            encoding,
            network=translator.fingerprint(),
            engine=translator.prepare(info.height, info.width),
            segment_frames=segment_frames,
        )
        video = VideoFile(target, source, reader.stream_index, encoding)
        with open_job(target, identity, restart=options.restart) as job:
            video.check(job.partial)
            with (
                ReadAhead(reader.frames(window, job.position)) as frames,
                SegmentWriter(job, encoding, segment_frames=segment_frames) as writer,
                WriteBehind(writer) as sink,
                _reporting(reporter, source.name, info.num_frames, done=job.num_frames, unit="frames"),
            ):
                for batch in batches(frames, options.batch_size):
                    for frame in batch.with_pixels(translator.translate(batch.pixels)).frames():
                        sink.write(frame)
                    reporter.advance(len(batch.pts))
            _join(job, video, window)
    return job.num_frames


def _window(options: ConvertOptions, reader: VideoReader) -> Window | None:
    """The part of the file that is asked for, in its own time; None for all of it."""
    if options.trim is None:
        return None
    trim = parse_trim(options.trim)
    start = reader.start_seconds
    return Window(start + trim.start, None if trim.end is None else start + trim.end)


def _join(job: Job, video: VideoFile, window: Window | None) -> None:
    """Make one file of the finished pieces, and give it its name."""
    if not job.segments:
        raise InputError(f"no frame of {video.source} lies within --trim")
    if window is not None:
        # With sound from before the first frame, the picture would begin late.
        window = Window(job.segments[0].first_pts * video.encoding.info.time_base, window.end)
    packets = read_segments(job.folder, job.segments)
    depth = max(segment.reorder_depth for segment in job.segments)
    video.join(job.partial, packets, depth=depth, window=window)
    job.publish()


def _convert_pictures(
    pairs: list[tuple[Path, Path]], translator: Translator, reporter: Reporter, *, label: str
) -> int:
    """Translate pictures one by one, for their sizes may differ; finished ones stay if a later one fails."""
    with (
        ReadAhead(_read(pairs)) as pictures,
        _reporting(reporter, label, len(pairs), unit="pictures"),
    ):
        for target, pixels in pictures:
            translated = translator.translate(pixels[None])[0]
            _make_folder(target.parent)
            write_picture(target, translated)
            reporter.advance()
    return len(pairs)


def _read(pairs: Iterable[tuple[Path, Path]]) -> Iterator[tuple[Path, Pixels]]:
    for source, target in pairs:
        yield target, read_picture(source)


@contextmanager
def _reporting(
    reporter: Reporter, label: str, total: int | None, *, unit: str, done: int = 0
) -> Iterator[None]:
    reporter.start(label, total, done=done, unit=unit)
    try:
        yield
    finally:
        reporter.finish()


def _check(options: ConvertOptions) -> None:
    if options.batch_size < 1:
        raise InputError(f"batch size {options.batch_size} is impossible", hint="1 or more")


def _target(source: Path, output: Path | None, preset_name: str) -> Path:
    """Where the result goes: a file, or for a folder of pictures a folder."""
    source = source.resolve()
    if source.is_dir():
        return output if output is not None else source.with_name(f"{source.name}_{preset_name}")
    name = f"{source.stem}_{preset_name}{source.suffix}"
    if output is None:
        return source.with_name(name)
    return output / name if output.is_dir() else output


def _pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """Each input file with its output; the pictures of a folder keep their names and their tree."""
    if not source.is_dir():
        return [(source, target)]
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is not a folder", hint="the pictures of a folder go into a folder")
    inside = target.resolve()
    return [
        (picture, target / picture.relative_to(source))
        for picture in list_pictures(source)
        # What an earlier run has put into a folder inside the input is no input.
        if inside == source.resolve() or not picture.resolve().is_relative_to(inside)
    ]


def _refuse_existing(pairs: list[tuple[Path, Path]], *, overwrite: bool) -> None:
    for source, target in pairs:
        if target.exists() and target.samefile(source):
            raise OutputError(f"the output would replace its input: {target}", hint="choose another with -o")
        if target.is_dir():
            raise OutputError(f"{target} is a folder")
        if target.exists() and not overwrite:
            raise OutputError(f"{target} is already there", hint="--overwrite replaces it")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {path}: {error.strerror}") from error
