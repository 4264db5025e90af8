"""The one generator that a foreign file holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from i2itool.errors import InputError
from i2itool.importers.checkpoint import Tensors, read_checkpoint
from i2itool.importers.cyclegan import Hyper
from i2itool.importers.detect import read_generator

_RGB = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A foreign file and the generator that was found in it."""

    file: Path
    sha256: str
    network: str
    hyper: Hyper
    tensors: Tensors


def read_source(file: Path) -> Source:
    """Read the one generator that `file` holds, however deep; raises InputError if it is not exactly one."""
    found: list[Source] = []
    where: list[str] = []
    refusals: dict[int, InputError] = {}
    for path, tensors in read_checkpoint(file).items():
        try:
            network, hyper, renamed = read_generator(tensors)
        except InputError as refusal:
            refusals[len(tensors)] = refusal
            continue
        found.append(Source(file, _sha256(file), network, hyper, renamed))
        where.append(path)
    if not found:
        # The largest of the refused is the network; the others are what an optimiser keeps.
        reason = refusals[max(refusals)]
        raise InputError(f"{file}: {reason.message}", hint=reason.hint)
    if len(found) > 1:
        raise InputError(
            f"{file} holds several generators: {', '.join(where)}",
            hint="save the one you want in a file of its own",
        )
    _check_usable(found[0])
    return found[0]


def _check_usable(source: Source) -> None:
    channels = (source.hyper["in_channels"], source.hyper["out_channels"])
    if channels != (_RGB, _RGB):
        raise InputError(f"{source.file}: maps {channels[0]} channels to {channels[1]}, not RGB to RGB")
    for key, tensor in source.tensors.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{source.file}: {key} holds NaN or infinity", hint="the training had diverged")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
