"""The arithmetic at full size: PyTorch, on any device, gives what OpenCV gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from i2itool.temporal.by_opencv import ByOpenCv
from i2itool.temporal.by_torch import ByTorch
from i2itool.temporal.pixelwise import Pixelwise, Remembered
from i2itool.temporal.stream import open_smoothing
from tests.temporal.conftest import as_frames, pixels_of, run, scene, steady_truth, with_flicker

NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.cuda, NO_CUDA])]
SIZES = [(1, 1), (1, 9), (7, 5), (2, 3), (33, 31), (72, 96), (97, 481), (270, 480), (301, 640)]


@pytest.fixture(params=DEVICES)
def by_torch(request: pytest.FixtureRequest) -> ByTorch:
    return ByTorch(torch.device(request.param))


def array(plane: Any) -> NDArray[Any]:  # Any: an array or a tensor
    return plane if isinstance(plane, np.ndarray) else plane.cpu().numpy()


def field(random: np.random.Generator, *shape: int, scale: float = 1.0) -> NDArray[np.float32]:
    return (scale * random.normal(size=shape)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_brightness_is_the_same_to_the_bit(by_torch: ByTorch, dtype: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (64, 65, 3), dtype, endpoint=True)
    np.testing.assert_array_equal(array(by_torch.luma(pixels)), ByOpenCv().luma(pixels))


@pytest.mark.parametrize("size", SIZES)
def test_each_operation_is_the_same_up_to_rounding(by_torch: ByTorch, size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    small, coarse = (tuple(max(1, side // by) for side in size) for by in (2, 5))
    pixels = random.integers(0, 256, (*size, 3), np.uint8)
    made, old = field(random, *size, scale=40), field(random, *size, scale=40)
    pair, factor = field(random, 2, *coarse), field(random, *coarse)
    x, y, share = (field(random, *small, scale=scale) for scale in (3.0, 1.0, 0.3))

    def results(work: Pixelwise) -> dict[str, Any]:
        work.begin()
        given, plane = work.luma(pixels), work.plus_affine(work.luma(pixels), pair, work.luma(pixels))
        mean = work.mean_along(plane, [Remembered(old, x, y, share), Remembered(made, y, x, share)])
        structure = work.structure(mean)
        planes = {"affine": plane, "mean": mean, "structure": structure}
        planes["product"] = work.plus_product(given, factor, structure)
        return {name: array(one) for name, one in planes.items()} | {"energy": work.energy(structure, coarse)}

    expected, found = results(ByOpenCv()), results(by_torch)
    for name, values in expected.items():
        bound = 1e-4 * (1 + np.abs(values).max())
        np.testing.assert_allclose(found[name], values, rtol=0, atol=bound, err_msg=name)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_frames_are_the_same_but_for_a_level(by_torch: ByTorch, size: tuple[int, int], dtype: Any) -> None:
    top = 257 if dtype == np.uint16 else 1
    inputs = [np.asarray(one.astype(dtype) * top, dtype) for one in [*scene(3, size=size), *scene(2, seed=4)]]
    inputs = [one[: size[0], : size[1]] for one in inputs]
    outputs = with_flicker(steady_truth(inputs))
    expected, found = (
        pixels_of(run(as_frames(inputs[:3]), outputs[:3], open_smoothing("recursion", pixelwise=work)))
        for work in (ByOpenCv(), by_torch)
    )
    apart = np.abs(expected.astype(int) - found)
    # Rounding may fall either way; of 16 bits one level more or less is nothing.
    assert apart.max() <= (1 if top == 1 else 8)
    assert (apart > top // 64).mean() < 0.002


def test_cuts_pauses_and_looking_ahead_are_those_of_the_processor(by_torch: ByTorch) -> None:
    inputs = [*scene(4), *scene(4, seed=7)]
    inputs.insert(2, inputs[1])
    frames, outputs = as_frames(inputs), with_flicker(steady_truth(inputs))
    for lookahead in (0, 2):
        smoothing = open_smoothing("recursion", lookahead=lookahead, pixelwise=by_torch)
        assert smoothing is not None
        whole = run(frames, outputs, smoothing)
        found = pixels_of(whole)
        expected = pixels_of(run(frames, outputs, open_smoothing("recursion", lookahead=lookahead)))
        assert np.abs(found.astype(int) - expected).max() <= 1
        for first in (0, 5):
            np.testing.assert_array_equal(found[first], outputs[first])

        arrays = whole[2].carry.arrays()
        assert all(isinstance(values, np.ndarray) for values in arrays.values())
        rest = run(frames[3:], outputs[3:], smoothing, carry=smoothing.restored(arrays))
        np.testing.assert_array_equal(pixels_of(rest), found[3:])


def test_what_the_processor_left_is_taken_up_on_a_device(by_torch: ByTorch) -> None:
    inputs = scene(6)
    frames, outputs = as_frames(inputs), with_flicker(steady_truth(inputs))
    whole, on_device = run(frames, outputs), open_smoothing("recursion", pixelwise=by_torch)
    assert on_device is not None
    rest = run(frames[3:], outputs[3:], on_device, carry=on_device.restored(whole[2].carry.arrays()))
    assert np.abs(pixels_of(rest).astype(int) - pixels_of(whole)[3:]).max() <= 1
