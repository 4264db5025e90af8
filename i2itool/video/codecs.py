"""Codecs: by which names they are known, which container takes which, and what an encoder is asked for."""

from __future__ import annotations

import difflib
import io
import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.codec import Codec, CodecContext
from av.video.codeccontext import VideoCodecContext

from i2itool.errors import OptionError, OutputError
from i2itool.options import ConvertOptions
from i2itool.video.quality import rate_control

logger = logging.getLogger(__name__)

# What people call a codec -> the encoder that makes it.
ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "h265": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "vp8": "libvpx",
    "prores": "prores_ks",
    "ffv1": "ffv1",
}
# AVI has no time stamps: FFmpeg guesses those of H.264 a frame late, and those of MPEG-4 right.
_DEFAULT_CODECS = {".webm": "libvpx-vp9", ".avi": "mpeg4"}
_DEFAULT_CODEC = "libx264"

# Containers that take some codecs although their muxers refuse none, or refuse them late: as private data
# that no player finds, or as pictures that come a frame late.
_ONLY = {
    ".ts": {"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video"},
    ".avi": {"mpeg4", "ffv1", "mjpeg", "utvideo", "huffyuv", "ffvhuff", "rawvideo", "msmpeg4v3", "png"},
}
_ONLY |= dict.fromkeys((".m2ts", ".mts"), _ONLY[".ts"])
_NEVER = {".mov": {"vp9", "av1", "vp8"}}
_OFFERED = (".mp4", ".mkv", ".mov", ".webm")

HARDWARE_SUFFIXES = ("_nvenc", "_qsv", "_amf", "_vaapi", "_videotoolbox", "_mf")
"""How the names of encoders of graphics cards end."""
_SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}
# Least size that every hardware encoder takes.
_PROBE_PX = 256

_X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)


def choose_encoder(output: Path, asked: str | None) -> str:
    """The encoder asked for, or the default of the container.

    An encoder of a hardware that does not work here is replaced by one in software, which is logged.
    Raises OptionError if there is no such encoder, OutputError if the container cannot hold what it makes.
    """
    suffix = output.suffix.lower()
    name = ENCODERS.get(asked or "", asked) or _DEFAULT_CODECS.get(suffix, _DEFAULT_CODEC)
    try:
        codec = Codec(name, "w")
    except ValueError as error:
        raise OptionError(f"no such encoder: {name}", hint=f"for instance {', '.join(ENCODERS)}") from error
    if codec.type != "video":
        raise OptionError(f"{name} does not encode video", hint="for instance --codec h264")
    refuse_misfit(suffix, codec.canonical_name)
    return _working(name, codec.canonical_name) if name.endswith(HARDWARE_SUFFIXES) else name


def refuse_misfit(suffix: str, codec: str) -> None:
    """Raise OutputError, naming containers that can, if a file `suffix` cannot hold the codec `codec`."""
    if _can_hold(suffix, codec):
        return
    others = [other for other in _OFFERED if _can_hold(other, codec)]
    hint = f"write {' or '.join(others)} with -o, or choose another --codec" if others else None
    raise OutputError(f"{suffix} files cannot hold {codec}", hint=hint or "choose another --codec")


def _can_hold(suffix: str, codec: str) -> bool:
    if suffix in _ONLY:
        return codec in _ONLY[suffix]
    if codec in _NEVER.get(suffix, ()):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=_format_name(suffix)) as container:
            return codec in container.supported_codecs
    except ValueError:
        return True  # No such container; whoever opens it will say so.


def _format_name(suffix: str) -> str:
    return {".mkv": "matroska", ".m4v": "mp4", ".ts": "mpegts"}.get(suffix, suffix.removeprefix("."))


def _working(name: str, codec: str) -> str:
    """The encoder `name`, or if its hardware is not there one in software."""
    reason = try_encoder(name, {})
    if reason is None:
        return name
    if codec not in _SOFTWARE:
        raise OutputError(f"{name} does not work here: {reason}", hint="choose another --codec")
    logger.warning("%s does not work here (%s); %s encodes instead", name, reason, _SOFTWARE[codec])
    return _SOFTWARE[codec]


# The fastest arithmetic of x264 gives other bits on another processor and, where AVX-512 meets small
# pictures, even in the next run; a resumed conversion would differ. x265 would log to stderr, past everybody.
_ALWAYS = {
    "libx264": ("x264-params", "cpu-independent=1"),
    "libx264rgb": ("x264-params", "cpu-independent=1"),
    "libx265": ("x265-params", "log-level=none"),
}


def encoder_options(codec: str, asked: ConvertOptions) -> dict[str, str]:
    """All that `codec` is asked for, in its own words; raises OptionError for what it does not know."""
    own = dict(_name_and_value(item) for item in asked.encoder_options)
    _refuse_unknown(codec, own)
    preset = {} if asked.encoder_preset is None else _preset(codec, asked.encoder_preset)
    options = rate_control(codec, asked) | preset | own
    if codec in _ALWAYS:
        name, always = _ALWAYS[codec]
        options[name] = ":".join([always, *filter(None, [own.get(name)])])
    if (own or preset) and (reason := try_encoder(codec, options)):
        raise OptionError(f"encoder {codec} refuses its options: {reason}")
    return options


def _name_and_value(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not name or not equals:
        raise OptionError(f"'{item}' is no encoder option", hint="NAME=VALUE, for instance tune=film")
    return name, value


def _preset(codec: str, preset: str) -> dict[str, str]:
    """The option that `codec` calls a preset, a profile or a deadline."""
    if codec.startswith("libx26"):
        if preset not in _X26X_PRESETS:
            raise OptionError(f"{codec} has no preset {preset}", hint=f"one of {', '.join(_X26X_PRESETS)}")
        return {"preset": preset}
    if codec.startswith("libvpx"):
        return {"cpu-used": preset} if preset.lstrip("-").isdigit() else {"deadline": preset}
    option = "profile" if codec.startswith("prores") else "quality" if codec.endswith("_amf") else "preset"
    if option not in known_options(codec):
        raise OptionError(f"{codec} has no presets", hint="leave --encoder-preset out")
    return {option: preset}


def _refuse_unknown(codec: str, options: Iterable[str]) -> None:
    known = known_options(codec) if options else set()
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known)
            hint = f"did you mean {close[0]}?" if close else f"ffmpeg -h encoder={codec} lists them"
            raise OptionError(f"encoder {codec} has no option {name}", hint=hint)


def check_pixel_format(codec: str, name: str) -> None:
    """Raise OptionError if `codec` does not take the pixel format `name`."""
    offered = [item.name for item in Codec(codec, "w").video_formats or ()]
    # The range is carried over from the input, and not a matter of the format.
    usable = [item for item in offered if not item.startswith("yuvj")]
    if name not in usable:
        raise OptionError(f"{codec} has no pixel format {name}", hint=f"one of {', '.join(usable)}")


def known_options(codec: str) -> set[str]:
    """The names of all options that FFmpeg's encoder `codec` takes."""
    supported = CodecContext.create(codec, "w").supported_options
    return {option.name for option in (*supported.generic, *supported.private)}


def try_encoder(codec: str, options: dict[str, str]) -> str | None:
    """Why `codec` cannot encode a frame with `options`; None if it can, and heeds all of them.

    FFmpeg passes over what it does not know, with a line in its log at best, so that is read too.
    """
    context = cast("VideoCodecContext", CodecContext.create(codec, "w"))
    formats = [item.name for item in Codec(codec, "w").video_formats or ()]
    usual = [name for name in ("yuv420p", "nv12", "yuv422p10le") if name in formats]
    context.pix_fmt = (usual or formats or ["yuv420p"])[0]
    context.width = context.height = _PROBE_PX
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = dict(options)
    level = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture(local=False) as lines:
            context.open()
            frame = av.VideoFrame(_PROBE_PX, _PROBE_PX, context.pix_fmt)
            frame.pts = 0
            for item in (frame, None):
                context.encode(item)
    except (av.FFmpegError, ValueError) as error:
        said = [text.strip() for _, name, text in lines if name != "Eval"]
        return said[-1] if said else (getattr(error, "strerror", None) or str(error))
    finally:
        av.logging.set_level(level)
    if left := context.options:
        return f"no option {', '.join(left)}"
    refused = [text.strip() for _, _, text in lines if text.startswith(("Error parsing", "Unknown option"))]
    return refused[0] if refused else None
