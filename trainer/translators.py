"""The generators of both directions, out of weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from i2itool.networks import build
from i2itool.preset import Direction

from .config import TrainConfig
from .preview import Translators


def build_translators(
    config: TrainConfig, weights: Mapping[Direction, Mapping[str, Tensor]], device: torch.device
) -> Translators:
    """The generators of these directions with these weights, in eval mode."""
    translators: Translators = {}
    for direction, tensors in weights.items():
        translators[direction] = build(config.generator.name, **config.generator.hyper).to(device).eval()
        translators[direction].load_state_dict(tensors)
    return translators
