"""A video made ready for its conversion: opened, with its output chosen and tried, and its engine too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from i2itool.frames import Window
from i2itool.juxtapose import Juxtaposition
from i2itool.options import ConvertOptions
from i2itool.targets import make_folder_of
from i2itool.translator import Translator
from i2itool.trim import num_frames_within, window_of
from i2itool.video.input import PIPE
from i2itool.video.job import job_identity, noted_batch_size
from i2itool.video.journal import Identity
from i2itool.video.products import Product, choose_product, keep_stored
from i2itool.video.sources import Source, identity_of, open_source
from i2itool.video.spread import sampler_of


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a conversion works with.

    reader: the opened source.  window: the part of it that is asked for.  beside: the layout of the frames.
    product: the output to be.  identity: all that it depends on.  segment_frames: of each finished piece.
    num_frames: about how many frames there are; None if that is unknown.
    """

    source: Path
    target: Path
    translator: Translator
    options: ConvertOptions
    reader: Source
    window: Window
    beside: Juxtaposition
    product: Product
    identity: Identity
    segment_frames: int
    num_frames: int | None


@contextmanager
def prepared(
    source: Path, target: Path, translator: Translator, options: ConvertOptions, segment_frames: int
) -> Iterator[Prepared]:
    """Open a video, and see before any work that its output can be made and the engine be had.

    segment_frames: of a piece; rounded down to whole batches.  Raises InputError, OutputError or EngineError.
    """
    with open_source(source, options) as reader:
        info, window = reader.info, window_of(options.trim, reader.start_seconds)
        num_frames = num_frames_within(info, options.trim)
        beside = Juxtaposition(options.compare)
        product = choose_product(source, reader, beside.info(info), target, options, window)
        make_folder_of(target)
        product.check()
        keep_stored(reader, product, options, translator.work_size(info.height, info.width))
        engine = translator.prepare(
            info.height,
            info.width,
            sampler_of(source, info, options),
            num_frames=num_frames,
            batch_size=None if options.restart or source == PIPE else noted_batch_size(target),
        )
        # Batches end where pieces end, however often the run is interrupted.
        segment_frames = max(1, segment_frames // translator.batch_size) * translator.batch_size
        chosen = {
            "engine": engine,
            "hardware": translator.hardware,
            "segment_frames": segment_frames,
            "batch_size": translator.batch_size,
        }
        identity = job_identity(
            identity_of(source, reader),
            options,
            {**product.settings, **chosen},
            network=translator.fingerprint(),
        )
        yield Prepared(
            source,
            target,
            translator,
            options,
            reader,
            window,
            beside,
            product,
            identity,
            segment_frames,
            num_frames,
        )
