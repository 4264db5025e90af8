"""Int8: near enough to float32 on pictures that it has not seen, or refused; and nothing sent anywhere."""

from __future__ import annotations

import ctypes
import logging
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2itool.engine import open_engine
from i2itool.engine import quantise as quantise_module
from i2itool.engine.base import Build
from i2itool.engine.cache import blob_key, build_identity
from i2itool.engine.openvino import compile_model, convert
from i2itool.engine.parity import compare
from i2itool.engine.quantise import count_int8, quantise
from i2itool.errors import EngineError, MissingExtra
from i2itool.networks import build
from i2itool.options import Precision

pytestmark = pytest.mark.skipif(find_spec("nncf") is None, reason="needs nncf: pip install 'i2itool[int8]'")

SIZE = (32, 64)
WIDE_NETWORKS: dict[str, dict[str, Any]] = {
    "resnet": {"width": 8, "blocks": 2, "norm": "instance_affine"},
    "unet": {"width": 4, "depth": 5},
    "unit2018": {"width": 8, "blocks": 1},
}


def pictures(count: int, seed: int = 0) -> Tensor:
    """Smooth waves, another phase for each picture."""
    generator = torch.Generator().manual_seed(seed)
    phase = torch.rand(count, 3, 1, 1, generator=generator) * 6
    y, x = torch.linspace(0, 5, SIZE[0])[:, None], torch.linspace(0, 7, SIZE[1])
    return torch.sin(x + phase) * torch.cos(y * 2 - phase)


def make_build(network: nn.Module, *, count: int = 6) -> Build:
    cpu = torch.device("cpu")
    return Build(network, SIZE, 1, cpu, "int8", lambda: pictures(count))


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(3)
    return build("resnet", **WIDE_NETWORKS["resnet"]).eval()


class Spiky(nn.Module):
    """What 8 bits cannot hold: one channel a thousand times as large as the one that matters."""

    multiple_of = 4

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(6, 3, 1)
        with torch.no_grad():
            self.last.weight.zero_()
            self.last.weight[:, 3:, 0, 0] = torch.eye(3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.last(torch.cat([x * 1000, x], 1)))


@pytest.mark.parametrize("name", WIDE_NETWORKS)
def test_a_quantised_network_is_near_float32_on_pictures_never_seen(name: str) -> None:
    torch.manual_seed(3)
    network = build(name, **WIDE_NETWORKS[name]).eval()
    compiled = compile_model(quantise(make_build(network)), "int8")
    unseen = pictures(2, seed=99)
    found = torch.cat([torch.tensor(compiled([picture[None].numpy()])[0]) for picture in unseen])
    with torch.no_grad():
        verdict = compare(found, network(unseen))
    assert verdict.complaint("int8") is None, verdict


def test_only_convolutions_are_quantised_and_all_of_them_if_that_will_do(resnet: nn.Module) -> None:
    model = quantise(make_build(resnet))
    num_int8, num_all = count_int8(model)
    assert num_int8 == num_all == 3 + 2 * 2 + 3
    readers = {
        target.get_node().get_type_name()
        for node in model.get_ops()
        if node.get_type_name() == "FakeQuantize"
        for target in node.output(0).get_target_inputs()
    }
    assert readers <= {"Convolution", "ConvolutionBackpropData", "Pad"}


def test_the_most_sensitive_convolutions_go_back_until_it_is_enough(resnet: nn.Module) -> None:
    plain = psnr_db_held_out(quantise(make_build(resnet)), resnet)
    model = quantise(make_build(resnet), enough_psnr_db=plain + 3)
    num_int8, num_all = count_int8(model)
    assert 0 < num_int8 < num_all
    assert psnr_db_held_out(model, resnet) > plain


class SignalStack(ctypes.Structure):
    """What the system calls stack_t."""

    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def signal_stack() -> tuple[int | None, int]:
    """Where this thread handles signals, and on how many bytes."""
    stack = SignalStack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return stack.start, stack.size


@pytest.mark.skipif(sys.platform != "linux", reason="the layout is that of Linux")
def test_the_thread_keeps_the_stack_that_it_handles_signals_on(resnet: nn.Module) -> None:
    """Or the next Ctrl-C would be a segmentation fault."""
    compile_model(convert(resnet), "fp32")  # OpenVINO's core takes one of its own, and keeps it
    before = signal_stack()
    plain = psnr_db_held_out(quantise(make_build(resnet)), resnet)
    quantise(make_build(resnet), enough_psnr_db=plain + 3)
    assert signal_stack() == before


def psnr_db_held_out(model: Any, network: nn.Module) -> float:
    held_out = pictures(6)[:2]
    compiled = compile_model(model, "int8")
    found = torch.cat([torch.tensor(compiled([picture[None].numpy()])[0]) for picture in held_out])
    with torch.no_grad():
        return compare(found, network(held_out)).psnr_db


def test_what_8_bits_cannot_hold_is_refused_and_bf16_or_fp32_taken(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(EngineError, match="int8 does not come near enough"):
        quantise(make_build(Spiky()))
    caplog.set_level(logging.WARNING, logger="i2itool.engine")
    sample = pictures(3)
    with open_engine("openvino", Spiky(), size=SIZE, precision="int8", sample=lambda: sample) as engine:
        assert engine.precision in ("bf16", "fp32")
    assert any("openvino in int8 skipped" in message for message in caplog.messages), caplog.messages


def test_without_pictures_it_is_refused(resnet: nn.Module) -> None:
    with pytest.raises(EngineError, match="pictures to calibrate on"):
        quantise(Build(resnet, SIZE, 1, torch.device("cpu"), "int8"))


def test_without_nncf_it_is_refused_with_the_remedy(
    resnet: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"i2itool\[int8\]"):
        quantise(make_build(resnet))


def test_large_pictures_are_calibrated_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantise_module, "_MOST_PIXELS", 1000)
    shrunk = quantise_module._shrunk(pictures(2), 4)
    assert shrunk.shape == (2, 3, 24, 48)
    assert quantise_module._shrunk(pictures(2)[:, :, :16, :16], 4).shape == (2, 3, 16, 16)


def test_what_was_calibrated_on_other_pictures_is_another_build(resnet: nn.Module) -> None:
    def key(sample: Callable[[], Tensor], precision: Precision = "int8") -> str:
        build = Build(resnet, SIZE, 1, torch.device("cpu"), precision, sample)
        return blob_key(build_identity("openvino", build, is_any_size=True))

    assert key(lambda: pictures(2)) == key(lambda: pictures(2))
    assert key(lambda: pictures(2)) != key(lambda: pictures(2, seed=1))
    assert key(lambda: pictures(2), "bf16") == key(lambda: pictures(2, seed=1), "bf16")


def test_nncf_prints_nothing(resnet: nn.Module, capfd: pytest.CaptureFixture[str]) -> None:
    quantise(make_build(resnet, count=2))
    assert capfd.readouterr() == ("", "")


def test_nncf_is_loaded_without_its_telemetry() -> None:
    # In a process of its own: NNCF turns it off by itself where it sees pytest.
    code = (
        "import sys; from i2itool.engine.quantise import _quiet_nncf\n"
        "with _quiet_nncf(): import nncf.telemetry\n"
        "print(type(nncf.telemetry.telemetry).__name__, 'openvino_telemetry' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["MagicMock", "False"]
