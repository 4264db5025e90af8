"""Weights come back as they were saved, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from i2itool.errors import OutputError, PresetError
from i2itool.networks import GENERATORS, build
from i2itool.preset import Network, Preset, Weights, read_weights
from i2itool.weights import load_network, save_weights

SMALL: dict[str, dict[str, Any]] = {
    "resnet": {"width": 2, "blocks": 1, "norm": "batch"},
    "light": {"width": 4, "blocks": 1, "factor": 2},
    "unet": {"width": 1, "depth": 5},
    "unit": {"width": 2, "blocks": 1},
    "unit2018": {"width": 2, "blocks": 1},
    "unit32": {"width": 2},
}


def make_preset(folder: Path, network: nn.Module, name: str = "resnet", **hyper: Any) -> Preset:
    weights = save_weights(folder / "a2b.safetensors", network.state_dict())
    return Preset(
        name="tiny", summary="", network=Network(name=name, hyper=hyper), a2b=weights, folder=folder
    )


@pytest.fixture
def preset(tmp_path: Path) -> Preset:
    return make_preset(tmp_path, build("resnet", width=2, blocks=1), width=2, blocks=1)


def rewrite(preset: Preset, data: bytes) -> Preset:
    """The preset with other bytes for weights, and a checksum that agrees with them."""
    (preset.folder / "a2b.safetensors").write_bytes(data)
    weights = Weights(file="a2b.safetensors", sha256=hashlib.sha256(data).hexdigest())
    return preset.model_copy(update={"a2b": weights})


@pytest.mark.parametrize("name", GENERATORS)
def test_a_loaded_network_gives_the_saved_ones_output_exactly(tmp_path: Path, name: str) -> None:
    network = build(name, **SMALL[name]).eval()
    loaded = load_network(make_preset(tmp_path, network, name, **SMALL[name]), "a2b")
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(x), network(x))


def test_a_loaded_network_is_ready_to_run_and_not_to_train(preset: Preset) -> None:
    network = load_network(preset, "a2b")
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_half_precision_weights_are_loaded_as_float32(tmp_path: Path) -> None:
    network = build("resnet", width=2, blocks=1).half()
    loaded = load_network(make_preset(tmp_path, network, width=2, blocks=1), "a2b")
    for key, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, network.state_dict()[key].float())


def test_the_entry_holds_the_checksum_of_the_file(tmp_path: Path) -> None:
    entry = save_weights(tmp_path / "w.safetensors", {"x": torch.ones(2)})
    data = (tmp_path / "w.safetensors").read_bytes()
    assert entry == Weights(file="w.safetensors", sha256=hashlib.sha256(data).hexdigest())


def test_a_strided_tensor_is_saved_by_value(tmp_path: Path) -> None:
    network = build("resnet", width=2, blocks=1)
    state = {key: value.to(memory_format=torch.channels_last) if value.ndim == 4 else value
             for key, value in network.state_dict().items()}  # fmt: skip
    weights = save_weights(tmp_path / "a2b.safetensors", state)
    hyper = {"width": 2, "blocks": 1}
    preset = Preset(
        name="t", summary="", network=Network(name="resnet", hyper=hyper), a2b=weights, folder=tmp_path
    )
    loaded = load_network(preset, "a2b").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in network.state_dict().items())


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        save_weights(tmp_path / "gone" / "w.safetensors", {"x": torch.ones(2)})


def test_a_missing_direction_is_refused(preset: Preset) -> None:
    with pytest.raises(PresetError, match="no b2a direction"):
        load_network(preset, "b2a")


def test_a_missing_file_is_refused(preset: Preset) -> None:
    preset.weights_path("a2b").unlink()
    with pytest.raises(PresetError, match=r"cannot read .*a2b\.safetensors: No such file"):
        load_network(preset, "a2b")


@pytest.mark.parametrize("position", [0, 100, -1])
def test_one_altered_byte_is_noticed(preset: Preset, position: int) -> None:
    path = preset.weights_path("a2b")
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    for read in (load_network, read_weights):
        with pytest.raises(PresetError, match=r"a2b\.safetensors is damaged: its SHA-256 differs"):
            read(preset, "a2b")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused_even_if_its_checksum_agrees(preset: Preset, share: float) -> None:
    data = preset.weights_path("a2b").read_bytes()
    with pytest.raises(PresetError, match="not a safetensors file"):
        load_network(rewrite(preset, data[: int(len(data) * share)]), "a2b")


@pytest.mark.parametrize(
    "hyper",
    [{"width": 4, "blocks": 1}, {"width": 2, "blocks": 2}, {"width": 2, "blocks": 1, "norm": "batch"}],
)
def test_weights_of_another_shape_are_refused(preset: Preset, hyper: dict[str, Any]) -> None:
    other = preset.model_copy(update={"network": Network(name="resnet", hyper=hyper)})
    with pytest.raises(PresetError, match="does not fit network 'resnet'"):
        load_network(other, "a2b")


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (Network(name="stargan"), "unknown network: stargan"),
        (Network(name="resnet", hyper={"depth": 8}), "depth"),
        (Network(name="resnet", hyper={"width": "wide"}), "width = 'wide'"),
        (Network(name="resnet", hyper={"width": 2, "blocks": 1, "norm": "group"}), "norm = 'group' .*batch"),
        (Network(name="resnet", hyper={"width": 2, "blocks": 1, "upsample": "cubic"}), "upsample"),
        (Network(name="resnet", hyper={"width": 0}), "width = 0 .*1 or more"),
        (Network(name="resnet", hyper={"width": True}), "width = True"),
        (Network(name="unet", hyper={"depth": 3}), "depth = 3 .*5 or more"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(preset: Preset, network: Network, problem: str) -> None:
    with pytest.raises(PresetError, match=problem):
        load_network(preset.model_copy(update={"network": network}), "a2b")
