"""UNIT's generators: the 2017 paper's coupled VAEs with shared blocks (arXiv:1703.00848), and the 2018 form.

The paper draws an encoder and a generator for each domain, tied where the latent space is shared. A
translator is one way through them: the encoder of one domain, the shared blocks, the generator of the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2itool.networks.blocks import InstanceNorm, LayerNorm, Upsample, upsampling


class ConvLeakyRelu(nn.Module):
    """Convolution and LeakyReLU (slope 0.01), without normalisation; zero padding."""

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(convolution, nn.LeakyReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W."""
        output: Tensor = self.model(x)
        return output


class InstanceResBlock(nn.Module):
    """x + f(x), where f is two zero-padded 3x3 convolutions, each with InstanceNorm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            InstanceNorm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            InstanceNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W; returns the same shape."""
        output: Tensor = x + self.model(x)
        return output


def _encoder(channels: int, width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        ConvLeakyRelu(nn.Conv2d(channels, width, 7, padding=3)),
        ConvLeakyRelu(nn.Conv2d(width, width * 2, 3, stride=2, padding=1)),
        ConvLeakyRelu(nn.Conv2d(width * 2, width * 4, 3, stride=2, padding=1)),
        *(InstanceResBlock(width * 4) for _ in range(blocks)),
    )


def _decoder(channels: int, width: int, blocks: int, upsample: Upsample) -> nn.Sequential:
    return nn.Sequential(
        *(InstanceResBlock(width * 4) for _ in range(blocks)),
        ConvLeakyRelu(upsampling(upsample, width * 4, width * 2)),
        ConvLeakyRelu(upsampling(upsample, width * 2, width)),
        nn.ConvTranspose2d(width, channels, 1),
        nn.Tanh(),
    )


def _shared(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(InstanceResBlock(width * 4) for _ in range(blocks)))


class UnitTranslator(nn.Module):
    """One way through UNIT 2017, without the latent noise of training.

    Maps N,channels,H,W in [-1, 1] to the same shape; H and W multiples of 4. `blocks` residual blocks stand
    on each side of the shared ones, of which the encoder and the generator have `shared_blocks` each.
    """

    multiple_of = 4

    def __init__(
        self,
        *,
        channels: int = 3,
        width: int = 64,
        blocks: int = 3,
        shared_blocks: int = 1,
        upsample: Upsample = "transpose",
    ) -> None:
        super().__init__()
        self.encode = _encoder(channels, width, blocks)
        self.enc_shared = _shared(width, shared_blocks)
        self.dec_shared = _shared(width, shared_blocks)
        self.decode = _decoder(channels, width, blocks, upsample)

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W in [-1, 1]; returns the same size in [-1, 1]."""
        output: Tensor = self.decode(self.dec_shared(self.enc_shared(self.encode(x))))
        return output


class CoupledUnit(nn.Module):
    """Both domains' encoders and generators of UNIT 2017, tied by the shared blocks; what training fits."""

    multiple_of = 4

    def __init__(
        self,
        *,
        channels: int = 3,
        width: int = 64,
        blocks: int = 3,
        shared_blocks: int = 1,
        upsample: Upsample = "transpose",
    ) -> None:
        super().__init__()
        self.encode_A = _encoder(channels, width, blocks)
        self.encode_B = _encoder(channels, width, blocks)
        self.enc_shared = _shared(width, shared_blocks)
        self.dec_shared = _shared(width, shared_blocks)
        self.decode_A = _decoder(channels, width, blocks, upsample)
        self.decode_B = _decoder(channels, width, blocks, upsample)

    def encode(self, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
        """The mean of q(z | x) for pictures of A, of B, or of both (A's first): N,4*width,H/4,W/4."""
        codes = [net(x) for net, x in ((self.encode_A, a), (self.encode_B, b)) if x is not None]
        mean: Tensor = self.enc_shared(torch.cat(codes))
        return mean

    def decode(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """The picture in A and the picture in B that a latent code stands for, each N,C,H,W in [-1, 1]."""
        shared = self.dec_shared(latent)
        return self.decode_A(shared), self.decode_B(shared)

    def translator_weights(self, direction: str) -> dict[str, Tensor]:
        """The state dict of the `UnitTranslator` for "a2b" or "b2a", out of this network's own."""
        source, target = direction.upper().split("2")
        names = {f"encode_{source}": "encode", f"decode_{target}": "decode"}
        names |= {"enc_shared": "enc_shared", "dec_shared": "dec_shared"}
        weights = {}
        for key, value in self.state_dict().items():
            module, _, rest = key.partition(".")
            if module in names:
                weights[f"{names[module]}.{rest}"] = value
        return weights


class ConvBlock(nn.Module):
    """Reflect-padded convolution, a normalisation or none, an activation or none (UNIT 2018)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        norm: nn.Module | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d((kernel - 1) // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride)
        self.norm = norm or nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W."""
        output: Tensor = self.activation(self.norm(self.conv(self.pad(x))))
        return output


class Unit2018ResBlock(nn.Module):
    """x + f(x), where f is two `ConvBlock`s with InstanceNorm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        norm = InstanceNorm
        self.model = nn.Sequential(
            ConvBlock(channels, channels, 3, norm=norm(channels), activation=nn.ReLU(inplace=True)),
            ConvBlock(channels, channels, 3, norm=norm(channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W; returns the same shape."""
        output: Tensor = x + self.model(x)
        return output


class _Trunk(nn.Module):
    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.model(x)
        return output


class Unit2018Vae(nn.Module):
    """The encoder and the decoder of one domain in the 2018 form; as a translator, of two.

    Maps N,channels,H,W in [-1, 1] to the same shape; H and W multiples of 4. The noise that training adds
    to the latent code belongs to the trainer, between `enc` and `dec`.
    """

    multiple_of = 4

    def __init__(self, *, channels: int = 3, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        relu = nn.ReLU
        encoder: list[nn.Module] = [
            ConvBlock(channels, width, 7, norm=InstanceNorm(width), activation=relu(inplace=True))
        ]
        for inputs in (width, width * 2):
            norm = InstanceNorm(inputs * 2)
            encoder.append(
                ConvBlock(inputs, inputs * 2, 4, stride=2, norm=norm, activation=relu(inplace=True))
            )
        encoder.append(_Trunk([Unit2018ResBlock(width * 4) for _ in range(blocks)]))
        decoder: list[nn.Module] = [_Trunk([Unit2018ResBlock(width * 4) for _ in range(blocks)])]
        for inputs in (width * 4, width * 2):
            decoder.append(nn.Upsample(scale_factor=2, mode="nearest"))
            norm_ = LayerNorm(inputs // 2)
            decoder.append(ConvBlock(inputs, inputs // 2, 5, norm=norm_, activation=relu(inplace=True)))
        decoder.append(ConvBlock(width, channels, 7, activation=nn.Tanh()))
        self.enc = _Trunk(encoder)
        self.dec = _Trunk(decoder)

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W in [-1, 1]; returns the same size in [-1, 1]."""
        output: Tensor = self.dec(self.enc(x))
        return output
