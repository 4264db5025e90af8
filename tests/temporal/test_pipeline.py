"""Smoothing as the pipeline runs it: behind an engine, in threads."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2itool.errors import OptionError
from i2itool.options import ConvertOptions
from i2itool.smoothing import check_smoothing, passing
from i2itool.translator import Translator
from tests.temporal.conftest import as_frames, scene


class Nervous(nn.Module):
    """A negative, the brightness of which hangs on the smallest change of the picture."""

    multiple_of = 1

    def forward(self, x: Tensor) -> Tensor:
        return 0.2 * torch.sin(2000 * x.mean((1, 2, 3), keepdim=True)) - 0.8 * x


def smoothed(
    *, work_px: int | None = None, **options: Any
) -> NDArray[Any]:  # Any: fields of ConvertOptions; pixels of 8 bits
    inputs = [*scene(6), *scene(5, seed=4)]
    asked = ConvertOptions(engine="eager", **options)
    with (
        Translator(Nervous(), engine="eager", batch_size=asked.batch_size, work_px=work_px) as translator,
        passing(as_frames(inputs), translator, asked) as frames,
    ):
        return np.stack([passed.frame.pixels for passed in frames])


@pytest.mark.parametrize("options", [{}, {"smooth": "ema"}, {"smooth_lookahead": 2}, {"smooth": "off"}])
@pytest.mark.parametrize("batch_size", [3, 8])
def test_the_batch_size_changes_no_bit(batch_size: int, options: dict[str, Any]) -> None:
    np.testing.assert_array_equal(smoothed(batch_size=batch_size, **options), smoothed(**options))


def test_no_strength_gives_the_bits_of_each_frame_alone() -> None:
    plain = smoothed(smooth="off")
    np.testing.assert_array_equal(smoothed(smooth_strength=0.0), plain)
    assert (smoothed() != plain).any()


def test_the_first_frames_of_both_scenes_are_those_of_the_network() -> None:
    for_all, alone = smoothed(), smoothed(smooth="off")
    for place in (0, 6):
        np.testing.assert_array_equal(for_all[place], alone[place])


@pytest.mark.parametrize("work_px", [24, 40])
def test_at_a_working_size_the_same_laws_hold(work_px: int) -> None:
    plain, steady = smoothed(smooth="off", work_px=work_px), smoothed(work_px=work_px)
    assert steady.shape == smoothed(smooth="off").shape
    np.testing.assert_array_equal(smoothed(smooth_strength=0.0, work_px=work_px), plain)
    np.testing.assert_array_equal(smoothed(batch_size=3, work_px=work_px), steady)
    for place in (0, 6):
        np.testing.assert_array_equal(steady[place], plain[place])

    def flicker(frames: NDArray[Any]) -> float:
        means = frames.reshape(len(frames), -1).mean(1)
        return float(np.abs(np.diff(means[:6])).mean())

    assert flicker(steady) < 0.6 * flicker(plain)


def test_leaving_early_joins_all_threads() -> None:
    before = threading.active_count()
    with (
        Translator(Nervous(), engine="eager") as translator,
        passing(as_frames(scene(30)), translator, ConvertOptions()) as frames,
    ):
        next(frames)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "options",
    [{"smooth_strength": 1.5}, {"smooth_strength": -1}, {"smooth_lookahead": -1}]
    + [{"smooth": smooth, "smooth_lookahead": 1} for smooth in ("ema", "off")],
)
def test_what_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        check_smoothing(ConvertOptions(**options))
