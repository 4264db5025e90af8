"""Network weights on disk: safetensors only, checked by SHA-256, never unpickled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from i2itool.errors import OutputError, PresetError
from i2itool.networks import build
from i2itool.networks.adaptation import CoupledCritic32
from i2itool.options import Direction
from i2itool.preset import Preset, Weights, read_classifier, read_weights


def save_weights(path: Path, tensors: Mapping[str, Tensor]) -> Weights:
    """Write tensors to `path` as safetensors; returns the entry for preset.toml.

    Raises OutputError if the file cannot be written.
    """
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return Weights(file=path.name, sha256=hashlib.sha256(data).hexdigest())


def load_network(preset: Preset, direction: Direction) -> nn.Module:
    """Build the generator of a preset and load its weights: float32, on the CPU, in evaluation mode.

    Raises PresetError if the weights are missing, altered, or do not fit the network that preset.toml names.
    """
    network = build(preset.network.name, **preset.network.hyper)
    data, path = read_weights(preset, direction), preset.weights_path(direction)
    return _loaded(network, data, path, f"network '{preset.network.name}' of preset.toml")


def load_classifier(preset: Preset) -> CoupledCritic32:
    """Build the classifier of a preset and load its weights: float32, on the CPU, in evaluation mode.

    Raises PresetError if there is none, or as `load_network`.
    """
    data, table = read_classifier(preset), preset.classifier
    assert table is not None
    network = CoupledCritic32(width=table.width, classes=len(table.classes))
    _loaded(network, data, preset.folder / table.weights.file, "the classifier of preset.toml")
    return network


def _loaded(network: nn.Module, data: bytes, path: Path, what: str) -> nn.Module:
    try:
        tensors = load(data)
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except SafetensorError as error:
        raise PresetError(f"{path} is not a safetensors file: {error}", hint="import it anew") from error
    except RuntimeError as error:
        raise PresetError(f"{path} does not fit {what}", hint="import or export it anew") from error
    return network.eval().requires_grad_(False)
