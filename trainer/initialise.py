"""How the papers start their networks."""

from __future__ import annotations

from torch import nn


def initialise(network: nn.Module, *, gain: float = 0.02, zero_bias: bool = True) -> None:
    """Draw convolution weights from N(0, gain) and, with `zero_bias`, set their biases to 0.

    BatchNorm weights come from N(1, gain). CycleGAN zeroes the biases; UNIT leaves PyTorch's.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, gain)
            if zero_bias and module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, gain)
            nn.init.zeros_(module.bias)


def initialise_kaiming(network: nn.Module) -> None:
    """Draw convolution weights by He et al. 2015 (fan in) and zero their biases, as UNIT 2018 does."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise_xavier(network: nn.Module, *, bias: float = 0.1) -> None:
    """Draw convolution weights by Glorot and Bengio 2010, for ReLU; of UNIT's classifier."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, nn.init.calculate_gain("relu"))
            if module.bias is not None:
                nn.init.constant_(module.bias, bias)
