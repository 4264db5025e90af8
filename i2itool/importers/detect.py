"""What a state dict is, from the names of its tensors: a family that can be read, or a plain refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from i2itool.errors import InputError
from i2itool.importers import cyclegan
from i2itool.importers.checkpoint import Tensors
from i2itool.importers.cyclegan import Hyper
from i2itool.networks import build


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of checkpoint: the network of ours that it becomes, how it is known, and how it is read."""

    network: str
    is_it: Callable[[Tensors], bool]
    read: Callable[[Tensors], tuple[Hyper, Tensors]]


FAMILIES: dict[str, Family] = {
    "cyclegan-resnet": Family("resnet", cyclegan.is_resnet, cyclegan.read_resnet),
    "cyclegan-unet": Family("unet", cyclegan.is_unet, cyclegan.read_unet),
}


def detect(tensors: Tensors) -> str:
    """The name of the family in `FAMILIES` that these tensors belong to.

    Raises InputError, saying what was found, if it is none of them.
    """
    refusal = _refusal(tensors)
    if refusal is not None:
        raise refusal
    for name, family in FAMILIES.items():
        if family.is_it(tensors):
            return name
    shown = ", ".join(list(tensors)[:3])
    raise InputError(
        f"unknown network: {len(tensors)} tensors, named {shown}, ...",
        hint="known: generators of CycleGAN and pix2pix, ResNet and U-Net",
    )


def read_generator(tensors: Tensors) -> tuple[str, Hyper, Tensors]:
    """The family, the hyper-parameters and the tensors of a generator, checked against our network.

    Raises InputError if it is of no known family or differs from it in any tensor's name or shape.
    """
    name = detect(tensors)
    family = FAMILIES[name]
    hyper, renamed = family.read(tensors)
    with torch.device("meta"):
        expected = {key: value.shape for key, value in build(family.network, **hyper).state_dict().items()}
    found = {key: value.shape for key, value in renamed.items()}
    # BatchNorm counted no batches before PyTorch 0.4.1, and running them does not need the count.
    optional = {key for key in expected if key.endswith(".num_batches_tracked")}
    for key in sorted((expected.keys() | found.keys()) - (optional - found.keys())):
        if expected.get(key) != found.get(key):
            raise InputError(
                f"much like {name}, but {key} is {_shape(found.get(key))} and not {_shape(expected.get(key))}"
            )
    return family.network, hyper, renamed


def _shape(shape: torch.Size | None) -> str:
    return "absent" if shape is None else "x".join(map(str, shape)) or "a number"


def _refusal(tensors: Tensors) -> InputError | None:
    """Networks that people mistake for generators, or whose generators differ from ours."""
    if any(name.endswith(".filt") for name in tensors):
        return InputError(
            "this is a CUT generator with anti-aliased resampling, which i2itool does not have",
            hint="CUT networks trained with --no_antialias --no_antialias_up can be imported",
        )
    if any(name.startswith(("encode_A.", "decode_A.", "enc_shared.")) for name in tensors):
        return InputError("this is a generator of UNIT's 2017 code, which cannot be imported yet")
    if any(name.startswith(("enc.model.", "dec.model.")) for name in tensors):
        return InputError("this is a generator of UNIT's 2018 code, which cannot be imported yet")
    if _is_discriminator(tensors):
        return InputError(
            "this is a discriminator, which judges pictures and makes none",
            hint="give the generator, for example latest_net_G_A.pth",
        )
    return None


def _is_discriminator(tensors: Tensors) -> bool:
    if any(name.startswith(("model_A.", "model_S.", "cnns.")) for name in tensors):  # UNIT's
        return True
    # CycleGAN's open with a convolution that no padding layer precedes; `net` is the 1x1 pixel variant.
    return any(f"{stem}.0.weight" in tensors and f"{stem}.2.weight" in tensors for stem in ("model", "net"))
