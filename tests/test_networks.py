"""The generators are those of the papers, to the digit and to the name of each tensor."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from i2itool.errors import PresetError
from i2itool.networks import GENERATORS, build, multiple_of
from i2itool.networks.blocks import InstanceNorm, LayerNorm, ResizeConv
from i2itool.networks.unit import CoupledUnit, UnitTranslator

SMALL: dict[str, dict[str, Any]] = {
    "resnet": {"width": 4, "blocks": 1},
    "light": {"width": 4, "blocks": 1},
    "unet": {"width": 2, "depth": 5},
    "unit": {"width": 4, "blocks": 1},
    "unit2018": {"width": 4, "blocks": 1},
    "unit32": {"width": 4},
}


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def layers_with_weights(network: nn.Module) -> set[str]:
    return {name.rpartition(".")[0] for name in network.state_dict() if name.endswith(".weight")}


@pytest.mark.parametrize(
    ("name", "hyper", "expected"),
    [
        ("resnet", {"blocks": 9}, 11_378_179),
        ("resnet", {"blocks": 6}, 7_837_699),
        ("unet", {"depth": 8, "norm": "batch"}, 54_413_955),
        ("unit2018", {}, 11_140_483),
    ],
)
def test_the_number_of_parameters_is_the_references(name: str, hyper: dict[str, Any], expected: int) -> None:
    with torch.device("meta"):
        assert num_parameters(build(name, **hyper)) == expected


def test_both_translators_of_unit_together_have_the_references_number_of_parameters() -> None:
    with torch.device("meta"):
        assert num_parameters(CoupledUnit()) == 18_017_286


@pytest.mark.parametrize(("blocks", "head"), [(9, (19, 22, 26)), (6, (16, 19, 23))])
def test_resnet_layers_stand_where_the_reference_has_them(blocks: int, head: tuple[int, ...]) -> None:
    with torch.device("meta"):
        network = build("resnet", blocks=blocks)
    trunk = {f"model.{10 + block}.conv_block.{layer}" for block in range(blocks) for layer in (1, 5)}
    ends = {f"model.{index}" for index in (1, 4, 7, *head)}
    assert layers_with_weights(network) == trunk | ends
    assert {f"{layer}.bias" for layer in trunk | ends} <= network.state_dict().keys()


def test_dropout_moves_the_second_convolution_of_a_block_to_6() -> None:
    with torch.device("meta"):
        network = build("resnet", blocks=1, dropout=True)
    assert {"model.10.conv_block.1", "model.10.conv_block.6"} <= layers_with_weights(network)


def test_batch_norm_takes_the_bias_away_from_the_convolution_before_it() -> None:
    with torch.device("meta"):
        names = build("resnet", norm="batch").state_dict().keys()
    assert {"model.2.weight", "model.2.running_mean", "model.26.bias"} <= names
    assert not {"model.1.bias", "model.10.conv_block.1.bias", "model.22.bias"} & names


def test_unet_levels_stand_where_the_reference_has_them() -> None:
    with torch.device("meta"):
        names = build("unet", depth=8).state_dict().keys()
    assert {"model.model.0.weight", "model.model.1.model.1.weight", "model.model.3.bias"} <= names
    innermost = "model.model.1" + ".model.3" * 6
    assert {f"{innermost}.model.1.weight", f"{innermost}.model.3.weight"} <= names


def test_unit_2017_layers_have_the_references_names() -> None:
    with torch.device("meta"):
        names = CoupledUnit().state_dict().keys()
    expected = {f"{part}_{domain}" for part in ("encode", "decode") for domain in "AB"}
    assert {name.partition(".")[0] for name in names} == expected | {"enc_shared", "dec_shared"}
    for layer in (
        *(f"encode_A.{i}.model.0" for i in (0, 1, 2)),
        *(f"encode_B.{i}.model.{j}" for i in (3, 4, 5) for j in (0, 3)),
        *(f"{part}_shared.0.model.{j}" for part in ("enc", "dec") for j in (0, 3)),
        *(f"decode_A.{i}.model.{j}" for i in (0, 1, 2) for j in (0, 3)),
        *(f"decode_B.{i}.model.0" for i in (3, 4)),
        "decode_A.5",
    ):
        assert {f"{layer}.weight", f"{layer}.bias"} <= names


def test_unit_2018_layers_have_the_references_names() -> None:
    with torch.device("meta"):
        names = build("unit2018").state_dict().keys()
    convolutions = [f"enc.model.{i}.conv" for i in range(3)]
    convolutions += [f"enc.model.3.model.{i}.model.{j}.conv" for i in range(4) for j in range(2)]
    convolutions += [f"dec.model.0.model.{i}.model.{j}.conv" for i in range(4) for j in range(2)]
    convolutions += [f"dec.model.{i}.conv" for i in (2, 4, 5)]
    expected = {f"{layer}.{kind}" for layer in convolutions for kind in ("weight", "bias")}
    expected |= {f"dec.model.{i}.norm.{kind}" for i in (2, 4) for kind in ("gamma", "beta")}
    assert names == expected


@pytest.mark.parametrize("name", GENERATORS)
def test_the_output_has_the_size_of_the_input_at_odd_multiples(name: str) -> None:
    network = build(name, **SMALL[name]).eval()
    side = multiple_of(network)
    with torch.no_grad():
        output = network(torch.zeros(2, 3, 3 * side, 5 * side))
    assert output.shape == (2, 3, 3 * side, 5 * side)
    assert output.abs().max() <= 1


@pytest.mark.parametrize("name", ["resnet", "unet", "unit"])
def test_resize_convolution_replaces_the_transposed_one_and_keeps_the_size(name: str) -> None:
    network = build(name, **SMALL[name], upsample="resize").eval()
    doublings = [module for module in network.modules() if isinstance(module, ResizeConv)]
    strided = [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d) and m.stride != (1, 1)]
    assert doublings
    assert not strided
    side = 3 * multiple_of(network)
    with torch.no_grad():
        assert network(torch.zeros(1, 3, side, side)).shape == (1, 3, side, side)


def test_resize_convolution_makes_no_checkerboard() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        output = ResizeConv(2, 2)(torch.ones(1, 2, 8, 8))
    torch.testing.assert_close(output, output[:, :, :1, :1].expand_as(output))


@pytest.mark.parametrize("num_pictures", [1, 2])
def test_the_gradient_of_instance_norm_is_the_same_in_both_layouts(num_pictures: int) -> None:
    torch.manual_seed(0)
    pictures, arriving = torch.rand(num_pictures, 4, 6, 5), torch.rand(num_pictures, 4, 6, 5)
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        x = pictures.clone(memory_format=layout).requires_grad_()
        InstanceNorm(4).train()(x).backward(arriving.contiguous(memory_format=layout))
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


def test_layer_norm_is_the_papers_formula() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 7) * 4 + 100
    layer = LayerNorm(3)
    layer.beta.data.normal_()
    exact = x.double()
    mean = exact.flatten(1).mean(1).view(-1, 1, 1, 1)
    deviation = exact.flatten(1).std(1, correction=1).view(-1, 1, 1, 1)
    expected = (exact - mean) / (deviation + layer.eps)
    expected = expected * layer.gamma.double().view(1, -1, 1, 1) + layer.beta.double().view(1, -1, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(layer(x).double(), expected.detach(), rtol=1e-4, atol=1e-4)


def test_layer_norm_keeps_the_dtype_and_computes_in_float32() -> None:
    x = torch.full((1, 2, 4, 4), 60_000.0, dtype=torch.float16)
    x[..., 0] = 50_000.0
    with torch.no_grad():
        output = LayerNorm(2).half()(x)
    assert output.dtype == torch.float16
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_a_unit_translator_is_one_way_through_the_coupled_networks(direction: str) -> None:
    torch.manual_seed(0)
    coupled = CoupledUnit(width=4, blocks=1).eval()
    translator = UnitTranslator(width=4, blocks=1).eval()
    translator.load_state_dict(coupled.translator_weights(direction))
    x = torch.rand(1, 3, 12, 20) * 2 - 1
    with torch.no_grad():
        latent = coupled.encode(a=x) if direction == "a2b" else coupled.encode(b=x)
        in_a, in_b = coupled.decode(latent)
        found = translator(x)
    assert torch.equal(found, in_b if direction == "a2b" else in_a)
    assert not torch.equal(found, in_a if direction == "a2b" else in_b)


def test_encoding_two_domains_at_once_equals_encoding_each() -> None:
    coupled = CoupledUnit(width=4, blocks=1).eval()
    a, b = torch.rand(2, 1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(
            coupled.encode(a, b), torch.cat([coupled.encode(a=a), coupled.encode(b=b)])
        )


@pytest.mark.parametrize("name", GENERATORS)
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        states.append(build(name, **SMALL[name]).state_dict())
    first, same, other = states
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PresetError, match=r"unknown network: stargan .*resnet, light, unet, unit, unit2018"):
        build("stargan")


def test_a_setting_that_a_network_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(PresetError, match="depth"):
        build("resnet", depth=3)


# Light generators


@pytest.mark.parametrize("head", ["head", "gain_head"])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_light_generator_leaves_no_pattern_of_its_folding(factor: int, head: str) -> None:
    torch.manual_seed(0)
    network = build("light", factor=factor, width=8, blocks=1, gain=True).eval()
    with torch.no_grad():
        for convolution in network.modules():
            if isinstance(convolution, nn.Conv2d):
                nn.init.normal_(convolution.weight, 0, 0.3)
        features = torch.rand(1, 3, 64, 64) - 0.5
        for name in ("fold", "stem", "trunk"):
            features = network.get_submodule(name)(features)
        *unfolding, smooth = network.get_submodule(head).children()
        unsmoothed = nn.Sequential(*unfolding)(features)
        added = smooth(unsmoothed)
    period = 64 // factor

    def energy_at_period(x: torch.Tensor) -> float:
        energy = torch.fft.fft2(x - x.mean((2, 3), keepdim=True)).abs().square()
        return float(energy[..., ::period, ::period].sum())

    # The border is reflected, so a little is left.
    assert energy_at_period(added) < energy_at_period(unsmoothed) / 200


def light_without_heads(*, gain: bool) -> nn.Module:
    """A light generator whose heads are zero."""
    network = build("light", factor=4, width=8, blocks=1, gain=gain).eval()
    for name, parameter in network.named_parameters():
        if "head" in name:
            nn.init.zeros_(parameter)
    return network


@pytest.mark.parametrize("gain", [False, True])
def test_a_light_generator_that_adds_nothing_is_the_identity(gain: bool) -> None:
    network = light_without_heads(gain=gain)
    picture = torch.rand(1, 3, 16, 24) * 2 - 1
    with torch.no_grad():
        assert torch.equal(network(picture), picture)


def test_the_gain_of_a_light_generator_leaves_black_black_and_scales_texture() -> None:
    network = light_without_heads(gain=True)
    texture = torch.rand(1, 3, 16, 24) * 2 - 1
    with torch.no_grad():
        nn.init.constant_(network.get_parameter("gain_head.1.bias"), -0.5)
        share = 1 - math.tanh(0.5)
        assert torch.allclose(network(texture) + 1, (texture + 1) * share, atol=1e-5)
        black = torch.full_like(texture, -1.0)
        assert torch.allclose(network(black), black, atol=1e-6)


def test_light_generators_have_few_parameters() -> None:
    def count(**hyper: int) -> int:
        return sum(parameter.numel() for parameter in build("light", **hyper).parameters())

    assert (
        count(factor=4, width=64, blocks=6)
        == 3 * 16 * 64 * 9 + 64 + 12 * (64 * 64 * 9 + 64) + 64 * 48 * 9 + 48
    )
    assert count(factor=8, width=64, blocks=4) < 550_000
