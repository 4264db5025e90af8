"""What may be asked of a conversion, and what excludes what."""

from __future__ import annotations

from i2itool.errors import OptionError
from i2itool.options import ConvertOptions
from i2itool.smoothing import check_smoothing
from i2itool.trim import parse_trim


def check_options(options: ConvertOptions) -> None:
    """Raise OptionError for what cannot be, whatever the input is."""
    if options.batch_size != "auto" and options.batch_size < 1:
        raise OptionError(f"batch size {options.batch_size} is impossible", hint="auto, or 1 or more")
    if options.preview is not None and options.preview < 1:
        raise OptionError(f"a preview of {options.preview} frames is impossible", hint="1 or more")
    if options.tonemap and options.assume_sdr:
        raise OptionError("--tonemap and --assume-sdr exclude each other")
    if options.bitrate is not None and options.crf is not None:
        raise OptionError("--bitrate and --crf exclude each other")
    if options.verify and (options.trim or options.preview or options.compare != "off"):
        raise OptionError("--verify compares whole files, so not with --trim, --preview and --compare")
    parse_trim(options.trim or ":")
    check_smoothing(options)
