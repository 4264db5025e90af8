"""What the user may ask of a command; the defaults live here and click reads them from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

Direction = Literal["a2b", "b2a"]
DIRECTIONS: tuple[Direction, ...] = ("a2b", "b2a")
OnError = Literal["repeat", "fail"]
Deinterlace = Literal["auto", "off"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Compare = Literal["off", "side", "wipe"]
Smooth = Literal["auto", "recursion", "norm-statistics", "ema", "off"]
Split = Literal["auto", "anywhere", "off"]
ExportFormat = Literal["onnx", "pt2", "openvino"]
BatchSize = int | Literal["auto"]
ON_ERROR: tuple[OnError, ...] = ("repeat", "fail")
DEINTERLACE: tuple[Deinterlace, ...] = ("auto", "off")
COMPARE: tuple[Compare, ...] = ("off", "side", "wipe")
SMOOTH: tuple[Smooth, ...] = ("auto", "recursion", "norm-statistics", "ema", "off")
SPLIT: tuple[Split, ...] = ("auto", "anywhere", "off")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8")
EXPORT_FORMATS: tuple[ExportFormat, ...] = ("onnx", "pt2", "openvino")
PRECISION_CHOICES = ("auto", *PRECISIONS)

# Visually lossless for x264.
DEFAULT_CRF = 18


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How the frames of a video are read.

    on_error: "repeat" puts the neighbour in the place of a frame that cannot be decoded, "fail" raises
    InputError.  deinterlace: "auto" does so where the video is flagged.  tonemap: make SDR of HDR.
    assume_sdr: take HDR pictures as if they were SDR. Without either, HDR raises InputError.
    max_pixels: of a frame or a picture; what claims to be larger is refused before it is decoded. The
    default is more than any camera takes, and 1.2 GB as 16-bit RGB.
    """

    on_error: OnError = "repeat"
    deinterlace: Deinterlace = "auto"
    tonemap: bool = False
    assume_sdr: bool = False
    max_pixels: int = 200_000_000


@dataclass(frozen=True, slots=True)
class ConvertOptions(ReadOptions):
    """How `convert` works, and how it reads videos.

    precision: "auto", or one of `PRECISIONS`.  batch_size: frames that go through the network at once;
    "auto" finds out what is fastest.
    work_size: short side in pixels at which the network sees larger pictures, or "full", or "auto": as in
    its training, where the preset tells; the result is carried to the picture's size, see `i2itool.affine`.
    codec: a codec or an encoder of FFmpeg; None for the default of the container.  crf: constant rate
    factor of the encoder, lower is better; None for `DEFAULT_CRF`.  bitrate: instead of crf, in bits per
    second, as 5M.  encoder_preset: the encoder's word for its speed or profile.  pixel_format:
    FFmpeg's name; None for the nearest to the input's.  encoder_options: each NAME=VALUE, over all others.
    drop_unsupported: leave out what the container cannot hold.
    rate: of numbered pictures, in frames per second, as 30 or 30000/1001; None for 25.
    smooth: how the frames of a video are steadied, see `i2itool.temporal`; "auto" is recursion.
    "norm-statistics" is recursion behind a network that remembers its statistics, which only "eager" can run.
    smooth_strength: 0 for none to 1.  smooth_lookahead: frames that recursion may look ahead.
    trim: START:END of a video, see `i2itool.trim`.  preview: make a contact sheet of so many frames
    instead.  compare: show the original too, beside or in a
    wipe.  verify: at the end, fail unless all but the pixels was kept.  restart: discard what an
    interrupted run has finished.  split: how workers share a video that is long for one of them: "auto" so
    that nothing changes, "anywhere" also where no cut is near, see `i2itool.part_making`.
    """

    direction: Direction = "a2b"
    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    batch_size: BatchSize = 1
    work_size: str = "auto"
    codec: str | None = None
    crf: int | None = None
    bitrate: str | None = None
    encoder_preset: str | None = None
    pixel_format: str | None = None
    encoder_options: tuple[str, ...] = ()
    drop_unsupported: bool = False
    rate: str | None = None
    smooth: Smooth = "auto"
    smooth_strength: float = 1.0
    smooth_lookahead: int = 0
    trim: str | None = None
    preview: int | None = None
    compare: Compare = "off"
    verify: bool = False
    overwrite: bool = False
    restart: bool = False
    split: Split = "auto"

    @property
    def quality(self) -> int:
        """The constant rate factor, whether it was asked for or not."""
        return DEFAULT_CRF if self.crf is None else self.crf


class ConvertKeywords(TypedDict, total=False):
    """The fields of `ConvertOptions`, as keywords."""

    direction: Direction
    engine: str
    precision: str
    device: str
    batch_size: BatchSize
    work_size: str
    codec: str | None
    crf: int | None
    bitrate: str | None
    encoder_preset: str | None
    pixel_format: str | None
    encoder_options: tuple[str, ...]
    drop_unsupported: bool
    rate: str | None
    trim: str | None
    preview: int | None
    compare: Compare
    max_pixels: int
    on_error: OnError
    deinterlace: Deinterlace
    tonemap: bool
    assume_sdr: bool
    smooth: Smooth
    smooth_strength: float
    smooth_lookahead: int
    verify: bool
    overwrite: bool
    restart: bool
    split: Split
