"""HDR made SDR: the curves are those of the standards, and colours keep their order."""

from __future__ import annotations

import numpy as np
import pytest

from i2itool.frames import DeepPixels
from i2itool.video.tonemap import (
    SDR_WHITE,
    SOURCE_PEAK,
    ToneMap,
    hlg_to_scene,
    light_to_pq,
    pq_to_light,
    rolled_off,
)

PQ, HLG = 16, 18


def gray(levels: list[float]) -> DeepPixels:
    """1,N,3 uint16 of levels in [0, 1]."""
    row = (np.array(levels) * 65535).round().astype(np.uint16)
    return np.repeat(row[None, :, None], 3, axis=2)


# BT.2408 table 1: levels of diffuse white and of middle gray.
def test_pq_has_its_published_levels() -> None:
    light = np.array([203.0, 26.0, 1000.0, 10000.0])
    assert light_to_pq(light) == pytest.approx([0.58, 0.38, 0.75, 1.0], abs=0.005)
    assert pq_to_light(light_to_pq(light)) == pytest.approx(light)


def test_hlg_has_its_published_levels() -> None:
    assert hlg_to_scene(np.array([0.0, 0.5, 1.0])) == pytest.approx([0, 1 / 12, 1], abs=1e-6)


def test_shadows_stay_and_lights_roll_off_to_white() -> None:
    light = np.geomspace(0.01, 4000, 500)
    screen = rolled_off(light)
    assert (np.diff(screen) >= 0).all()
    assert screen[light < 20] == pytest.approx(light[light < 20])
    assert screen[light >= SOURCE_PEAK] == pytest.approx(SDR_WHITE)
    assert (screen <= light * (1 + 1e-9)).all()


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_gray_stays_gray_in_order_from_black_to_white(transfer: int) -> None:
    sdr = ToneMap(transfer)(gray(list(np.linspace(0, 1, 257))))[0].astype(int)
    # BT.2087's matrix is rounded to four digits.
    assert np.ptp(sdr, axis=1).max() <= 10
    assert (np.diff(sdr[:, 1]) >= 0).all()
    assert sdr[0].tolist() == [0, 0, 0]
    assert (sdr[-1] >= 65525).all()


@pytest.mark.parametrize("light", [1.0, 26.0, 100.0, 600.0])
def test_a_gray_in_pq_gets_the_level_of_its_light_on_an_sdr_screen(light: float) -> None:
    level = float(light_to_pq(np.array(light)))
    expected = (float(rolled_off(np.array([light]))[0]) / SDR_WHITE) ** (1 / 2.4)
    assert ToneMap(PQ)(gray([level]))[0, 0, 1] / 65535 == pytest.approx(expected, abs=0.001)


def test_diffuse_white_of_hlg_is_as_bright_as_that_of_pq() -> None:
    # BT.2408: 75 % HLG is 203 cd/m2 on a screen of 1000.
    hlg = ToneMap(HLG)(gray([0.75]))[0, 0, 1]
    pq = ToneMap(PQ)(gray([float(light_to_pq(np.array(203.0)))]))[0, 0, 1]
    assert hlg / 65535 == pytest.approx(pq / 65535, abs=0.005)


def test_a_bright_red_stays_red() -> None:
    level = np.uint16(65535 * float(light_to_pq(np.array(800.0))))
    red, green, blue = ToneMap(PQ)(np.array([[[level, 0, 0]]], np.uint16))[0, 0].tolist()
    assert red > 60000
    assert green == blue == 0
