"""What can be known of the TensorRT engine without a GPU: what it is given, asked for, kept and refused.

A stand-in takes the place of torch_tensorrt: it compiles nothing and runs the exported graph. So these tests
say nothing of what TensorRT makes of it; tests/engine/test_tensorrt_rtx.py has its builder read the networks,
and the contract suite runs the engine where there is a GPU.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from i2itool.engine import tensorrt
from i2itool.engine.base import Build
from i2itool.engine.cache import user_cache
from i2itool.engine.tensorrt import TensorRtEngine, compile_settings, static_program
from i2itool.errors import EngineError
from i2itool.interchange import exported
from i2itool.networks import build, multiple_of
from i2itool.networks.blocks import LayerNorm
from i2itool.options import Precision
from i2itool.pixels import to_network, to_pixels

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("resnet", {"width": 4, "blocks": 1}),
    "resnet-resize": ("resnet", {"width": 4, "blocks": 1, "norm": "batch", "upsample": "resize"}),
    "unet": ("unet", {"width": 2, "depth": 5}),
    "unit": ("unit", {"width": 4, "blocks": 1}),
    "unit2018": ("unit2018", {"width": 4, "blocks": 1}),
}
# What the converters of Torch-TensorRT take as a whole, with shapes that vary too. The deviation that
# PyTorch has (std, var) is not among them: it would split the engine in three.
CONVERTIBLE = {
    "add", "batch_norm", "cat", "conv2d", "conv_transpose2d", "div", "instance_norm", "leaky_relu",
    "leaky_relu_", "mean", "mul", "pad", "relu", "relu_", "sqrt", "sub", "tanh", "to", "truediv",
    "upsample_nearest2d", "view", "_assert_tensor_metadata", "sym_size",
}  # fmt: skip


SMALLEST: dict[str, tuple[str, dict[str, Any]]] = {
    "smallest": ("resnet", {"width": 2, "blocks": 0}),
    "smallest-resize": ("resnet", {"width": 2, "blocks": 0, "upsample": "resize"}),
}


def make_network(label: str) -> nn.Module:
    name, hyper = (NETWORKS | SMALLEST)[label]
    torch.manual_seed(1)
    return build(name, **hyper).eval()


def make_build(
    network: nn.Module, precision: Precision = "fp32", size: tuple[int, int] = (32, 48), batch_size: int = 2
) -> Build:
    return Build(network, size, batch_size, torch.device("cpu"), precision)


def pictures(count: int, height: int = 32, width: int = 48) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(4)) * 2 - 1


class StandIn:
    """torch_tensorrt as far as the engine asks for it; remembers how it was asked."""

    def __init__(self) -> None:
        self.compilations: list[dict[str, Any]] = []
        self.batch_sizes: list[int] = []
        self.loads_fail = False
        self._program: ExportedProgram | None = None
        self.dynamo = SimpleNamespace(compile=self._compile)
        self.runtime = SimpleNamespace(enable_cudagraphs=self._enable_cudagraphs)

    def _compile(
        self, program: ExportedProgram, *, arg_inputs: list[Tensor], **settings: Any
    ) -> Callable[[Tensor], Tensor]:
        self.compilations.append({"arg_inputs": arg_inputs, **settings})
        self._program = program
        sys.stdout.write("what a library prints")
        module: Callable[[Tensor], Tensor] = program.module()
        return module

    def save(self, made: object, path: str, *, arg_inputs: list[Tensor], output_format: str) -> None:
        assert output_format == "exported_program"
        assert self._program is not None
        torch.export.save(self._program, path)

    def load(self, path: str) -> ExportedProgram:
        if self.loads_fail:
            raise Exception("engine was made by another version")
        return torch.export.load(path)

    @contextlib.contextmanager
    def _enable_cudagraphs(self, run: Callable[[Tensor], Tensor]) -> Iterator[Callable[[Tensor], Tensor]]:
        def counting(x: Tensor) -> Tensor:
            self.batch_sizes.append(len(x))
            return run(x)

        yield counting


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr(tensorrt, "_load_library", lambda: stand_in)
    monkeypatch.setenv("I2ITOOL_CACHE", str(tmp_path / "cache"))
    return stand_in


# The graph


@pytest.mark.parametrize("label", NETWORKS)
def test_the_exported_graph_computes_the_same_and_holds_only_what_tensorrt_converts(label: str) -> None:
    network = make_network(label)
    size = (multiple_of(network) * 2, multiple_of(network) * 3)
    static, dynamic = static_program(make_build(network, size=size)), exported(network)
    for program, shapes in ((static, [(2, *size)]), (dynamic, [(1, *size), (3, *reversed(size))])):
        for count, height, width in shapes:
            batch = pictures(count, height, width)
            with torch.no_grad():
                torch.testing.assert_close(program.module()(batch), network(batch), rtol=0, atol=1e-5)
        names = {node.target for node in program.graph.nodes if node.op == "call_function"}
        found = {getattr(name, "__name__", str(name)).split(".")[0] for name in names}
        assert found <= CONVERTIBLE, found - CONVERTIBLE


def test_layer_norm_equals_the_authors_and_keeps_its_statistics_in_float32() -> None:
    norm = LayerNorm(4)
    x = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(0)) * 300
    flat = x.view(2, -1)
    mean, deviation = flat.mean(1).view(2, 1, 1, 1), flat.std(1).view(2, 1, 1, 1)
    expected = (x - mean) / (deviation + norm.eps) * norm.gamma.view(1, -1, 1, 1) + norm.beta.view(
        1, -1, 1, 1
    )
    with torch.no_grad():
        torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-4)
        # The squares pass 65504, the largest number of fp16.
        torch.testing.assert_close(norm.half()(x.half()).float(), expected, rtol=0, atol=5e-3)


# What it is asked for


def test_the_whole_network_is_compiled_once_in_the_precision_of_its_weights(
    library: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    with TensorRtEngine(make_build(make_network("smallest"), "fp16")) as engine:
        assert engine.precision == "fp16"
    (asked,) = library.compilations
    assert asked["require_full_compilation"] is True
    assert asked["min_block_size"] == 1
    assert asked["immutable_weights"] is True
    assert asked["arg_inputs"][0].shape == (2, 3, 32, 48)
    assert asked["arg_inputs"][0].dtype == torch.float16
    assert "enabled_precisions" not in asked
    assert Path(asked["timing_cache_path"]).parent == user_cache().folder
    assert user_cache().folder.stat().st_mode & 0o077 == 0
    assert capsys.readouterr().out == ""


def test_the_last_batch_is_filled_up_and_trimmed(library: StandIn) -> None:
    network = make_network("smallest")
    batch = pictures(3)
    with TensorRtEngine(make_build(network, batch_size=4)) as engine, torch.no_grad():
        torch.testing.assert_close(engine(batch), network(batch), rtol=0, atol=1e-5)
        torch.testing.assert_close(engine(batch[:1]), network(batch[:1]), rtol=0, atol=1e-5)
    assert set(library.batch_sizes) == {4}


def test_results_stay_as_they_are_when_the_next_batch_comes(library: StandIn) -> None:
    with TensorRtEngine(make_build(make_network("smallest"))) as engine:
        first = engine(pictures(2))
        kept = first.clone()
        engine(-pictures(2))
        assert torch.equal(first, kept)


def test_bytes_give_what_floats_give(library: StandIn) -> None:
    pixels = to_pixels(pictures(2), height=32, width=48)
    with TensorRtEngine(make_build(make_network("smallest"))) as engine:
        expected = to_pixels(engine(to_network(pixels)), height=32, width=48)
        difference = engine.translate_pixels(pixels).astype(int) - expected
    assert np.abs(difference).max() <= 1


# What is kept


def test_a_kept_engine_is_loaded_and_computes_the_same(library: StandIn) -> None:
    network = make_network("smallest")
    outputs = []
    for _ in range(2):
        with TensorRtEngine(make_build(network)) as engine:
            outputs.append(engine(pictures(2)))
    assert len(library.compilations) == 1
    assert torch.equal(*outputs)


def test_another_network_size_batch_or_precision_is_another_engine(library: StandIn) -> None:
    network = make_network("smallest")
    other = make_network("smallest")
    with torch.no_grad():
        next(other.parameters()).add_(0.01)
    builds = [
        make_build(network),
        make_build(other),
        make_build(network, size=(32, 32)),
        make_build(network, batch_size=1),
        make_build(network, "fp16"),
    ]
    for number, wanted in enumerate(builds, start=1):
        TensorRtEngine(wanted).close()
        assert len(library.compilations) == number


def test_a_driver_or_library_of_another_version_makes_it_anew(
    library: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = make_build(make_network("smallest"))
    TensorRtEngine(wanted).close()
    monkeypatch.setattr(tensorrt, "_DRIVER", tmp_path / "driver")
    (tmp_path / "driver").write_text("NVRM version: 580.1\n")
    TensorRtEngine(wanted).close()
    assert len(library.compilations) == 2


@pytest.mark.parametrize("fault", ["damaged", "refused"])
def test_a_kept_engine_that_is_damaged_or_refused_is_made_anew(library: StandIn, fault: str) -> None:
    wanted = make_build(make_network("smallest"))
    TensorRtEngine(wanted).close()
    if fault == "damaged":
        for path in user_cache().folder.glob("*.blob"):
            path.write_bytes(path.read_bytes()[:-1] + b"x")
    library.loads_fail = fault == "refused"
    with TensorRtEngine(wanted) as engine:
        assert engine(pictures(1)).shape == (1, 3, 32, 48)
    assert len(library.compilations) == 2


# What is refused


def test_bf16_is_refused_for_transposed_convolutions_only(library: StandIn) -> None:
    with pytest.raises(EngineError, match="no transposed convolution in bf16"):
        TensorRtEngine(make_build(make_network("smallest"), "bf16"))
    with TensorRtEngine(make_build(make_network("smallest-resize"), "bf16")) as engine:
        assert engine.precision == "bf16"


def test_what_the_compiler_says_becomes_one_line(library: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Exception("no converter for aten::std\nand a long stack")

    monkeypatch.setattr(library.dynamo, "compile", fail)
    with pytest.raises(EngineError, match="cannot build this network: no converter for aten::std") as caught:
        TensorRtEngine(make_build(make_network("smallest")))
    assert "long stack" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_the_library_is_not_even_imported() -> None:
    with pytest.raises(EngineError, match="needs a CUDA device"):
        TensorRtEngine(make_build(make_network("smallest")))
    assert "torch_tensorrt" not in sys.modules


def test_a_broken_library_is_told_apart_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torch_tensorrt.py").write_text("print('hello')\nraise Exception('no libnvinfer.so.11')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(EngineError, match=r"installed but broken: no libnvinfer\.so\.11"):
        tensorrt._load_library()
    assert capsys.readouterr().out == ""


def test_it_runs_on_nothing_but_cuda() -> None:
    with pytest.raises(EngineError, match="does not run on cpu"):
        TensorRtEngine.precisions(torch.device("cpu"))


def test_the_settings_name_no_shared_cache_of_the_library() -> None:
    settings = compile_settings()
    assert not settings["cache_built_engines"]
    assert not settings["reuse_cached_engines"]
