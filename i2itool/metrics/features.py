"""A network whose features stand for what a picture shows: MobileNetV2 (Sandler et al., arXiv:1801.04381).

Its weights are not shipped; the file of torchvision (ImageNet) fits by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2itool.errors import InputError
from i2itool.frames import Pixels
from i2itool.importers.checkpoint import read_checkpoint

Features = NDArray[np.float64]

# Expansion, channels, number of blocks and stride of the first, as in the paper's table 2.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_LAST_CHANNELS = 1280
# What the ImageNet weights were trained with: mean and deviation of RGB in [0, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _convolution(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    padding = (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel, narrow by 1x1; with the input added where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.adds_input = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([_convolution(inputs, hidden, 1)] if expansion != 1 else []),
            _convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W."""
        output: Tensor = self.conv(x)
        return x + output if self.adds_input else output


class MobileNetV2(nn.Module):
    """The convolutional part of MobileNetV2, averaged over the picture: N,3,H,W normalised to N,1280."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, 32, stride=2)]
        inputs = 32
        for expansion, channels, blocks, first_stride in _STAGES:
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                layers.append(InvertedResidual(inputs, channels, stride=stride, expansion=expansion))
                inputs = channels
        layers.append(_convolution(inputs, _LAST_CHANNELS, 1))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x: N,3,H,W RGB, normalised by the ImageNet mean and deviation."""
        output: Tensor = self.features(x).mean((2, 3))
        return output


def read_feature_network(file: Path) -> MobileNetV2:
    """Make the network from a file of weights; raises InputError for one that holds none of it."""
    (tensors,) = read_checkpoint(file).values()
    return load_feature_network(tensors)


def load_feature_network(tensors: Mapping[str, Tensor]) -> MobileNetV2:
    """Make the network from a state dict as torchvision names it; raises InputError if it does not fit."""
    network = MobileNetV2()
    wanted = {name: value for name, value in tensors.items() if name.startswith("features.")}
    try:
        network.load_state_dict(wanted)
    except RuntimeError as error:
        hint = "the file mobilenet_v2-*.pth of torchvision fits"
        raise InputError("the feature weights are not those of a MobileNetV2", hint=hint) from error
    return network.eval().requires_grad_(False)


def extract_features(network: MobileNetV2, pictures: Iterable[Pixels], *, size_px: int = 224) -> Features:
    """The features of pictures (each H,W,3 uint8 RGB, any size), resized to a square of `size_px`: N,1280."""
    rows = []
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    for picture in pictures:
        resized = cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_AREA)
        floats = torch.from_numpy(resized).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            rows.append(network((floats - mean) / deviation)[0].double().numpy())
    return np.stack(rows)
