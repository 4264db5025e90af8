"""What every engine promises, held against PyTorch itself; a new engine adds a line to `CASES`."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from i2itool.engine import ENGINES, Engine, open_engine
from i2itool.engine.select import load_kind
from i2itool.errors import EngineError
from i2itool.networks import build
from i2itool.options import PRECISIONS
from i2itool.pixels import to_network, to_pixels

HEIGHT, WIDTH, BATCH = 32, 48, 3
PSNR_DB = {"bf16": 40.0, "fp16": 40.0, "int8": 35.0}

# Engine, then a precision if it is not to be the best that the engine has.
CASES = ("eager", "tiles", "openvino", "openvino-fp32", "openvino-int8", "inductor", "tensorrt")
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("resnet", {"width": 4, "blocks": 2}),
    "resnet-affine-dropout": (
        "resnet",
        {"width": 4, "blocks": 2, "norm": "instance_affine", "dropout": True},
    ),
    "resnet-batch-resize": ("resnet", {"width": 4, "blocks": 2, "norm": "batch", "upsample": "resize"}),
    "light": ("light", {"width": 4, "blocks": 1, "factor": 4}),
    "light-gain": ("light", {"width": 4, "blocks": 1, "factor": 4, "gain": True}),
    "smallest": ("resnet", {"width": 2, "blocks": 0}),
    "unet": ("unet", {"width": 2, "depth": 5, "dropout": True}),
    "unet-batch-resize": ("unet", {"width": 2, "depth": 5, "norm": "batch", "upsample": "resize"}),
    "unit": ("unit", {"width": 4, "blocks": 1}),
    "unit-resize": ("unit", {"width": 4, "blocks": 1, "upsample": "resize"}),
    "unit2018": ("unit2018", {"width": 4, "blocks": 1}),
}


@dataclass
class Opened:
    engine: Engine
    network: nn.Module


def make_network(label: str) -> nn.Module:
    name, hyper = NETWORKS[label]
    torch.manual_seed(1)
    return build(name, **hyper)


def open_case(
    case: str, network: nn.Module, size: tuple[int, int], batch_size: int, *, is_sampled: bool = False
) -> Engine:
    name, _, precision = case.partition("-")
    types = ENGINES[name].device_types
    device = types[0] if torch.cuda.is_available() or "cpu" not in types else "cpu"
    if not torch.cuda.is_available() and device == "cuda":
        pytest.skip(f"engine '{name}' needs a CUDA device")
    if find_spec(ENGINES[name].needs) is None:
        pytest.skip(f"engine '{name}' needs the package {ENGINES[name].needs}")
    if precision == "int8" and find_spec("nncf") is None:
        pytest.skip("int8 needs the package nncf")
    is_sampled |= precision == "int8"  # it is calibrated
    sample = (lambda: pictures(batch_size, height=size[0], width=size[1])) if is_sampled else None
    return open_engine(
        name,
        network,
        size=size,
        batch_size=batch_size,
        device=device,
        precision=precision or "auto",
        sample=sample,
    )


def network_for(case: str) -> str:
    """A network that is quick to compile where compilation is slow; tests share what it has compiled."""
    return "smallest" if case == "inductor" else "resnet"


def pictures(count: int, *, seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, height, width, generator=generator) * 2 - 1


def reference(network: nn.Module, batch: Tensor) -> Tensor:
    with torch.no_grad():
        output: Tensor = network.eval()(batch)
    return output


def assert_equal_enough(found: Tensor, expected: Tensor, precision: str) -> None:
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    if precision == "fp32":
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        return
    error = (found - expected).square().mean()
    psnr_db = 10 * torch.log10(4 / error)
    assert psnr_db >= PSNR_DB[precision]


@pytest.fixture(scope="module", params=CASES)
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    network = make_network(network_for(request.param))
    with open_case(request.param, network, (HEIGHT, WIDTH), BATCH) as engine:
        yield Opened(engine, network)


def test_every_engine_of_the_ladder_is_in_the_suite() -> None:
    assert set(ENGINES) <= set(CASES)


@pytest.mark.parametrize(
    ("case", "label"),
    [("eager", "resnet"), ("eager", "unit2018")]
    + [(case, label) for case in ("tensorrt", "inductor") for label in NETWORKS]
    + [("openvino-fp32", label) for label in NETWORKS]
    + [("openvino-bf16", label) for label in ("resnet", "unet", "unit", "unit2018")],
)
def test_the_output_equals_pytorchs(case: str, label: str) -> None:
    if case == "inductor" and not torch.cuda.is_available():
        pytest.skip("compiling every network takes minutes on a CPU; one is, below")
    network = make_network(label)
    # Not the size that a network is traced at: nothing of that may be baked in.
    size = (96, 64) if label.startswith("unet") else (20, 36)
    with open_case(case, network, size, 2) as engine:
        found = engine(pictures(2, height=size[0], width=size[1]))
    expected = reference(network, pictures(2, height=size[0], width=size[1]))
    assert_equal_enough(found, expected, engine.precision)


def test_a_batch_may_be_shorter_than_the_batch_size(opened: Opened) -> None:
    for count in range(1, BATCH + 1):
        found = opened.engine(pictures(count))
        assert_equal_enough(found, reference(opened.network, pictures(count)), opened.engine.precision)


def test_a_later_call_leaves_earlier_results_alone(opened: Opened) -> None:
    first = opened.engine(pictures(BATCH, seed=0))
    kept = first.clone()
    second = opened.engine(pictures(BATCH, seed=1))
    assert torch.equal(first, kept)
    assert not torch.equal(first, second)


def test_a_picture_does_not_depend_on_its_neighbours(opened: Opened) -> None:
    batch = pictures(BATCH)
    others = torch.cat([batch[:1], pictures(BATCH - 1, seed=7)])
    torch.testing.assert_close(opened.engine(batch)[0], opened.engine(others)[0], rtol=0, atol=1e-6)


def test_the_input_is_left_alone(opened: Opened) -> None:
    batch = pictures(BATCH)
    opened.engine(batch)
    assert torch.equal(batch, pictures(BATCH))


def test_any_memory_layout_is_taken(opened: Opened) -> None:
    strided = pictures(BATCH).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(opened.engine(strided), opened.engine(pictures(BATCH)), rtol=0, atol=1e-6)


def test_the_output_may_be_altered_and_enter_autograd(opened: Opened) -> None:
    output = opened.engine(pictures(1)).mul_(2)
    weight = torch.ones((), requires_grad=True)
    (gradient,) = torch.autograd.grad((output * weight).sum(), weight)
    torch.testing.assert_close(gradient, output.sum())


def test_bytes_give_what_floats_give(opened: Opened) -> None:
    generator = np.random.default_rng(5)
    pixels = generator.integers(0, 256, (BATCH, HEIGHT, WIDTH, 3), np.uint8)
    kept = pixels.copy()
    found = opened.engine.translate_pixels(pixels)
    expected = to_pixels(opened.engine(to_network(pixels)), height=HEIGHT, width=WIDTH)
    assert found.dtype == np.uint8
    assert found.shape == pixels.shape
    difference = found.astype(float) - expected
    if opened.engine.precision == "fp32":
        assert np.abs(difference).max() <= 1
    else:
        # Sums in 16 bits and fewer hang on their order.
        error = max(np.square(difference).mean(), 1e-9)
        assert 10 * np.log10(255**2 / error) >= PSNR_DB[opened.engine.precision]
    np.testing.assert_array_equal(pixels, kept)


def test_a_later_call_leaves_earlier_bytes_alone(opened: Opened) -> None:
    dark, light = (np.full((1, HEIGHT, WIDTH, 3), level, np.uint8) for level in (0, 255))
    dark[:, ::2] = light[:, 1::2] = 99
    first = opened.engine.translate_pixels(dark)
    kept = first.copy()
    opened.engine.translate_pixels(light)
    np.testing.assert_array_equal(first, kept)


def test_an_engine_says_what_it_is(opened: Opened) -> None:
    engine = opened.engine
    assert engine.name in ENGINES
    assert engine.precision in PRECISIONS
    assert (engine.size, engine.batch_size) == ((HEIGHT, WIDTH), BATCH)
    assert engine.device.type in ENGINES[engine.name].device_types
    kind = load_kind(engine.name)
    device = engine.device
    assert engine.precision in (*kind.precisions(device), *kind.opt_in_precisions(device))


@pytest.mark.parametrize(
    "shape",
    [
        (1, 3, 32, 32),
        (1, 1, HEIGHT, WIDTH),
        (BATCH + 1, 3, HEIGHT, WIDTH),
        (0, 3, HEIGHT, WIDTH),
        (3, HEIGHT, WIDTH),
    ],
)
def test_another_shape_is_refused(opened: Opened, shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match="cannot take a batch of shape"):
        opened.engine(torch.zeros(shape))
    with pytest.raises(EngineError, match="cannot take a batch of shape"):
        opened.engine.translate_pixels(np.zeros((BATCH + 1, HEIGHT, WIDTH, 3), np.uint8))


@pytest.mark.parametrize("case", CASES)
def test_closing_twice_is_harmless_and_a_closed_engine_says_so(case: str) -> None:
    engine = open_case(case, make_network(network_for(case)), (HEIGHT, WIDTH), BATCH)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine(pictures(1))


@pytest.mark.parametrize("case", CASES)
def test_the_callers_network_is_neither_altered_nor_shared(case: str) -> None:
    network = make_network(network_for(case)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with open_case(case, network, (HEIGHT, WIDTH), BATCH) as engine:
        expected = engine(pictures(1))
        assert network.training
        assert all(parameter.requires_grad for parameter in network.parameters())
        assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        assert torch.equal(engine(pictures(1)), expected)


@pytest.mark.parametrize("case", CASES)
def test_closing_lets_go_of_the_callers_network(case: str) -> None:
    network = make_network(network_for(case))
    watched = weakref.ref(network)
    engine = open_case(case, network, (HEIGHT, WIDTH), BATCH)
    engine.close()
    del network
    gc.collect()  # tracing leaves cycles
    assert watched() is None
