"""Generators of the CycleGAN and pix2pix code family, known by the names and shapes of their tensors alone.

What the names do not tell is taken as in the papers: reflect padding, ReLU, and tanh at the end.
"""

from __future__ import annotations

import re
from typing import Any

from i2itool.errors import InputError
from i2itool.importers.checkpoint import Tensors
from i2itool.networks.blocks import Norm

Hyper = dict[str, Any]  # Any: what `networks.build` takes

_RUNNING = re.compile(r"\.(running_mean|running_var|num_batches_tracked)$")
_BRANCH = re.compile(r"^model\.(\d+)\.(conv_block|block)\.")
_UNET_LEVEL = re.compile(r"^model\.model\.1\.model\.(?:3\.model\.)*1\.weight$")


def is_resnet(tensors: Tensors) -> bool:
    """Whether these are the tensors of a ResNet generator, or of something much like it."""
    return _is_convolution(tensors, "model.1.weight") and any(_BRANCH.match(name) for name in tensors)


def is_unet(tensors: Tensors) -> bool:
    """Whether these are the tensors of a U-Net generator, or of something much like it."""
    return _is_convolution(tensors, "model.model.0.weight") and "model.model.1.model.1.weight" in tensors


def read_resnet(tensors: Tensors) -> tuple[Hyper, Tensors]:
    """The hyper-parameters of a ResNet generator, and its tensors under the names of ours.

    Raises InputError for a form that ours does not have.
    """
    tensors = {_BRANCH.sub(r"model.\1.conv_block.", name): value for name, value in tensors.items()}
    numbers = sorted({int(match[1]) for name in tensors if (match := _BRANCH.match(name))})
    branch = f"model.{numbers[0]}.conv_block"
    if not _is_convolution(tensors, f"{branch}.1.weight"):
        raise InputError(f"the residual blocks ({branch}) are not reflect-padded 3x3 convolutions")
    stem = tensors["model.1.weight"]
    norm = _norm(tensors, "model.2.weight", "model.1.bias")
    # The convolutions of the head: two that double the size, each with norm and ReLU, padding, the last.
    head = f"model.{numbers[-1] + 8}.weight"
    if not _is_convolution(tensors, head):
        raise InputError(
            f"the layers after the {len(numbers)} residual blocks are not two transposed convolutions and "
            f"an output (no {head})",
            hint="generators that up-sample by resizing cannot be imported",
        )
    hyper: Hyper = {
        "in_channels": stem.shape[1],
        "out_channels": tensors[head].shape[0],
        "width": stem.shape[0],
        "blocks": len(numbers),
        "norm": norm,
        # Dropout takes an index of its own, which moves the second convolution from 5 to 6.
        "dropout": _is_convolution(tensors, f"{branch}.6.weight"),
    }
    return hyper, _without_statistics(tensors, norm)


def read_unet(tensors: Tensors) -> tuple[Hyper, Tensors]:
    """The hyper-parameters of a U-Net generator, and its tensors.

    Dropout leaves no trace in the names and does nothing outside training, so it is taken as absent.
    """
    first = tensors["model.model.0.weight"]
    norm = _norm(tensors, "model.model.1.model.2.weight", "model.model.1.model.1.bias")
    last = tensors.get("model.model.3.weight")
    if last is None or last.ndim != 4:
        raise InputError("the outermost level of this U-Net is not the known one (no model.model.3.weight)")
    hyper: Hyper = {
        "in_channels": first.shape[1],
        "out_channels": last.shape[1],
        "width": first.shape[0],
        "depth": 1 + sum(1 for name in tensors if _UNET_LEVEL.match(name)),
        "norm": norm,
    }
    return hyper, _without_statistics(tensors, norm)


def _is_convolution(tensors: Tensors, name: str) -> bool:
    return name in tensors and tensors[name].ndim == 4


def _norm(tensors: Tensors, norm_weight: str, bias_before: str) -> Norm:
    """BatchNorm brings its own shift, so the convolution before it has no bias; the others keep theirs."""
    if norm_weight not in tensors:
        return "instance"
    return "instance_affine" if bias_before in tensors else "batch"


def _without_statistics(tensors: Tensors, norm: Norm) -> Tensors:
    """PyTorch before 0.4 kept running statistics for InstanceNorm and never used them."""
    if norm == "batch":
        return tensors
    return {name: value for name, value in tensors.items() if not _RUNNING.search(name)}
