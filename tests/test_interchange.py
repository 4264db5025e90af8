"""Exported files give, in other programs, what the network gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from torch import nn

from i2itool import interchange
from i2itool.cli import main
from i2itool.errors import AlreadyThere, MissingExtra, OutputError
from i2itool.interchange import SUFFIXES, export_preset
from i2itool.networks import build
from i2itool.options import ExportFormat
from i2itool.preset import Network, Preset, find_preset, write_preset
from i2itool.weights import load_network, save_weights

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet": {"width": 4, "blocks": 1},
    "unet": {"width": 2, "depth": 5},
    "unit": {"width": 4, "blocks": 1},
    "unit2018": {"width": 4, "blocks": 1},
}
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def make_preset_of(folder: Path, name: str) -> Preset:
    torch.manual_seed(2)
    weights = save_weights(folder / "a2b.safetensors", build(name, **NETWORKS[name]).state_dict())
    preset = Preset(
        name="tiny",
        summary="random",
        licence="CC0",
        network=Network(name=name, hyper=NETWORKS[name]),
        a2b=weights,
        folder=folder,
    )
    write_preset(preset, folder)
    return preset


def run_onnx(path: Path) -> Run:
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(["output"], {"input": x})[0])


def run_pt2(path: Path) -> Run:
    module = torch.export.load(path).module()
    return lambda x: np.asarray(module(torch.from_numpy(x)).detach().numpy())


def run_openvino(path: Path) -> Run:
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(openvino.Core().read_model(path), "CPU", settings)
    return lambda x: np.asarray(compiled({"input": x})["output"])


RUNS: dict[ExportFormat, Callable[[Path], Run]] = {
    "onnx": run_onnx,
    "pt2": run_pt2,
    "openvino": run_openvino,
}


def expected(network: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What docs/engines.md promises: from 0 to 1, in and out."""
    with torch.no_grad():
        return np.asarray((network(torch.from_numpy(x) * 2 - 1).numpy() + 1) / 2)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, ExportFormat], tuple[Preset, Path]]:
    """A network by name -> its preset and its exported file, each made once: ONNX takes seconds."""

    @cache
    def make(name: str, format: ExportFormat) -> tuple[Preset, Path]:
        folder = tmp_path_factory.mktemp("export")
        preset = make_preset_of(folder, name)
        return preset, export_preset(preset, folder, format=format)

    return make


@pytest.mark.parametrize(
    ("name", "format"),
    [("resnet", "onnx"), ("unet", "onnx"), ("unit2018", "onnx"), ("unit", "pt2"), ("unet", "openvino")],
)
def test_a_file_gives_what_the_network_gives_at_every_size(
    name: str, format: ExportFormat, export: Callable[[str, ExportFormat], tuple[Preset, Path]]
) -> None:
    preset, path = export(name, format)
    network, run = load_network(preset, "a2b"), RUNS[format](path)
    generator = np.random.default_rng(0)
    for count, height, width in ((1, 96, 64), (3, 32, 128)):
        x = generator.random((count, 3, height, width), dtype=np.float32)
        found = run(x)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected(network, x), rtol=0, atol=2e-5)
        assert found.min() >= 0
        assert found.max() <= 1


def test_onnx_says_what_it_takes(export: Callable[[str, ExportFormat], tuple[Preset, Path]]) -> None:
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    model = onnx.load(export("unet", "onnx")[1])
    onnx.checker.check_model(model, full_check=True)
    for value, name in ((model.graph.input[0], "input"), (model.graph.output[0], "output")):
        assert value.name == name
        sides = [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        assert sides == ["batch", 3, "height", "width"]
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert (
        facts.items()
        >= {
            "name": "tiny",
            "direction": "a2b",
            "range": "0..1",
            "multiple_of": "32",
            "licence": "CC0",
        }.items()
    )


def test_the_other_formats_say_the_same(tmp_path: Path) -> None:
    preset = make_preset_of(tmp_path, "resnet")
    extra = {"i2itool.json": ""}
    torch.export.load(export_preset(preset, tmp_path, format="pt2"), extra_files=extra)
    assert json.loads(extra["i2itool.json"])["multiple_of"] == "4"
    model = openvino.Core().read_model(export_preset(preset, tmp_path, format="openvino"))
    assert model.get_rt_info(["i2itool", "multiple_of"]).astype(str) == "4"


@pytest.mark.parametrize("format", ["pt2", "openvino"])
def test_a_file_that_is_there_is_kept_unless_told_otherwise(tmp_path: Path, format: ExportFormat) -> None:
    preset = make_preset_of(tmp_path, "resnet")
    path = tmp_path / f"mine{SUFFIXES[format]}"
    path.write_text("old")
    with pytest.raises(AlreadyThere):
        export_preset(preset, path, format=format)
    assert path.read_text() == "old"
    assert export_preset(preset, path, format=format, overwrite=True) == path
    assert path.stat().st_size > 1000


# ONNX is written as the others are, but takes long to make.
@pytest.mark.parametrize("format", ["pt2", "openvino"])
def test_a_failed_export_leaves_nothing(
    tmp_path: Path, format: ExportFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = make_preset_of(tmp_path, "resnet")
    before = set(tmp_path.iterdir())

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    monkeypatch.setattr(torch.export, "save", fail)
    with pytest.raises(OutputError, match="No space left"):
        export_preset(preset, tmp_path, format=format)
    assert set(tmp_path.iterdir()) == before


def test_a_name_of_another_format_is_refused(tmp_path: Path) -> None:
    preset = make_preset_of(tmp_path, "resnet")
    with pytest.raises(OutputError, match=r"\*\.xml"):
        export_preset(preset, tmp_path / "mine.onnx", format="openvino")


def test_without_onnx_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interchange, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"i2itool\[export\]"):
        export_preset(make_preset_of(tmp_path, "resnet"), tmp_path, format="onnx")


def test_the_command_prints_the_path_and_nothing_else(
    tmp_path: Path, make_preset: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    make_preset("tiny")
    result = CliRunner().invoke(main, ["export", "tiny", "--format", "pt2", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.output == f"{tmp_path / 'tiny_a2b.pt2'}\n"
    assert capfd.readouterr() == ("", "")
    assert find_preset("tiny").directions == ("a2b",)
    result = CliRunner().invoke(main, ["export", "tiny", "--direction", "b2a", "-o", str(tmp_path)])
    assert result.exit_code == 4
