"""What is OpenVINO's alone."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from i2itool.engine import open_engine
from i2itool.engine.base import Build
from i2itool.engine.demand import bytes_needed
from i2itool.engine.side_by_side import num_side_by_side
from i2itool.networks import build

_ENGINES_COME_AND_GO = """
import gc, os, signal, sys, threading, time
from pathlib import Path
import torch
from i2itool.engine import open_engine
from i2itool.networks import build

def come_and_go():
    network = build("resnet", width=4, blocks=1)
    sample = lambda: torch.rand(8, 3, 32, 32) * 2 - 1
    engine = open_engine(
        "openvino", network, size=(32, 32), device="cpu", precision=sys.argv[1], sample=sample
    )
    engine(torch.zeros(1, 3, 32, 32))
    return engine

first, second = come_and_go(), come_and_go()
engines = [first, second]
del first, second
engines.pop(0).close()
thread = threading.Thread(target=lambda: (engines.pop().close(), gc.collect()))
thread.start()
thread.join()
gc.collect()
# Whoever starts the tests in the background may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_ctrl_c_is_one_also_when_engines_have_come_and_gone(precision: str) -> None:
    if precision == "int8" and find_spec("nncf") is None:
        pytest.skip("int8 needs the package nncf")
    command = [sys.executable, "-c", _ENGINES_COME_AND_GO, precision]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr


def pictures(count: int) -> Tensor:
    return torch.rand(count, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("side_by_side", "openvino", "demand"):
        monkeypatch.setattr(f"i2itool.engine.{module}.num_cores", lambda: 3)


@pytest.mark.usefixtures("three_cores")
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_pictures_side_by_side_come_out_in_their_order(count: int) -> None:
    network = build("resnet", width=4, blocks=1)
    with open_engine(
        "openvino", network, size=(32, 48), batch_size=7, device="cpu", precision="fp32"
    ) as engine:
        found = engine(pictures(count))
        alone = torch.cat([engine(picture[None]) for picture in pictures(count)])
    assert torch.equal(found, alone)
    with torch.no_grad():
        torch.testing.assert_close(found, network.eval()(pictures(count)), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("three_cores")
def test_an_engine_goes_on_when_the_number_side_by_side_changes() -> None:
    network = build("resnet", width=4, blocks=1)
    with open_engine("openvino", network, size=(32, 48), device="cpu", precision="fp32") as engine:
        alone = engine(pictures(1))
        assert engine.resize((32, 48), 5)
        found = engine(pictures(5))
        assert engine.resize((32, 48), 1)
        assert torch.equal(engine(pictures(1)), alone)
    torch.testing.assert_close(found[:1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("three_cores")
def test_memory_is_asked_for_all_pictures_side_by_side() -> None:
    network, cpu = build("resnet", width=4, blocks=1), torch.device("cpu")
    needed = {
        count: bytes_needed("openvino", Build(network, (64, 64), count, cpu, "fp32"))
        for count in (1, 2, 3, 9)
    }
    assert needed[2] == pytest.approx(2 * needed[1], rel=0.01)
    assert needed[9] == needed[3] == pytest.approx(3 * needed[1], rel=0.01)
    assert num_side_by_side(9) == 3


@pytest.mark.parametrize("num_streams", [1, 2])
def test_threads_are_tied_to_no_core_that_a_codec_may_need(num_streams: int) -> None:
    from i2itool.engine.openvino import compile_model, convert

    model = convert(build("light", width=8, blocks=1), (1, 3, 32, 32))
    assert not compile_model(model, "fp32", num_streams).get_property("ENABLE_CPU_PINNING")
