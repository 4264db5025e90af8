"""What holds for every smoother, and what for the recursion alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from i2itool.errors import EngineError
from i2itool.options import ConvertOptions
from i2itool.smoothing import engine_for
from i2itool.temporal.motion import find_motion, look_at, pull
from i2itool.temporal.stream import Smoothing, open_smoothing
from i2itool.temporal.tracking import track_all
from tests.temporal.conftest import as_frames, pixels_of, psnr, run, scene, steady_truth, with_flicker

METHODS = ("recursion", "recursion, looking ahead", "ema")


def opened(name: str, strength: float = 1.0) -> Smoothing:
    method, _, rest = name.partition(", ")
    smoothing = open_smoothing(method, strength=strength, lookahead=2 if rest else 0)
    assert smoothing is not None
    return smoothing


@pytest.fixture(params=METHODS)
def smoothing(request: pytest.FixtureRequest) -> Smoothing:
    return opened(request.param)


# Of every smoother


def test_the_first_frame_stays_as_it_is(smoothing: Smoothing) -> None:
    inputs = scene(4)
    outputs = with_flicker(steady_truth(inputs))
    steadied = pixels_of(run(as_frames(inputs), outputs, smoothing))
    np.testing.assert_array_equal(steadied[0], outputs[0])
    assert (steadied[1] != outputs[1]).any()


def test_the_first_frame_after_a_cut_stays_as_it_is(smoothing: Smoothing) -> None:
    inputs = [*scene(4), *scene(4, seed=7)]
    outputs = with_flicker(steady_truth(inputs))
    steadied = pixels_of(run(as_frames(inputs), outputs, smoothing))
    np.testing.assert_array_equal(steadied[4], outputs[4])
    # And what follows is as if nothing had been before.
    alone = pixels_of(run(as_frames(inputs)[4:], outputs[4:], smoothing))
    np.testing.assert_array_equal(steadied[4:], alone)


def test_a_run_taken_up_from_its_arrays_gives_the_same_bits(smoothing: Smoothing) -> None:
    inputs = scene(8)
    frames, outputs = as_frames(inputs), with_flicker(steady_truth(inputs))
    whole = run(frames, outputs, smoothing)
    for place in (1, 4):
        arrays = {name: array.copy() for name, array in whole[place - 1].carry.arrays().items()}
        rest = run(frames[place:], outputs[place:], smoothing, carry=smoothing.restored(arrays))
        np.testing.assert_array_equal(pixels_of(rest), pixels_of(whole)[place:])


def test_what_is_passed_in_stays_as_it_was(smoothing: Smoothing) -> None:
    inputs = scene(5)
    frames, outputs = as_frames(inputs), with_flicker(steady_truth(inputs))
    carry = run(frames[:3], outputs[:3], smoothing)[-1].carry
    before = {name: array.copy() for name, array in carry.arrays().items()}
    run(frames[3:], outputs[3:], smoothing, carry=carry)
    for name, array in carry.arrays().items():
        np.testing.assert_array_equal(array, before[name])


def test_frames_shown_twice_change_nothing(smoothing: Smoothing) -> None:
    inputs = scene(6)
    outputs = with_flicker(steady_truth(inputs))
    at_30 = run(as_frames(inputs, range(0, 240, 40), duration=40), outputs, smoothing)
    doubled, twice = ([one for one in some for _ in range(2)] for some in (inputs, outputs))
    at_60 = run(as_frames(doubled, range(0, 240, 20), duration=40), twice, smoothing)
    np.testing.assert_array_equal(pixels_of(at_60)[::2], pixels_of(at_30))
    np.testing.assert_array_equal(pixels_of(at_60)[1::2], pixels_of(at_30))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (33, 31), (16, 500), (270, 481)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_size_and_depth_passes(size: tuple[int, int], dtype: Any, smoothing: Smoothing) -> None:
    inputs = [one.astype(dtype) * (257 if dtype == np.uint16 else 1) for one in scene(3, size=size)]
    inputs = [np.asarray(one, dtype) for one in inputs]
    steadied = pixels_of(run(as_frames(inputs), steady_truth(inputs), smoothing))
    assert steadied.shape == (3, *size, 3)
    assert steadied.dtype == dtype


@pytest.mark.parametrize("pts", [[0, 0, 0, 0], [5, 4, 3, 2], [0, 48, 48, 30]])
@pytest.mark.parametrize("duration", [0, -3, 48])
def test_stamps_that_stand_still_or_run_backwards_pass(
    pts: list[int], duration: int, smoothing: Smoothing
) -> None:
    inputs = scene(4)
    outputs = with_flicker(steady_truth(inputs))
    steadied = pixels_of(run(as_frames(inputs, pts, duration), outputs, smoothing))
    assert np.isfinite(steadied.astype(float)).all()
    assert psnr(steadied, np.stack(outputs)) > 20


def test_a_clip_of_one_frame_stays_as_it_is(smoothing: Smoothing) -> None:
    inputs = scene(1)
    np.testing.assert_array_equal(pixels_of(run(as_frames(inputs), inputs, smoothing))[0], inputs[0])


def test_a_translation_that_does_not_flicker_stays_nearly_as_it_is_where_all_stands_still(
    smoothing: Smoothing,
) -> None:
    inputs = [one + np.uint8(i % 2) for i, one in enumerate(scene(1) * 6)]
    outputs = [steady_truth(inputs)[0]] * 6
    assert np.abs(pixels_of(run(as_frames(inputs), outputs, smoothing)).astype(int) - outputs).max() <= 2


@pytest.mark.parametrize("method", ["recursion", "ema"])
def test_no_strength_is_no_smoothing(method: str) -> None:
    assert open_smoothing(method, strength=0) is None
    assert open_smoothing("off") is None


@pytest.mark.parametrize("method", METHODS)
def test_strength_moves_between_the_frames_and_their_mean(method: str) -> None:
    inputs = scene(8)
    outputs = with_flicker(steady_truth(inputs))
    changes = [
        np.abs(
            pixels_of(run(as_frames(inputs), outputs, opened(method, strength))).astype(int) - outputs
        ).mean()
        for strength in (0.02, 0.2, 1.0)
    ]
    assert changes[0] < changes[1] < changes[2]


# Of the recursion alone


def gain_db(inputs: list[Any], outputs: list[Any], truth: list[Any], method: str = "recursion") -> float:
    """By how many dB the smoothed outputs are nearer to the truth; the first frames are left out."""
    steadied = pixels_of(run(as_frames(inputs), outputs, opened(method)))
    return psnr(steadied[3:], np.stack(truth)[3:]) - psnr(np.stack(outputs)[3:], np.stack(truth)[3:])


def test_flicker_goes_and_the_picture_stays() -> None:
    inputs = scene(12)
    truth = steady_truth(inputs)
    outputs = with_flicker(truth)
    assert gain_db(inputs, outputs, truth) > 4
    assert gain_db(inputs, outputs, truth, "recursion, looking ahead") > gain_db(inputs, outputs, truth)
    assert gain_db(inputs, outputs, truth, "ema") < gain_db(inputs, outputs, truth) - 2


@pytest.mark.parametrize("speed", [0.0, 1.5, 6.0])
def test_it_is_never_worse_than_each_frame_alone(speed: float) -> None:
    inputs = scene(10, speed=speed)
    truth = steady_truth(inputs)
    assert gain_db(inputs, with_flicker(truth), truth) > 0


def test_fades_are_never_worse_than_each_frame_alone() -> None:
    lights = 1 - 0.75 * np.abs(np.sin(np.linspace(0, np.pi, 14)))
    inputs = [np.rint(one * light).astype(np.uint8) for one, light in zip(scene(14), lights, strict=True)]
    truth = steady_truth(inputs)
    assert gain_db(inputs, with_flicker(truth), truth) > 0


def test_a_fast_thing_in_front_is_never_worse_and_leaves_no_ghost() -> None:
    inputs, thing = scene(8, speed=0.5), scene(1, seed=5, size=(30, 24))[0]
    places = range(0, 64, 9)
    for one, left in zip(inputs, places, strict=True):
        one[20:50, left : left + 24] = thing // 2
    truth = steady_truth(inputs)
    outputs = with_flicker(truth)
    assert gain_db(inputs, outputs, truth) > 0
    steadied = pixels_of(run(as_frames(inputs), outputs, opened("recursion")))
    # Where it was a moment ago, and is no more.
    uncovered = np.s_[3:, 20:50, 2:9]
    error, before = (
        np.abs(some[uncovered].astype(int) - np.stack(truth)[uncovered]).mean()
        for some in (steadied, np.stack(outputs))
    )
    assert error < before


def test_twice_the_rate_is_averaged_over_the_same_time() -> None:
    truth, many = scene(1), 40
    inputs = [truth[0] + np.uint8(i % 2) for i in range(many)]
    still = steady_truth(truth) * many
    outputs = with_flicker(still)
    slow = run(as_frames(inputs[:20], range(0, 960, 48)), outputs[:20])
    fast = run(as_frames(inputs, range(0, 960, 24), duration=24), outputs)
    ages = [float(some[-1].carry.memory.age.mean()) for some in (slow, fast)]
    assert ages[0] == pytest.approx(ages[1], rel=0.15)


def test_deep_pixels_are_steadied_as_those_of_8_bits() -> None:
    inputs = scene(6)
    outputs = with_flicker(steady_truth(inputs))
    deep_inputs, deep_outputs = (
        [one.astype(np.uint16) * np.uint16(257) for one in some] for some in (inputs, outputs)
    )
    plain = pixels_of(run(as_frames(inputs), outputs))
    deep = pixels_of(run(as_frames(deep_inputs), deep_outputs))
    assert np.abs(deep / 257 - plain).max() < 2


def test_the_number_of_threads_changes_nothing() -> None:
    inputs = scene(5, size=(270, 480))
    outputs = with_flicker(steady_truth(inputs))
    num_threads = cv2.getNumThreads()
    try:
        made = []
        for number in (1, 2, 5):
            cv2.setNumThreads(number)
            made.append(pixels_of(run(as_frames(inputs), outputs)))
    finally:
        cv2.setNumThreads(num_threads)
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])


def test_a_cut_is_found_and_fast_motion_is_none() -> None:
    inputs = [*scene(3, speed=6.0), *scene(3, seed=3), np.full_like(scene(1)[0], 9)]
    inputs.append(inputs[-1])
    kinds = [tracked.kind for tracked in track_all(as_frames(inputs))]
    assert kinds == ["cut", "next", "next", "cut", "next", "next", "cut", "same"]


def test_motion_points_to_where_a_pixel_was() -> None:
    first, second = scene(2, speed=3.0, size=(96, 128))
    motion = find_motion(look_at(second), look_at(first))
    assert motion is not None
    # The camera goes to the right by 3 and down by half of it.
    assert float(np.median(motion.x)) == pytest.approx(3.0, abs=0.3)
    assert float(np.median(motion.y)) == pytest.approx(1.5, abs=0.3)
    assert float(np.median(motion.confidence)) > 0.8


def test_statistics_inside_a_network_are_for_eager_alone() -> None:
    asked = ConvertOptions(smooth="norm-statistics")
    assert engine_for(asked) == "eager"
    assert engine_for(replace(asked, engine="eager")) == "eager"
    assert engine_for(ConvertOptions(engine="openvino")) == "openvino"
    with pytest.raises(EngineError, match="'openvino' cannot smooth the statistics"):
        engine_for(replace(asked, engine="openvino"))


def test_a_field_is_sampled_where_the_way_leads_and_goes_on_at_its_border() -> None:
    columns, rows = np.meshgrid(np.arange(34, dtype=np.float32), np.arange(21, dtype=np.float32))
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-3, 3, (21, 34)).astype(np.float32) for _ in range(2))
    wanted = (columns + x).clip(0, 33) + 10 * (rows + y).clip(0, 20)
    # OpenCV's bilinear weights are of 32 steps.
    np.testing.assert_allclose(pull(columns + 10 * rows, (x, y)), wanted, atol=11 / 32)
