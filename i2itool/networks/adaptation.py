"""UNIT's networks for domain adaptation, on pictures of 32x32 (Liu et al. 2017, arXiv:1703.00848, section 4).

Two VAEs with one latent space, and a critic that also classifies: what it learns to call by name in one
domain it recognises in the other, for all but the first layer of it is shared.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE_PX = 32


def _normed(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.LeakyReLU(inplace=True))


def _stem(width: int) -> nn.Sequential:
    """Colours and the place of each pixel, to half the size."""
    return _normed(nn.Conv2d(3 + 2, width, 5, stride=2, padding=2), width)


def _encoder(width: int) -> nn.Sequential:
    return nn.Sequential(
        _normed(nn.Conv2d(width, 2 * width, 5, stride=2, padding=2), 2 * width),
        _normed(nn.Conv2d(2 * width, 4 * width, 8), 4 * width),
        _normed(nn.Conv2d(4 * width, 8 * width, 1), 8 * width),
    )


def _decoder(width: int) -> nn.Sequential:
    return nn.Sequential(
        _normed(nn.ConvTranspose2d(8 * width, 8 * width, 4), 8 * width),
        _normed(nn.ConvTranspose2d(8 * width, 4 * width, 4, stride=2, padding=1), 4 * width),
        _normed(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1), 2 * width),
    )


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(
        _normed(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), width),
        nn.ConvTranspose2d(width, 3, 1),
        nn.Tanh(),
    )


def with_places(x: Tensor) -> Tensor:
    """N,3,H,W with two channels more: the column and the row of each pixel, from -1 to 1."""
    rows, columns = (torch.linspace(-1, 1, size, device=x.device, dtype=x.dtype) for size in x.shape[2:])
    places = torch.stack([columns.expand(x.shape[2], -1), rows[:, None].expand(-1, x.shape[3])])
    return torch.cat([x, places.expand(len(x), -1, -1, -1)], dim=1)


def _at_32(x: Tensor) -> Tensor:
    if x.shape[2:] == (SIZE_PX, SIZE_PX):
        return x
    return F.interpolate(x, (SIZE_PX, SIZE_PX), mode="bilinear", antialias=True)


class Unit32Translator(nn.Module):
    """One way through `CoupledUnit32`, by the mean of the code.

    Maps N,3,H,W in [-1, 1] to the same shape; other sizes than 32x32 are brought to it, and back.
    """

    multiple_of = 1

    def __init__(self, *, width: int = 96) -> None:
        super().__init__()
        self.stem = _stem(width)
        self.encoder = _encoder(width)
        self.mean = nn.Conv2d(8 * width, 8 * width, 1)
        self.decoder = _decoder(width)
        self.head = _head(width)

    def forward(self, x: Tensor) -> Tensor:
        """x: N,3,H,W in [-1, 1]; returns the same size in [-1, 1]."""
        code = self.mean(self.encoder(self.stem(with_places(_at_32(x)))))
        made: Tensor = self.head(self.decoder(code))
        return made if made.shape == x.shape else F.interpolate(made, x.shape[2:], mode="bilinear")


class CoupledUnit32(nn.Module):
    """Both domains' VAEs: the first layer and the last two are each domain's own, the deviation is learnt."""

    def __init__(self, *, width: int = 96) -> None:
        super().__init__()
        self.stem_A, self.stem_B = _stem(width), _stem(width)
        self.encoder = _encoder(width)
        self.mean = nn.Conv2d(8 * width, 8 * width, 1)
        self.deviation = nn.Conv2d(8 * width, 8 * width, 1)
        self.decoder = _decoder(width)
        self.head_A, self.head_B = _head(width), _head(width)
        # A code has to mean the same in both domains, so what is each domain's own starts alike.
        self.stem_B.load_state_dict(self.stem_A.state_dict())
        self.head_B.load_state_dict(self.head_A.state_dict())
        # Little noise at first (0.05): codes are small before anything is learnt, and would drown in it.
        assert self.deviation.bias is not None
        nn.init.constant_(self.deviation.bias, -3.0)

    def encode(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of q(z | x) for N pictures of A, then N of B: 2N,8*width,1,1 each."""
        shared = self.encoder(torch.cat([self.stem_A(with_places(a)), self.stem_B(with_places(b))]))
        return self.mean(shared), F.softplus(self.deviation(shared))

    def decode(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """The picture in A and the picture in B that each code stands for, N,3,32,32 in [-1, 1]."""
        shared = self.decoder(code)
        return self.head_A(shared), self.head_B(shared)

    def translator_weights(self, direction: str) -> dict[str, Tensor]:
        """The state dict of the `Unit32Translator` for "a2b" or "b2a", out of this network's own."""
        source, target = direction.upper().split("2")
        names = {f"stem_{source}": "stem", f"head_{target}": "head"}
        names |= {name: name for name in ("encoder", "mean", "decoder")}
        parts = ((key.partition("."), value) for key, value in self.state_dict().items())
        return {f"{names[name]}.{rest}": value for (name, _, rest), value in parts if name in names}


class CoupledCritic32(nn.Module):
    """A critic and a classifier of both domains, of which only the first layer is each domain's own.

    classes: how many.  Channels double from `width` with each of four layers; the last gives 2x2 features.
    dropout: share of the authors' dropout, which is meant for a width of 64.
    """

    def __init__(self, *, width: int = 64, classes: int = 10, dropout: float = 1.0) -> None:
        super().__init__()
        self.first_A, self.first_B = (nn.Conv2d(3, width, 5, padding=2) for _ in range(2))
        layers: list[nn.Module] = [nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.1 * dropout)]
        for factor, share in ((1, 0.3), (2, 0.5), (4, 0.5)):
            layers += [nn.Conv2d(factor * width, 2 * factor * width, 5, padding=2), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2), nn.Dropout(share * dropout)]
        self.shared = nn.Sequential(*layers)
        self.is_real = nn.Conv2d(8 * width, 1, 2)
        self.classes = nn.Conv2d(8 * width, classes, 2)

    def features(self, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
        """The highest features of pictures of A, of B, or of both (A's first): N,8*width,2,2."""
        parts = [first(x) for first, x in ((self.first_A, a), (self.first_B, b)) if x is not None]
        features: Tensor = self.shared(torch.cat(parts))
        return features

    def judge(self, features: Tensor) -> Tensor:
        """A logit for each picture: how real it is. N,1."""
        logits: Tensor = self.is_real(features)
        return logits.flatten(1)

    def name(self, features: Tensor) -> Tensor:
        """Logits of the classes, N,classes."""
        logits: Tensor = self.classes(features)
        return logits.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes for pictures of B, N,3,H,W in [-1, 1], of any size: N,classes."""
        return self.name(self.features(b=_at_32(x)))
