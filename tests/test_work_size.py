"""The network sees pictures at its own scale; the result has the size of the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor, nn

from i2itool.affine import CAUTIOUS, OPEN
from i2itool.errors import OptionError
from i2itool.networks import build
from i2itool.preset import Network, Preset, Training
from i2itool.translator import Translator
from i2itool.work_size import parse_work_size, work_size
from tests.test_affine import psnr, scene


class Darken(nn.Module):
    """Halves the light; remembers of what size the pictures were."""

    multiple_of = 4
    seen: ClassVar[list[tuple[int, ...]]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape[2:]))
        return (x - 1) / 2


@pytest.mark.parametrize(
    ("picture", "short_px", "expected"),
    [
        ((1080, 1920), 256, (256, 456)),
        ((1920, 1080), 256, (456, 256)),
        ((200, 300), 256, (200, 300)),
        ((1080, 1920), None, (1080, 1920)),
        ((4000, 64), 60, (3752, 60)),
    ],
)
def test_the_short_side_is_that_which_was_asked_for(
    picture: tuple[int, int], short_px: int | None, expected: tuple[int, int]
) -> None:
    assert work_size(*picture, short_px, 4) == expected


def preset(training: Training | None) -> Preset:
    return Preset(name="x", summary="", network=Network(name="resnet"), training=training, folder=Path())


def test_auto_is_the_scale_of_the_training_unless_the_preset_says_otherwise() -> None:
    trained = preset(Training(method="cyclegan", steps=1, size_px=288, crop_px=256))
    assert parse_work_size("auto", trained) == 288
    assert parse_work_size("auto", preset(None)) is None
    assert parse_work_size("auto", trained.model_copy(update={"work_size": 480})) == 480
    assert parse_work_size("auto", trained.model_copy(update={"work_size": "full"})) is None
    assert parse_work_size("full", trained) is None
    assert parse_work_size("480", trained) == 480


@pytest.mark.parametrize("text", ["", "small", "-4", "0", "16", "1.5", "480p"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is no working size"):
        parse_work_size(text, preset(None))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_network_sees_the_working_size_and_the_result_is_whole(dtype: type[Any]) -> None:
    Darken.seen.clear()
    step = 257 if dtype == np.uint16 else 1
    pixels: NDArray[Any] = np.stack([scene(180, 320, seed) for seed in (1, 2)]).astype(dtype) * step
    with Translator(Darken(), engine="eager", batch_size=2, work_px=64) as translator:
        result = translator.translate(pixels)
    assert max(Darken.seen) == (64, 112)
    assert result.shape == pixels.shape
    assert result.dtype == dtype
    assert psnr(result, pixels // 2, np.iinfo(dtype).max) > 40


def test_what_is_no_larger_is_translated_as_it_is() -> None:
    pixels = scene(60, 90)[None]
    with (
        Translator(Darken(), engine="eager", work_px=64) as small,
        Translator(Darken(), engine="eager") as full,
    ):
        np.testing.assert_array_equal(small.translate(pixels), full.translate(pixels))


def test_what_a_network_draws_over_its_input_is_trusted() -> None:
    hyper = {"width": 4, "blocks": 1}
    assert Translator(build("light", **hyper)).trust == OPEN
    assert Translator(build("resnet", **hyper)).trust == CAUTIOUS
