"""CycleGAN's generators (Zhu et al. 2017, arXiv:1703.10593) and pix2pix's U-Net (Isola et al. 2017).

Layers stand at the indices of the authors' `nn.Sequential`, so that checkpoints of that family load by name.
"""

from __future__ import annotations

from torch import Tensor, cat, nn

from i2itool.networks.blocks import Norm, Upsample, make_norm, needs_bias, upsampling


class ResnetBlock(nn.Module):
    """x + f(x), where f is two reflect-padded 3x3 convolutions; no ReLU after the sum."""

    def __init__(self, channels: int, *, norm: Norm, dropout: bool) -> None:
        super().__init__()
        bias = needs_bias(norm)
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
            nn.ReLU(inplace=True),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W; returns the same shape."""
        output: Tensor = x + self.conv_block(x)
        return output


class ResnetGenerator(nn.Module):
    """Stem, two halvings, residual trunk, two doublings, head with tanh.

    Maps N,in_channels,H,W in [-1, 1] to N,out_channels,H,W in [-1, 1]; H and W multiples of 4.
    """

    multiple_of = 4

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        blocks: int = 9,
        norm: Norm = "instance",
        dropout: bool = False,
        upsample: Upsample = "transpose",
    ) -> None:
        super().__init__()
        bias = needs_bias(norm)

        def normalised(convolution: nn.Module, channels: int) -> list[nn.Module]:
            return [convolution, make_norm(norm, channels), nn.ReLU(inplace=True)]

        layers: list[nn.Module] = [nn.ReflectionPad2d(3)]
        layers += normalised(nn.Conv2d(in_channels, width, 7, bias=bias), width)
        for channels in (width, width * 2):
            down = nn.Conv2d(channels, channels * 2, 3, stride=2, padding=1, bias=bias)
            layers += normalised(down, channels * 2)
        layers += [ResnetBlock(width * 4, norm=norm, dropout=dropout) for _ in range(blocks)]
        for channels in (width * 4, width * 2):
            layers += normalised(upsampling(upsample, channels, channels // 2, bias=bias), channels // 2)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W in [-1, 1]; returns the same size in [-1, 1]."""
        output: Tensor = self.model(x)
        return output


class UnetLevel(nn.Module):
    """One level of the U-Net: halve, go deeper, double, and hand the input on beside the result."""

    def __init__(
        self,
        outer: int,
        inner: int,
        *,
        norm: Norm,
        deeper: UnetLevel | None,
        outermost_in: int | None = None,
        dropout: bool = False,
        upsample: Upsample = "transpose",
    ) -> None:
        super().__init__()
        self.is_outermost = outermost_in is not None
        bias = needs_bias(norm)
        up_in = inner if deeper is None else inner * 2
        down = nn.Conv2d(outermost_in or outer, inner, 4, stride=2, padding=1, bias=bias)
        up_bias = bias or self.is_outermost
        up = (
            nn.ConvTranspose2d(up_in, outer, 4, stride=2, padding=1, bias=up_bias)
            if upsample == "transpose"
            else upsampling("resize", up_in, outer, bias=up_bias)
        )
        layers: list[nn.Module] = [] if self.is_outermost else [nn.LeakyReLU(0.2)]
        layers.append(down)
        if deeper is not None:
            layers += [] if self.is_outermost else [make_norm(norm, inner)]
            layers.append(deeper)
        layers += [nn.ReLU(), up]
        layers.append(nn.Tanh() if self.is_outermost else make_norm(norm, outer))
        if dropout:
            layers.append(nn.Dropout(0.5))
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W; returns N,outer,H,W at the outermost level, else N,C+outer,H,W."""
        y: Tensor = self.model(x)
        return y if self.is_outermost else cat([x, y], 1)


class UnetGenerator(nn.Module):
    """pix2pix's U-Net with `depth` halvings: 8 is the reference's unet_256, 7 its unet_128.

    Maps N,in_channels,H,W in [-1, 1] to N,out_channels,H,W; H and W multiples of 2 ** depth.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        depth: int = 8,
        norm: Norm = "instance",
        dropout: bool = False,
        upsample: Upsample = "transpose",
    ) -> None:
        super().__init__()
        self.multiple_of = 2**depth
        wide = width * 8
        level = UnetLevel(wide, wide, norm=norm, deeper=None, upsample=upsample)
        for _ in range(depth - 5):
            level = UnetLevel(wide, wide, norm=norm, deeper=level, dropout=dropout, upsample=upsample)
        for outer, inner in ((width * 4, wide), (width * 2, width * 4), (width, width * 2)):
            level = UnetLevel(outer, inner, norm=norm, deeper=level, upsample=upsample)
        self.model = UnetLevel(
            out_channels, width, norm=norm, deeper=level, outermost_in=in_channels, upsample=upsample
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W in [-1, 1]; returns the same size in [-1, 1]."""
        output: Tensor = self.model(x)
        return output
