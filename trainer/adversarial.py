"""What CycleGAN and UNIT share: two optimisers that take turns, averaged generators, and a state to save."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.utils.checkpoint import checkpoint

from i2itool.preset import Direction

from .augment import augment
from .config import AdamRecipe, TrainConfig
from .data import Batch
from .ema import Ema
from .pool import ImagePool
from .processes import OneProcess, Processes, average_gradients

Losses = dict[str, Tensor]


class AdversarialTask(ABC):
    """Generators and critics with an Adam each; a method adds its `step` and its `translators`."""

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device,
        *,
        generators: dict[str, nn.Module],
        critics: dict[str, nn.Module],
    ) -> None:
        self.config = config
        self.device = device
        self.generators = generators
        self.critics = critics
        self.networks = generators | critics
        for network in self.networks.values():
            network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
        self.optimisers = {"G": _adam(generators, config.adam), "D": _adam(critics, config.adam)}
        self.averages = {name: Ema(network, config.ema) for name, network in generators.items()}
        self.pools = {name: ImagePool(config.pool_size) for name in critics}
        self.processes: Processes = OneProcess()
        if config.compile:
            for network in self.networks.values():
                _compile(network)

    def _parts(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """The pictures of A and of B in as many parts as the recipe accumulates gradients over."""
        a, b = (x.to(self.device, memory_format=torch.channels_last) for x in (batch.a, batch.b))
        count = self.config.accumulate
        return list(zip(a.chunk(count), b.chunk(count), strict=True))

    def _pass(self, network: Callable[..., Any], *inputs: Tensor) -> Any:  # Any: what the network gives
        """Run a network; with `recompute` keep its input only, and run it again for the gradients."""
        if self.config.recompute and torch.is_grad_enabled():
            return checkpoint(network, *inputs, use_reentrant=False)
        return network(*inputs)

    def _judge(self, critic: str, pictures: Tensor) -> list[Tensor]:
        """The scores that `critic` gives to N,3,H,W, augmented if the recipe says so."""
        scores: list[Tensor] = self.critics[critic](augment(pictures) if self.config.augment else pictures)
        return scores

    def _judge_both(self, critic: str, real: Tensor, fake: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The scores of real and of fake pictures, in one pass: no critic mixes the pictures of a batch."""
        halves = [scores.chunk(2) for scores in self._judge(critic, torch.cat([real, fake]))]
        return [of_real for of_real, _ in halves], [of_fake for _, of_fake in halves]

    def _freeze_critics(self, frozen: bool) -> None:
        for critic in self.critics.values():
            critic.requires_grad_(not frozen)

    def _average(self) -> None:
        for name, average in self.averages.items():
            average.update(self.networks[name])

    def _descend(self, optimiser: str, parts: Iterable[tuple[Tensor, Losses]]) -> Losses:
        """One update by the mean gradient of `parts`, each an objective and the losses in it; their means.

        The parts are made one by one, so that only one holds its graph.
        """
        count = self.config.accumulate
        means: Losses = {}
        self.optimisers[optimiser].zero_grad()
        for objective, losses in parts:
            (objective / count).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            for name, loss in losses.items():
                means[name] = means.get(name, 0.0) + loss.detach() / count
        average_gradients(self.processes, self.optimisers[optimiser])
        self.optimisers[optimiser].step()
        return {name: self.processes.mean(loss) for name, loss in means.items()}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    @abstractmethod
    def translators(self) -> dict[Direction, nn.Module]:
        """See `Task`."""

    def examinee(self) -> nn.Module:
        """A to B: what most methods are after."""
        return self.translators()["a2b"]

    def classifier(self) -> nn.Module | None:
        """None: most methods only translate."""
        return None

    def state(self) -> dict[str, Any]:
        """Networks, averages, optimisers and pools."""
        return {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "averages": {name: average.network.state_dict() for name, average in self.averages.items()},
            "updates": {name: average.updates for name, average in self.averages.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "pools": {name: self._gathered(pool.pictures) for name, pool in self.pools.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue exactly from what `state` returned."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, average in self.averages.items():
            average.network.load_state_dict(state["averages"][name])
            average.updates = state["updates"][name]
        for name, optimiser in self.optimisers.items():
            _load_adam(optimiser, state["optimisers"][name])
        for name, pool in self.pools.items():
            pictures = [picture.to(self.device) for picture in state["pools"][name]]
            size = len(pictures) // self.processes.count
            pool.pictures = pictures[self.processes.rank * size :][:size]

    def _gathered(self, pictures: list[Tensor]) -> list[Tensor]:
        """The pictures of all processes' pools, which hold as many each, by rank."""
        if self.processes.count == 1 or not pictures:
            return pictures
        return list(self.processes.gather(torch.stack(pictures)))


def _compile(network: nn.Module) -> None:
    """Compile the parts of a network in place; methods call them one by one, and their names stay."""
    for part in network.children():
        if isinstance(part, nn.ModuleList):
            _compile(part)
        else:
            part.compile()


def _adam(networks: dict[str, nn.Module], recipe: AdamRecipe) -> optim.Adam:
    parameters = [parameter for network in networks.values() for parameter in network.parameters()]
    betas = (recipe.beta1, recipe.beta2)
    return optim.Adam(parameters, recipe.rate, betas, weight_decay=recipe.weight_decay, fused=True)


def _load_adam(optimiser: optim.Adam, state: dict[str, Any]) -> None:
    """Restore an optimiser, each moment in the memory layout of its parameter.

    The fused update walks both in memory order, and files hold plain contiguous tensors.
    """
    optimiser.load_state_dict(state)
    for parameter, moments in optimiser.state.items():
        for name, value in moments.items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter).copy_(value)
