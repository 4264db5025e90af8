"""What the training loop knows of a method: steps, losses, a state to save and translators to show."""

from __future__ import annotations

from typing import Any, Protocol

from torch import nn, optim

from i2itool.preset import Direction

from .data import Batch
from .processes import Processes


class Task(Protocol):
    """One training method. The loop sets the optimisers' rates and seeds torch before each step.

    processes: those that share each step; all call every method alike.
    """

    optimisers: dict[str, optim.Adam]
    processes: Processes

    def step(self, batch: Batch, *, progress: float) -> dict[str, float]:
        """Update all networks once; returns the unweighted losses by name.

        progress: share of the run that is done, 0..1, for weights that move.
        """
        ...

    def translators(self) -> dict[Direction, nn.Module]:
        """The generators as `i2itool.networks.build` makes them, with averaged weights, in eval mode."""
        ...

    def examinee(self) -> nn.Module:
        """The network that held-out pictures are shown to; averaged and in eval mode, too."""
        ...

    def classifier(self) -> nn.Module | None:
        """What the preset names pictures by; None if it only translates."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on: nested dicts and lists of tensors and numbers."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue exactly from what `state` returned."""
        ...
