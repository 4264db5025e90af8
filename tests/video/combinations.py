"""What a conversion must leave alone: clips and options, for the tests and for the table of docs/video.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from torch import nn

from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.options import ConvertOptions
from i2itool.translator import Translator
from i2itool.video.reader import VideoReader
from tests.conftest import Clip, write_clip


class Identity(nn.Identity):
    """Gives back its input; follows the `Generator` protocol."""

    multiple_of = 1


@dataclass(frozen=True)
class Combination:
    """A clip, and how it is converted. name: in words.  container: suffix of source and output."""

    name: str
    clip: Clip
    container: str = ".mkv"
    options: Mapping[str, Any] = field(default_factory=dict)  # Any: fields of ConvertOptions


@dataclass(frozen=True)
class Loss:
    """What a conversion has changed.

    psnr_db: of all frames, in RGB.  shift_levels: the largest difference of the means of a channel, in RGB
    and where source and output are stored alike in Y, Cb and Cr too; in levels of 8 bits.
    pixel_format: of the output.
    """

    psnr_db: float
    shift_levels: float
    pixel_format: str


@dataclass(frozen=True)
class Law:
    """What may be lost with a network that changes nothing, and with such options."""

    least_psnr_db: float
    largest_shift_levels: float
    options: Mapping[str, Any] = field(default_factory=dict)  # Any: fields of ConvertOptions

    def holds(self, loss: Loss) -> bool:
        """Whether no more is lost."""
        return loss.psnr_db >= self.least_psnr_db and loss.shift_levels <= self.largest_shift_levels


# What the conversion itself loses, and what is lost with an encoder at high quality.
LOSSLESS = Law(50, 0.15, {"codec": "ffv1"})
HIGH_QUALITY = Law(45, 0.5, {"crf": 12})
# Large enough that x264 itself keeps the law at crf 12: on tiny pictures each block counts.
SMALL, LARGE = (64, 48), (320, 240)
MATRICES = {"BT.601": 6, "BT.709": 1, "BT.2020": 9}
RANGES = {"limited": 1, "full": 2}


def depth_and_colour(width: int, height: int) -> list[Combination]:
    """Every depth, range, matrix, subsampling and parity of size."""
    return [
        Combination(
            f"{bits} bit, {range_name}, {matrix_name}, {':'.join(subsampling)}, {parity}",
            Clip(
                *size,
                pts=range(4),
                codec="ffv1",
                options={},
                pixel_format=f"yuv{subsampling}p" + ("" if bits == 8 else f"{bits}le"),
                matrix=matrix,
                color_range=color_range,
            ),
            options={"codec": "libx265"} if bits == 12 else {},
        )
        for bits in (8, 10, 12)
        for range_name, color_range in RANGES.items()
        for matrix_name, matrix in MATRICES.items()
        for subsampling in ("420", "422", "444")
        for parity, size in {"even": (width, height), "odd": (width - 1, height - 1)}.items()
    ]


def geometry(width: int, height: int) -> list[Combination]:
    """Aspects, turns, mirrors, fields, and what tags leave open."""
    plain = {"crf": "4", "preset": "veryfast"}
    clips: dict[str, dict[str, Any]] = {  # Any: fields of Clip
        "pixels 4:3": {"aspect": Fraction(4, 3)},
        "turned by 90": {"rotation": 90},
        "turned by 180": {"rotation": 180},
        "turned by 270": {"rotation": 270},
        "mirrored left to right": {"mirror": "columns"},
        "mirrored top to bottom": {"mirror": "rows"},
        "turned by 90, mirrored": {"rotation": 90, "mirror": "columns"},
        "turned by 90, 10 bit, pixels 4:3": {
            "rotation": 90,
            "pixel_format": "yuv420p10le",
            "aspect": Fraction(4, 3),
        },
        "interlaced": {"options": plain | {"x264-params": "tff=1"}},
        "interlaced, 10 bit": {
            "options": plain | {"x264-params": "tff=1"},
            "pixel_format": "yuv420p10le",
        },
        "gray": {"codec": "ffv1", "options": {}, "pixel_format": "gray"},
        "gray, 10 bit": {"codec": "ffv1", "options": {}, "pixel_format": "gray10le"},
        "RGB": {"codec": "ffv1", "options": {}, "pixel_format": "bgr0"},
        "RGB, 10 bit": {"codec": "ffv1", "options": {}, "pixel_format": "gbrp10le"},
        "untagged": {},
        "untagged, high definition": {"width": 1280, "height": 720, "pts": range(1)},
    }
    return [
        Combination(
            name,
            Clip(**{"width": width, "height": height, "options": plain, "pts": range(4), **clip}),
            ".mkv" if "codec" in clip else ".mp4",
        )
        for name, clip in clips.items()
    ]


def measure(combination: Combination, law: Law, folder: Path) -> Loss:
    """Make the clip in `folder`, convert it as the law has it, and compare."""
    source = folder / f"source{combination.container}"
    target = folder / f"target{combination.container}"
    write_clip(source, combination.clip)
    with Translator(Identity(), engine="eager") as translator:
        options = ConvertOptions(**{"smooth": "off", **combination.options, **law.options})
        convert_video(source, target, translator, options, SilentReporter())
    before, after = rgb(source), rgb(target)
    error = after - before
    shifts = np.abs(error.mean(axis=(0, 1, 2))).tolist()
    (old_format, old), (new_format, new) = planes(source), planes(target)
    is_stored_alike = old_format == new_format and combination.clip.codec == law.options.get("codec")
    if is_stored_alike:
        # Straight from the decoders: what our own reader does twice in the same wrong way would not show.
        shifts += [abs(float(b.mean() - a.mean())) for a, b in zip(old, new, strict=True)]
    mean_square = max(float(np.square(error).mean()), 1e-9)
    return Loss(10 * math.log10(255**2 / mean_square), max(shifts), new_format)


def rgb(path: Path) -> NDArray[np.float64]:
    """All frames as they are shown: N,H,W,3, in levels of 8 bits."""
    with VideoReader(path) as reader:
        frames = np.stack([frame.pixels for frame in reader])
    return frames / (257 if frames.dtype == np.uint16 else 1)


def planes(path: Path) -> tuple[str, list[NDArray[np.float64]]]:
    """The pixel format, and each plane of all frames in levels of 8 bits."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    bits = frames[0].format.components[0].bits
    stacks = [
        np.stack([_samples(plane, bits) for plane in each])
        for each in zip(*(frame.planes for frame in frames), strict=True)
    ]
    return frames[0].format.name, stacks


def _samples(plane: Any, bits: int) -> NDArray[np.float64]:  # Any: PyAV's stub hides that it is a buffer
    rows = np.frombuffer(plane, "u1" if bits == 8 else "u2").reshape(plane.height, -1)
    return np.asarray(rows[:, : plane.width], np.float64) / 2.0 ** (bits - 8)
