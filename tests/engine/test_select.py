"""Which engine is opened, what is refused, and what is said about it."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
import torch
from torch import nn

from i2itool.engine import ENGINES, open_engine, select
from i2itool.errors import EngineError, MissingExtra
from i2itool.networks import build

SIZE = (16, 16)


@pytest.fixture
def network() -> nn.Module:
    return build("resnet", width=2, blocks=1)


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ladder of a machine that lacks OpenVINO: its rung asks for a package that nobody has."""
    lacking = select.Rung(
        "i2itool.engine.openvino", "OpenVinoEngine", "openvino_lacking", "openvino", ("cpu",)
    )
    monkeypatch.setitem(ENGINES, "openvino", lacking)


def test_auto_takes_openvino_on_a_cpu(network: nn.Module, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="i2itool.engine")
    with open_engine("auto", network, size=SIZE, device="cpu") as engine:
        assert engine.name == "openvino"
    assert f"engine: openvino ({engine.precision}) on cpu, chosen by 'auto'" in caplog.messages


@pytest.mark.usefixtures("without_openvino")
def test_auto_falls_back_and_says_why(network: nn.Module, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="i2itool.engine")
    with open_engine("auto", network, size=SIZE, device="cpu") as engine:
        assert engine.name == "eager"
    assert any("openvino skipped" in line and "openvino_lacking" in line for line in caplog.messages)


@pytest.mark.usefixtures("without_openvino")
def test_an_engine_asked_for_by_name_is_never_replaced(network: nn.Module) -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'openvino'"):
        open_engine("openvino", network, size=SIZE)


def test_a_package_that_is_there_but_broken_is_told_apart(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = select.Rung("i2itool.engine.no_such_module", "Nothing", "torch", "torch", ("cpu",))
    monkeypatch.setitem(ENGINES, "eager", broken)
    with pytest.raises(EngineError, match="installed but broken"):
        open_engine("eager", network, size=SIZE, device="cpu")


class Unconvertible(nn.Module):
    """A network whose result hangs on an operator that OpenVINO has not got."""

    multiple_of = 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = x * torch.special.bessel_j0(x).mean()
        return output


def test_auto_falls_back_when_openvino_cannot_compile(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="i2itool.engine")
    with open_engine("auto", Unconvertible(), size=SIZE, device="cpu") as engine:
        assert engine.name == "eager"
    assert any("OpenVINO cannot compile" in line for line in caplog.messages)
    with pytest.raises(EngineError, match="OpenVINO cannot compile"):
        open_engine("openvino", Unconvertible(), size=SIZE)


def test_an_unknown_engine_is_refused_with_the_known_ones(network: nn.Module) -> None:
    with pytest.raises(
        EngineError, match=r"unknown engine: fastest .*auto, tensorrt, inductor, openvino, eager, tiles"
    ):
        open_engine("fastest", network, size=SIZE)


@pytest.mark.parametrize("size", [(18, 16), (16, 18), (0, 16), (-4, 16)])
def test_a_size_that_the_network_cannot_take_is_refused(network: nn.Module, size: tuple[int, int]) -> None:
    with pytest.raises(EngineError, match="multiples of 4"):
        open_engine("auto", network, size=size)


def test_an_empty_batch_size_is_refused(network: nn.Module) -> None:
    with pytest.raises(EngineError, match="batch size 0"):
        open_engine("auto", network, size=SIZE, batch_size=0)


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta", ""])
@pytest.mark.parametrize("name", ["auto", "eager", "openvino"])
def test_a_device_that_is_not_there_is_refused(network: nn.Module, name: str, device: str) -> None:
    with pytest.raises(EngineError, match="device"):
        open_engine(name, network, size=SIZE, device=device)


def test_a_precision_that_no_engine_has_here_is_refused_in_a_few_words(network: nn.Module) -> None:
    with pytest.raises(EngineError) as caught:
        open_engine("auto", network, size=SIZE, device="cpu", precision="fp16")
    assert caught.value.message == "no engine computes in fp16 on cpu here"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("one of auto, ")
    assert "fp32" in caught.value.hint


def test_importing_the_package_imports_no_engine() -> None:
    code = "import sys, i2itool.engine; print('openvino' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_openvino_is_loaded_without_its_telemetry(network: nn.Module) -> None:
    with open_engine("openvino", network, size=SIZE):
        assert not any(name.startswith("openvino_telemetry") for name in sys.modules)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_auto_takes_the_gpu_where_there_is_one(network: nn.Module) -> None:
    batch = torch.rand(2, 3, *SIZE) * 2 - 1
    with (
        open_engine("auto", network, size=SIZE, batch_size=2) as on_gpu,
        open_engine("eager", network, size=SIZE, batch_size=2, device="cpu") as on_cpu,
    ):
        assert on_gpu.name == "eager"
        found = on_gpu(batch)
        assert found.device.type == "cpu"
        torch.testing.assert_close(found, on_cpu(batch), rtol=1e-3, atol=1e-4)
