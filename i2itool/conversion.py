"""The pipeline: a video or a picture -> network -> the same kind of thing."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Unpack

from i2itool.console import Reporter, SilentReporter, reporting
from i2itool.errors import AlreadyThere, InputError, OptionError, OutputError
from i2itool.frames import Damage
from i2itool.juxtapose import juxtapose
from i2itool.locks import exclusive
from i2itool.option_check import check_options
from i2itool.options import ConvertKeywords, ConvertOptions
from i2itool.pictures import is_picture
from i2itool.preparation import Prepared, prepared
from i2itool.preset import Preset, find_preset
from i2itool.preview import preview_path, preview_video
from i2itool.smoothing import batch_size_for, engine_for, passing
from i2itool.still_writer import write_still
from i2itool.stills import read_still
from i2itool.streaming import stream_video
from i2itool.targets import refuse_existing, refuse_other_than_file, target_beside
from i2itool.translator import Translator
from i2itool.verification import verify
from i2itool.video.ahead import WriteBehind
from i2itool.video.animation import is_animation, is_animation_name
from i2itool.video.input import PIPE
from i2itool.video.job import Job, open_job
from i2itool.video.parts import adopt_parts, discard_parts
from i2itool.video.segments import SEGMENT_FRAMES, SegmentWriter
from i2itool.video.sequence import is_sequence
from i2itool.weights import load_network
from i2itool.work_size import parse_work_size


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion has made.

    num_frames: frames translated; 1 for a picture.
    seconds: wall time, the loading of the network included.
    num_repeated, num_damaged, is_cut_off: what was wrong with the input, see `Damage`.
    """

    input: Path
    output: Path
    num_frames: int
    seconds: float
    num_repeated: int = 0
    num_damaged: int = 0
    is_cut_off: bool = False

    @property
    def damage(self) -> Damage:
        """What was wrong with the input."""
        return Damage(self.num_repeated, self.num_damaged, self.is_cut_off)


def convert(
    input: str | Path,
    output: str | Path | None = None,
    *,
    preset: str,
    reporter: Reporter | None = None,
    **options: Unpack[ConvertKeywords],
) -> Converted:
    """Translate a video or a picture with a preset; the input stays as it is.

    input: a file, numbered pictures as `frame_%05d.png`, or `-` for YUV4MPEG2 on standard input.
    output: any of these, or a folder to put a file into; None means STEM_PRESET.EXT beside the input.
    preset: a name or a path.  options: the fields of `ConvertOptions`.

    Raises OptionError, InputError, PresetError, EngineError or OutputError; nothing half-written is left
    behind. An output that exists is refused without `overwrite`, before any work is done.
    """
    started = time.monotonic()
    asked = ConvertOptions(**options)
    check_options(asked)
    source = Path(input)
    refuse_other_than_file(source)
    found = find_preset(preset)
    target = target_for(source, output, found, asked.preview)
    refuse_existing(source, target, overwrite=asked.overwrite)

    with open_translator(found, asked) as translator:
        converted = convert_file(source, target, translator, asked, reporter or SilentReporter())
    return replace(converted, seconds=time.monotonic() - started)


def target_for(input: str | Path, output: str | Path | None, preset: Preset, preview: int | None) -> Path:
    """What `convert` writes with these arguments."""
    named = None if output is None else Path(output)
    target = target_beside(Path(input), named, preset.name)
    return target if preview is None else preview_path(target, named)


def convert_file(
    source: Path, target: Path, translator: Translator, options: ConvertOptions, reporter: Reporter
) -> Converted:
    """Translate a video or a picture with a translator that is there already; else as `convert`.

    Raises AlreadyThere or BeingWritten, which are OutputErrors, if the output exists and is not to be
    overwritten, or if another process is at it.
    """
    started = time.monotonic()
    refuse_other_than_file(source)
    try:
        refuse_existing(source, target, overwrite=options.overwrite)
    except AlreadyThere:
        # Or a batch that failed here would pass when it is run again.
        if options.verify:
            _refuse_different(source, target, options, reporter, is_told=True)
        raise
    _refuse_unfit(source, target, options)
    converted = _made(source, target, translator, options, reporter)
    if options.verify:
        _refuse_different(source, target, options, reporter, is_told=False)
    return replace(converted, seconds=time.monotonic() - started)


def _refuse_unfit(source: Path, target: Path, options: ConvertOptions) -> None:
    """Raise OptionError for what cannot be asked of such an input or output."""
    is_still = _is_still(source)
    if is_still and (options.preview is not None or options.trim is not None):
        raise OptionError(f"--trim and --preview are for videos, and {source} is a picture")
    if options.rate is not None and not is_sequence(source):
        raise OptionError(f"--rate is for numbered pictures, and {source} is none")
    if options.verify and not is_still and not (_is_video_file(source) and _is_video_file(target)):
        raise OptionError(
            "--verify compares videos with videos", hint="numbered pictures, pipes and animations are none"
        )


def _made(
    source: Path, target: Path, translator: Translator, options: ConvertOptions, reporter: Reporter
) -> Converted:
    """The output, as what the input and the options ask for; the time that it took is told elsewhere."""
    if options.preview is not None:
        return Converted(source, target, preview_video(source, target, translator, options, reporter), 0.0)
    if target == PIPE:
        num_frames, damage = stream_video(source, translator, options, reporter)
        return Converted(source, target, num_frames, 0.0, **asdict(damage))
    if _is_still(source):
        with reporting(reporter, source.name, 1, unit="pictures"):
            convert_picture(source, target, translator, options)
            reporter.advance()
        return Converted(source, target, 1, 0.0)
    return convert_video(source, target, translator, options, reporter)


def _is_still(path: Path) -> bool:
    return is_picture(path) and not is_sequence(path) and not is_animation(path)


def _is_video_file(path: Path) -> bool:
    return path != PIPE and not is_sequence(path) and not is_animation_name(path)


def _refuse_different(
    source: Path, target: Path, options: ConvertOptions, reporter: Reporter, *, is_told: bool
) -> None:
    """Raise OutputError, naming what differs, if the output did not keep all but the pixels.

    is_told: whether damage of the input is logged; a conversion has done so.
    """
    verification = verify(source, target, is_tonemapped=options.tonemap, is_told=is_told, reporter=reporter)
    if not verification.is_same:
        differing = ", ".join(item.name for item in verification.checks if item.verdict == "differs")
        hint = f"`i2itool verify {source} {target}` shows how"
        raise OutputError(f"{target} is whole, but differs from its input in: {differing}", hint=hint)


def open_translator(preset: Preset, options: ConvertOptions) -> Translator:
    """The network of a preset in the direction and on the engine that are asked for; to be closed.

    Raises PresetError, and OptionError for an impossible working size.
    """
    return Translator(
        load_network(preset, options.direction),
        engine=engine_for(options),
        precision=options.precision,
        device=options.device,
        batch_size=batch_size_for(options),
        work_px=parse_work_size(options.work_size, preset),
    )


def convert_video(
    source: Path,
    target: Path,
    translator: Translator,
    options: ConvertOptions,
    reporter: Reporter,
    *,
    segment_frames: int = SEGMENT_FRAMES,
) -> Converted:
    """Translate the frames of a video, of numbered pictures or of an animation; times and all else stay.

    Pieces of `segment_frames` frames are kept in a hidden folder beside `target` as they are finished; a
    later call with the same arguments goes on behind them, to the same file bit for bit.
    """
    started = time.monotonic()
    with prepared(source, target, translator, options, segment_frames) as ready:
        with open_job(target, ready.identity, restart=options.restart, is_repeatable=source != PIPE) as job:
            # Another process may have finished it while this one was getting ready.
            refuse_existing(source, target, overwrite=options.overwrite)
            adopt_parts(job)
            _make_pieces(job, ready, reporter)
            if not job.segments:
                raise InputError(f"no frame of {source} lies within --trim")
            ready.product.join(job)
            discard_parts(target)
        seconds = time.monotonic() - started
        return Converted(source, target, job.num_frames, seconds, **asdict(ready.reader.damage))


def _make_pieces(job: Job, ready: Prepared, reporter: Reporter) -> None:
    """Translate the frames behind those that are finished, and keep them piece by piece."""
    reader, translator = ready.reader, ready.translator
    with (
        passing(
            ready.beside.watch(reader.frames(ready.window, job.position)),
            translator,
            ready.options,
            translator.resume(job.state),
        ) as frames,
        SegmentWriter(job, ready.product.open_piece, segment_frames=ready.segment_frames) as writer,
        WriteBehind(writer) as sink,
        reporting(reporter, ready.source.name, ready.num_frames, done=job.num_frames),
    ):
        for place, passed in enumerate(frames, start=1):
            if place % ready.segment_frames == 0:
                job.keep(passed.frame.pts, {**passed.state(), **translator.state()})
            sink.write(ready.beside.put(passed.frame))
            reporter.advance()


def convert_picture(source: Path, target: Path, translator: Translator, options: ConvertOptions) -> None:
    """Translate a picture; its depth, transparency, EXIF and colour profile stay."""
    still = read_still(source, max_pixels=options.max_pixels)
    with exclusive(target):
        refuse_existing(source, target, overwrite=options.overwrite)
        translated = translator.translate(still.pixels[None])[0]
        pixels = juxtapose(still.pixels, translated, options.compare)
        alpha = None if options.compare == "side" else still.alpha
        write_still(target, replace(still, pixels=pixels, alpha=alpha))
