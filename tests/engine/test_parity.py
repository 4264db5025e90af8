"""Every build is held against PyTorch on real pictures, once, and demoted or refused if it is too far off."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from i2itool.engine import ENGINES, open_engine, parity
from i2itool.engine.base import Build
from i2itool.engine.eager import EagerEngine
from i2itool.engine.parity import Verdict, compare
from i2itool.errors import EngineError
from i2itool.networks import build
from i2itool.options import Precision

SIZE = (16, 24)


class Inexact(EagerEngine):
    """PyTorch, but wrong: by a tenth in bf16, and without a number in fp16."""

    name = "openvino"

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[Precision, ...]:
        return ("fp16", "bf16", "fp32")

    def __init__(self, made_of: Build) -> None:
        super().__init__(Build(made_of.network, made_of.size, made_of.batch_size, made_of.device, "fp32"))
        self.precision = made_of.precision

    def _translate(self, batch: Tensor) -> Tensor:
        errors = {"fp16": math.nan, "bf16": 0.1, "fp32": 0.0}
        return super()._translate(batch) + errors[self.precision]


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(2)
    return build("resnet", width=2, blocks=1)


@pytest.fixture
def inexact(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An engine in OpenVINO's place; it is no subclass that the gate lets through."""
    monkeypatch.setenv("I2ITOOL_CACHE", str(tmp_path))
    monkeypatch.setattr("i2itool.engine.openvino.OpenVinoEngine", Inexact)
    monkeypatch.setattr(parity, "EagerEngine", type("Exact", (EagerEngine,), {}))


def sample() -> Tensor:
    return torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_psnr_is_that_of_outputs_from_minus_one_to_one() -> None:
    expected = torch.zeros(1, 3, 4, 4)
    assert compare(expected + 0.02, expected).psnr_db == pytest.approx(10 * math.log10(4 / 0.02**2), abs=1e-4)
    assert not compare(expected / 0, expected).is_finite
    assert compare(expected, expected).complaint("fp32") is None


@pytest.mark.parametrize(
    ("precision", "psnr_db", "passes"),
    [("bf16", 39.9, False), ("bf16", 40.0, True), ("int8", 34.9, False), ("int8", 35.0, True)],
)
def test_int8_may_be_further_off_than_the_others(precision: str, psnr_db: float, passes: bool) -> None:
    assert (Verdict(True, psnr_db).complaint(precision) is None) == passes


@pytest.mark.usefixtures("inexact")
def test_precision_is_demoted_until_the_output_is_right(
    network: nn.Module, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="i2itool.engine")
    with open_engine("openvino", network, size=SIZE, device="cpu", sample=sample) as engine:
        assert engine.precision == "fp32"
    assert any("fp16 skipped" in line and "not finite" in line for line in caplog.messages)
    assert any("bf16 skipped" in line and "26.0 dB" in line for line in caplog.messages)


@pytest.mark.usefixtures("inexact")
def test_a_precision_asked_for_is_refused_rather_than_replaced(network: nn.Module) -> None:
    with pytest.raises(EngineError, match=r"bf16 is refused.* dB from float32"):
        open_engine("openvino", network, size=SIZE, device="cpu", precision="bf16", sample=sample)


@pytest.mark.usefixtures("inexact")
def test_auto_goes_on_to_the_next_engine(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inexact, "precisions", classmethod(lambda cls, device: ("bf16",)))
    with open_engine("auto", network, size=SIZE, device="cpu", sample=sample) as engine:
        assert engine.name == "eager"


@pytest.mark.usefixtures("inexact")
def test_a_build_is_judged_once(network: nn.Module) -> None:
    calls = []

    def counted() -> Tensor:
        calls.append(1)
        return sample()

    def open_once(sample: Callable[[], Tensor]) -> None:
        open_engine("openvino", network, size=SIZE, device="cpu", precision="fp32", sample=sample).close()

    open_once(counted)
    assert calls
    calls.clear()
    open_once(counted)
    assert not calls


def test_every_engine_here_passes_on_its_own_sample(network: nn.Module) -> None:
    for name in ("openvino", "eager"):
        assert name in ENGINES
        with open_engine(name, network, size=SIZE, batch_size=2, device="cpu", sample=sample) as engine:
            assert engine.size == SIZE
            assert engine.batch_size == 2
