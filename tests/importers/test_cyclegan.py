"""What is read from the names and shapes of a generator's tensors, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from i2itool.errors import InputError
from i2itool.importers import detect
from i2itool.importers.source import read_source
from i2itool.networks import build

Saver = Callable[..., Path]

RESNETS = [
    {"width": width, "blocks": blocks, "norm": norm, "dropout": dropout}
    for width, blocks, norm, dropout in product(
        (4, 6), (1, 3), ("instance", "instance_affine", "batch"), (False, True)
    )
]
UNETS = [
    {"width": 2, "depth": d, "norm": n} for d in (5, 6) for n in ("instance", "instance_affine", "batch")
]


def make_generator(name: str = "resnet", *, seed: int = 0, **hyper: Any) -> nn.Module:
    """A generator with weights, and statistics where it has them, that are nowhere 0 or 1."""
    torch.manual_seed(seed)
    network = build(
        name, **({"width": 4, "blocks": 2} if name == "resnet" else {"width": 2, "depth": 5}) | hyper
    )
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5) if "var" in key or "weight" in key else tensor.normal_(std=0.1)
    return network.eval()


def outputs_equal(file: Path, network: nn.Module, side: int) -> bool:
    source = read_source(file)
    ours = build(source.network, **source.hyper).eval()
    ours.load_state_dict(source.tensors)
    x = torch.rand(1, 3, side, side) * 2 - 1
    with torch.no_grad():
        return torch.equal(ours(x), network(x))


@pytest.mark.parametrize("hyper", RESNETS, ids=str)
def test_every_form_of_the_resnet_comes_back_exactly(saved: Saver, hyper: dict[str, Any]) -> None:
    network = make_generator(**hyper)
    file = saved(network.state_dict())
    assert read_source(file).hyper == hyper | {"in_channels": 3, "out_channels": 3}
    assert outputs_equal(file, network, 12)


@pytest.mark.parametrize("hyper", UNETS, ids=str)
def test_every_form_of_the_unet_comes_back_exactly(saved: Saver, hyper: dict[str, Any]) -> None:
    network = make_generator("unet", **hyper)
    file = saved(network.state_dict())
    assert read_source(file).hyper == hyper | {"in_channels": 3, "out_channels": 3}
    assert outputs_equal(file, network, 2 ** (hyper["depth"] + 1))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_wrappers_around_the_network_leave_no_trace(saved: Saver, prefix: str) -> None:
    network = make_generator()
    file = saved({prefix + key: value for key, value in network.state_dict().items()})
    assert outputs_equal(file, network, 12)


@pytest.mark.parametrize("keys", [("state_dict",), ("netG",), ("model", "G_A2B"), ("anything",)])
def test_a_state_dict_is_found_within_a_training_checkpoint(saved: Saver, keys: tuple[str, ...]) -> None:
    network = make_generator()
    optimiser = torch.optim.Adam(network.parameters())
    sum(parameter.sum() for parameter in network.parameters()).backward()  # type: ignore[union-attr]
    optimiser.step()
    nested: object = network.state_dict()
    for key in reversed(keys):
        nested = {key: nested}
    assert isinstance(nested, dict)
    file = saved(nested | {"epoch": 7, "optimizer": optimiser.state_dict(), "D": patch_discriminator()})
    assert outputs_equal(file, network, 12)


def test_statistics_that_old_instance_norms_saved_are_dropped(saved: Saver) -> None:
    network = make_generator()
    stale = {f"model.2.{kind}": torch.rand(4) for kind in ("running_mean", "running_var")}
    stale["model.2.num_batches_tracked"] = torch.tensor(9)
    assert outputs_equal(saved(network.state_dict() | stale), network, 12)


def test_batch_norm_of_before_the_batch_count_is_taken(saved: Saver) -> None:
    network = make_generator(norm="batch")
    old = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    assert outputs_equal(saved(old), network, 12)


def test_a_branch_called_block_is_the_same_branch(saved: Saver) -> None:
    network = make_generator(norm="instance_affine")
    renamed = {key.replace("conv_block", "block"): value for key, value in network.state_dict().items()}
    assert outputs_equal(saved(renamed), network, 12)


def test_the_legacy_file_format_is_read(saved: Saver) -> None:
    network = make_generator()
    file = saved(network.state_dict(), _use_new_zipfile_serialization=False)
    assert outputs_equal(file, network, 12)


def test_safetensors_are_read(tmp_path: Path) -> None:
    network = make_generator()
    file = tmp_path / "generator.safetensors"
    save_file(network.state_dict(), file)
    assert outputs_equal(file, network, 12)


def test_families_are_told_apart() -> None:
    assert detect(make_generator().state_dict()) == "cyclegan-resnet"
    assert detect(make_generator("unet").state_dict()) == "cyclegan-unet"


def patch_discriminator() -> dict[str, Tensor]:
    shapes = {0: (4, 3), 2: (8, 4), 5: (16, 8), 8: (32, 16), 11: (1, 32)}
    weights = {f"model.{i}.weight": torch.zeros(*shape, 4, 4) for i, shape in shapes.items()}
    return weights | {f"model.{i}.bias": torch.zeros(shape[0]) for i, shape in shapes.items()}


def without(key: str, **hyper: Any) -> dict[str, Tensor]:
    return {name: value for name, value in make_generator(**hyper).state_dict().items() if name != key}


REFUSED: dict[str, tuple[dict[str, Tensor], str]] = {
    "discriminator": (patch_discriminator(), r"discriminator.*latest_net_G_A\.pth"),
    "pixel discriminator": (
        {"net.0.weight": torch.zeros(4, 3, 1, 1), "net.2.weight": torch.zeros(1)},
        "discrimin",
    ),
    "CUT": (make_generator().state_dict() | {"model.5.filt": torch.zeros(4, 1, 3, 3)}, "--no_antialias"),
    "UNIT 2017": ({"encode_A.0.model.0.weight": torch.zeros(4, 3, 7, 7)}, "UNIT's 2017"),
    "UNIT 2018": ({"enc.model.0.conv.weight": torch.zeros(4, 3, 7, 7)}, "UNIT's 2018"),
    "UNIT discriminator": ({"cnns.0.0.conv.weight": torch.zeros(4, 3, 4, 4)}, "discriminator"),
    "unknown": ({"features.0.weight": torch.zeros(4, 3, 3, 3)}, r"unknown network: 1 tensors.*features\.0"),
    "resize": (make_generator(upsample="resize").state_dict(), "resizing cannot be imported|absent"),
    "short": (without("model.4.bias"), r"model\.4\.bias is absent and not 8"),
    "statistics lost": (without("model.2.running_mean", norm="batch"), r"model\.2\.running_mean is absent"),
    "other kernel": (
        make_generator().state_dict() | {"model.4.weight": torch.zeros(8, 4, 4, 4)},
        r"model\.4\.weight is 8x4x4x4 and not 8x4x3x3",
    ),
    "one more": (make_generator().state_dict() | {"extra": torch.zeros(2)}, "extra is 2 and not absent"),
    "no end": (without("model.18.weight") | {"model.99.bias": torch.zeros(1)}, "no model.19.weight|model"),
    "gray": (make_generator(in_channels=1, out_channels=1).state_dict(), "maps 1 channels to 1"),
    "diverged": (
        make_generator().state_dict() | {"model.4.bias": torch.full((8,), torch.nan)},
        r"model\.4\.bias holds NaN",
    ),
}


@pytest.mark.parametrize("label", REFUSED)
def test_what_is_no_known_generator_is_named_and_refused(saved: Saver, label: str) -> None:
    tensors, message = REFUSED[label]
    file = saved(tensors, "mystery.pth")
    with pytest.raises(InputError, match=message) as caught:
        read_source(file)
    assert "mystery.pth" in str(caught.value)


def test_two_generators_in_one_file_are_not_chosen_between(saved: Saver) -> None:
    file = saved({"G_A": make_generator().state_dict(), "G_B": make_generator(seed=1).state_dict()})
    with pytest.raises(InputError, match="several generators: G_A, G_B"):
        read_source(file)


def test_a_pickled_network_is_refused_and_its_code_is_not_run(saved: Saver, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    file = saved(Pickled(witness))
    with pytest.raises(InputError, match=r"torch\.save\(.*state_dict"):
        read_source(file)
    assert not witness.exists()


class Pickled:
    """Makes a file when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 not a zip", b"\x80\x02 cut"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(content)
    with pytest.raises(InputError, match="weights"):
        read_source(file)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_truncated_file_is_refused(saved: Saver, legacy: bool) -> None:
    file = saved(make_generator().state_dict(), _use_new_zipfile_serialization=not legacy)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match="damaged"):
        read_source(file)


def test_a_missing_file_or_one_without_tensors_is_refused(saved: Saver, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_source(tmp_path / "gone.pth")
    with pytest.raises(InputError, match="no such file"):
        read_source(tmp_path)
    with pytest.raises(InputError, match="holds no network weights"):
        read_source(saved({"epoch": 3}))
