"""When memory runs out the work goes on by smaller steps, each told of, and every picture comes out."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from i2itool.engine import demand, eager, select
from i2itool.engine.base import Build
from i2itool.engine.ladder import Step, below
from i2itool.engine.memory import is_out_of_memory, out_of_memory_told
from i2itool.engine.select import Wish
from i2itool.errors import OutOfMemory
from i2itool.networks import build
from i2itool.translator import Translator

AUTO = Wish()


def descent(step: Step, wished: Wish, device_type: str) -> list[tuple[str, str, int]]:
    """Every step below one, as engine, device and pictures at once."""
    found = []
    while (lower := below(step, wished, device_type)) is not None:
        step = lower
        device_type = "cpu" if step.wish.device == "cpu" else device_type
        found.append((step.wish.engine, step.wish.device, step.batch_size))
    return found


def test_the_ladder_goes_by_smaller_batches_and_tiles_to_the_cpu() -> None:
    assert descent(Step(AUTO, 4), AUTO, "cuda") == [
        ("auto", "auto", 2),
        ("auto", "auto", 1),
        ("tiles", "auto", 1),
        ("auto", "cpu", 1),
        ("tiles", "cpu", 1),
    ]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(engine="openvino"), [("openvino", "auto", 1)]),
        (Wish(precision="bf16", device="cpu"), [("auto", "cpu", 1)]),
        (Wish(device="cuda"), [("auto", "cuda", 1), ("tiles", "cuda", 1)]),
    ],
)
def test_what_was_asked_for_is_not_replaced(wish: Wish, expected: list[tuple[str, str, int]]) -> None:
    assert descent(Step(wish, 2), wish, wish.device if wish.device != "auto" else "cuda") == expected


class Tight(eager.EagerEngine):
    """PyTorch on a device that has room for so many pictures at once, and says so as CUDA does."""

    room = 1

    def _translate(self, batch: Tensor) -> Tensor:
        with out_of_memory_told(self.device, len(batch), self.size):
            if len(batch) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super()._translate(batch)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(1)
    return build("resnet", width=2, blocks=1)


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose only engine is `Tight`."""
    monkeypatch.setattr(eager, "EagerEngine", Tight)
    monkeypatch.setattr(select, "LADDER", (("eager", "cpu"),))


def pictures(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, 18, 22, 3), np.uint8)


@pytest.mark.usefixtures("tight")
@pytest.mark.parametrize(
    ("room", "steps"),
    [
        (4, []),
        (2, ["2 pictures"]),
        (1, ["2 pictures", "1 picture"]),
        (0, ["2 pictures", "1 picture", "tiles"]),
    ],
)
def test_no_picture_is_lost_on_the_way_down(
    room: int,
    steps: list[str],
    network: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="i2itool.engine")
    with Translator(network, engine="auto", device="cpu") as whole:
        monkeypatch.setattr(Tight, "room", 9)
        expected = whole.translate(pictures(7))
    monkeypatch.setattr(Tight, "room", room)
    with Translator(network, engine="auto", device="cpu", batch_size=4) as translator:
        found = translator.translate(pictures(7))
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert len(caplog.messages) == len(steps)
    for message, step in zip(caplog.messages, steps, strict=True):
        assert "not enough memory on cpu" in message
        assert step in message.partition("going on with")[2]


@pytest.mark.usefixtures("tight")
def test_an_engine_asked_for_ends_at_one_picture(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tight, "room", 0)
    with (
        Translator(network, engine="eager", device="cpu", batch_size=2) as translator,
        pytest.raises(OutOfMemory, match="not enough memory"),
    ):
        translator.translate(pictures(3))


@pytest.mark.usefixtures("tight")
def test_another_run_goes_on_where_memory_had_run_out(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Tight, "room", 0)
    with Translator(network, device="cpu") as first:
        assert first.state() == {}
        expected = first.translate(pictures(2))
        left = first.state()
    monkeypatch.setattr(Tight, "room", 9)
    with Translator(network, device="cpu") as second:
        second.prepare(18, 22)
        assert second.resume({**left, "flow": np.zeros(3)}).keys() == {"flow"}
        np.testing.assert_array_equal(second.translate(pictures(2)), expected)
        assert second.state() == left
    assert any("memory ran out before" in line for line in caplog.messages)


def test_a_picture_that_would_not_fit_is_tiled_at_once(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Translator(network, device="cpu", engine="eager") as translator:
        expected = translator.translate(pictures(1))
    monkeypatch.setattr(demand, "free_bytes", lambda device: 4000)
    with Translator(network, device="cpu") as translator:
        assert translator.prepare(18, 22).startswith("tiles fp32")
        found = translator.translate(pictures(1))
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert any("would need about" in line and "engine tiles" in line for line in caplog.messages)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("std::bad_alloc"), True),
        (
            RuntimeError(
                "Check 'ptr' failed at src/cpu_memory.cpp:257:\nFailed to allocate 50 bytes of memory"
            ),
            True,
        ),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_failures(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) == is_one


LIMITED = """
import logging, resource, sys
import numpy as np, torch
from i2itool.engine import demand, tiles
from i2itool.engine.memory import free_bytes
from i2itool.networks import build
from i2itool.translator import Translator

logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
torch.set_num_threads(1)
network = build("resnet", width=16, blocks=0)
pixels = np.random.default_rng(0).integers(0, 256, (1, 768, 1024, 3), np.uint8)
tiles._STRIP_BYTES = 2**20
with Translator(network, device="cpu", precision="fp32") as translator:
    translator.translate(pixels[:, :256, :256])  # large enough for all threads, which reserve memory once
    demand.free_bytes = lambda device: 2**50  # so that it is the allocation that fails
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT_BYTES, -1))
    print(translator.translate(pixels).shape, free_bytes(torch.device("cpu")) < LIMIT_BYTES)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_real_limit_of_memory_leads_to_tiles() -> None:
    code = LIMITED.replace("LIMIT_BYTES", str(72 * 2**20))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert "(1, 768, 1024, 3) True" in done.stdout, done.stdout + done.stderr
    assert "going on with engine tiles" in done.stdout


@pytest.mark.parametrize(("name", "precision"), [("openvino", "bf16"), ("eager", "fp32")])
def test_the_need_for_memory_grows_with_the_picture(name: str, precision: Any, network: nn.Module) -> None:
    cpu = torch.device("cpu")
    small, large = (
        demand.bytes_needed(name, Build(network, (side, side), 1, cpu, precision)) for side in (64, 128)
    )
    assert large == pytest.approx(4 * small, rel=0.01)
    assert small > 64 * 64 * 2 * 4
