"""How much a translated video flickers beside its input and, if there is one, its unsmoothed twin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise, zip_longest
from pathlib import Path

import numpy as np

from i2itool.console import Reporter, SilentReporter
from i2itool.errors import InputError
from i2itool.frames import AnyPixels, Frame
from i2itool.metrics.warping import (
    Correspondence,
    color_jitter,
    correspondence,
    gradient_energy,
    warping_error,
)
from i2itool.options import ConvertOptions
from i2itool.video.sources import Source, open_source

# HDR is compared by its levels, as it is.
_AS_IT_IS = ConvertOptions(assume_sdr=True)
# Squared errors below this are none: it keeps ratios finite.
_LEAST_ERROR = 1e-12


@dataclass(frozen=True, slots=True)
class Flicker:
    """What was measured. Errors are E_warp, see `i2itool.metrics.warping`; levels are of 8 bits.

    seconds, errors: of each pair of neighbouring frames: its time, and E_warp of the output.
    input_error, output_error: means over the pairs.  num_cuts: pairs of different scenes, left out.
    jitter: RMS second difference of the frames' mean colour.
    Against the reference, None without one: ratio: output_error / reference_error.  floor: input_error /
    reference_error.  psnr: dB between output and reference.  sharpness: gradient energy over the reference's.
    """

    num_frames: int
    num_cuts: int
    input_error: float
    output_error: float
    jitter: float
    reference_error: float | None = None
    reference_jitter: float | None = None
    ratio: float | None = None
    floor: float | None = None
    psnr: float | None = None
    sharpness: float | None = None
    seconds: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    reference_errors: list[float] = field(default_factory=list)


def measure_flicker(
    source: Path, output: Path, reference: Path | None = None, *, reporter: Reporter | None = None
) -> Flicker:
    """Measure a translated video against its input; the files are read side by side.

    reference: the same translation without smoothing.  Raises InputError if a file cannot be read, or if
    frames differ in number or in size.
    """
    paths = [source, output, *([] if reference is None else [reference])]
    reporter = reporter or SilentReporter()
    with ExitStack() as stack:
        readers: list[Source] = [_entered(stack, path) for path in paths]
        reporter.start(output.name, readers[0].info.num_frames)
        stack.callback(reporter.finish)
        scores = [_Scores() for _ in paths[1:]]
        inputs = _Scores()
        seconds: list[float] = []
        before: list[Frame] | None = None
        for some in zip_longest(*readers):
            frames = _checked(some, paths)
            way = None if before is None else correspondence(before[0].pixels, frames[0].pixels)
            if way is not None and not way.is_cut:
                seconds.append(float(frames[0].pts * frames[0].time_base - readers[0].start_seconds))
            for i, score in enumerate((inputs, *scores)):
                score.add(None if before is None else before[i].pixels, frames[i].pixels, way)
            if reference is not None:
                scores[0].compare(frames[1].pixels, frames[2].pixels)
            before = frames
            reporter.advance()
    return _summary(inputs, scores, seconds)


def score_frames(
    inputs: Sequence[AnyPixels],
    outputs: Sequence[AnyPixels],
    reference: Sequence[AnyPixels],
    ways: Sequence[Correspondence] | None = None,
) -> Flicker:
    """The same of frames in memory (H,W,3 RGB). ways: of the inputs, from each to the next one, if known."""
    if ways is None:
        ways = [correspondence(*pair) for pair in pairwise(inputs)]
    scores = [_Scores() for _ in range(3)]
    for score, frames in zip(scores, (inputs, outputs, reference), strict=True):
        score.add(None, frames[0], None)
        for (before, now), way in zip(pairwise(frames), ways, strict=True):
            score.add(before, now, way)
    for ours, theirs in zip(outputs, reference, strict=True):
        scores[1].compare(ours, theirs)
    return _summary(scores[0], scores[1:], [])


class _Scores:
    """What is gathered of one video. means: of colours, by scene.  differences: mean squares."""

    def __init__(self) -> None:
        self.errors: list[float] = []
        self.means: list[list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = [[]]
        self.energy = 0.0
        self.differences: list[float] = []
        self.num_cuts = 0

    def add(self, before: AnyPixels | None, now: AnyPixels, way: Correspondence | None) -> None:
        if way is not None and way.is_cut:
            self.means.append([])
        self.means[-1].append(now.mean((0, 1)) * (255 / np.iinfo(now.dtype).max))
        self.energy += gradient_energy(now)
        if before is None or way is None:
            return
        if way.is_cut:
            self.num_cuts += 1
        else:
            self.errors.append(warping_error(before, now, way))

    def compare(self, ours: AnyPixels, theirs: AnyPixels) -> None:
        mine, other = (frame / np.float64(np.iinfo(frame.dtype).max) for frame in (ours, theirs))
        self.differences.append(float(np.square(mine - other).mean()))

    @property
    def error(self) -> float:
        return float(np.mean(self.errors)) if self.errors else 0.0

    @property
    def jitter(self) -> float:
        return color_jitter([np.stack(scene) for scene in self.means])

    @property
    def num_frames(self) -> int:
        return sum(len(scene) for scene in self.means)


def _summary(inputs: _Scores, scores: Sequence[_Scores], seconds: list[float]) -> Flicker:
    output = scores[0]
    alone = Flicker(
        num_frames=inputs.num_frames,
        num_cuts=inputs.num_cuts,
        input_error=inputs.error,
        output_error=output.error,
        jitter=output.jitter,
        seconds=seconds,
        errors=output.errors,
    )
    if len(scores) == 1:
        return alone
    reference = scores[1]
    least = max(reference.error, _LEAST_ERROR)
    return replace(
        alone,
        reference_error=reference.error,
        reference_jitter=reference.jitter,
        ratio=output.error / least,
        floor=inputs.error / least,
        psnr=-10 * math.log10(max(float(np.mean(output.differences)), _LEAST_ERROR)),
        sharpness=output.energy / max(reference.energy, _LEAST_ERROR),
        reference_errors=reference.errors,
    )


def _entered(stack: ExitStack, path: Path) -> Source:
    source = open_source(path, _AS_IT_IS)
    stack.enter_context(source)
    return source


def _checked(frames: Sequence[Frame | None], paths: Sequence[Path]) -> list[Frame]:
    """The same frames; raises InputError if one is missing, or of another size than the first."""
    found = [frame for frame in frames if frame is not None]
    if len(found) < len(frames):
        path = paths[list(frames).index(None)]
        raise InputError(f"{path} has fewer frames than the others", hint="give conversions of one clip")
    height, width = found[0].pixels.shape[:2]
    for frame, path in zip(found, paths, strict=True):
        if frame.pixels.shape[:2] != (height, width):
            shape = frame.pixels.shape
            raise InputError(
                f"{path} is {shape[1]}x{shape[0]}, and {paths[0]} {width}x{height}",
                hint="give conversions of one clip",
            )
    return found
