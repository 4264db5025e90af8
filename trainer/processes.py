"""One process, or several that train together: each with its own pictures, all with the same weights.

Several are started by torchrun. Gradients are averaged before each update, so that N processes with a batch
of 1 are one process with a batch of N. Lightning Fabric finds the others and talks to them; one does without.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, optim

from i2itool.errors import MissingExtra

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Processes(Protocol):
    """This process among those that train together; rank 0 writes."""

    rank: int
    count: int

    def mean(self, values: Tensor) -> Tensor:
        """The mean of all processes' values, any shape."""
        ...

    def gather(self, values: Tensor) -> Tensor:
        """All processes' values, N,... each of the same shape, as one tensor in order of rank."""
        ...

    def wait(self) -> None:
        """Go on when all have come here."""
        ...


class OneProcess:
    """The usual: nobody to ask."""

    rank, count = 0, 1

    def mean(self, values: Tensor) -> Tensor:
        """The values."""
        return values

    def gather(self, values: Tensor) -> Tensor:
        """The values."""
        return values

    def wait(self) -> None:
        """Nobody to wait for."""


class FabricProcesses:
    """The processes that torchrun has started, on one machine or several."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self.rank, self.count = fabric.global_rank, fabric.world_size

    def mean(self, values: Tensor) -> Tensor:
        """The mean over processes, the same to the bit on all of them."""
        mean = self._fabric.all_reduce(values, reduce_op="mean")
        assert isinstance(mean, Tensor)
        return mean

    def gather(self, values: Tensor) -> Tensor:
        """All values, by rank."""
        gathered = self._fabric.all_gather(values)
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1)

    def wait(self) -> None:
        """A barrier."""
        self._fabric.barrier()


def world_size() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def open_processes(device: torch.device) -> tuple[Processes, torch.device]:
    """Find the other processes, if torchrun has started any; returns the device of this one too.

    Raises MissingExtra if there are some and Lightning Fabric is not installed.
    """
    if world_size() == 1:
        return OneProcess(), device
    if find_spec("lightning_fabric") is None:
        hint = "pip install 'i2itool[distributed]'"
        raise MissingExtra("training in several processes needs lightning-fabric", hint=hint)
    from lightning_fabric import Fabric

    here = int(os.environ.get("LOCAL_WORLD_SIZE", world_size()))
    fabric = Fabric(accelerator=device.type, strategy="ddp", devices=here, num_nodes=world_size() // here)
    fabric.launch()
    return FabricProcesses(fabric), fabric.device


def average_gradients(processes: Processes, optimiser: optim.Optimizer) -> None:
    """Replace each gradient that `optimiser` will use by its mean over the processes, in one message."""
    if processes.count == 1:
        return
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    together = processes.mean(torch.cat([gradient.flatten() for gradient in gradients]))
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, mean in zip(gradients, torch.split(together, sizes), strict=True):
        gradient.copy_(mean.view_as(gradient))
