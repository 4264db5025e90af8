"""A network that changes nothing changes nothing: whatever the depth, the colours and the geometry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.video.combinations import (
    HIGH_QUALITY,
    LARGE,
    LOSSLESS,
    SMALL,
    Combination,
    depth_and_colour,
    geometry,
    measure,
)

# All that there are take minutes; the table in docs/video.md has them.
SAMPLE = [item for item in depth_and_colour(*LARGE)[:72:7] if "10 bit" in item.name or "8 bit" in item.name]


@pytest.mark.parametrize(
    "combination", [*depth_and_colour(*SMALL), *geometry(*SMALL)], ids=lambda item: item.name
)
def test_the_conversion_itself_changes_no_picture(combination: Combination, tmp_path: Path) -> None:
    loss = measure(combination, LOSSLESS, tmp_path)
    assert LOSSLESS.holds(loss), loss


@pytest.mark.parametrize("combination", SAMPLE, ids=lambda item: item.name)
def test_pictures_stay_within_codec_error(combination: Combination, tmp_path: Path) -> None:
    loss = measure(combination, HIGH_QUALITY, tmp_path)
    assert HIGH_QUALITY.holds(loss), loss
