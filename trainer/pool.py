"""CycleGAN's pool of earlier fakes, which keeps a critic from chasing only the latest generator."""

from __future__ import annotations

import torch
from torch import Tensor


class ImagePool:
    """Up to `size` earlier fakes (Shrivastava et al. 2017; Zhu et al. 2017, section 4).

    A full pool answers half of the queries with a stored picture, which the new one then replaces.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.pictures: list[Tensor] = []

    def query(self, fakes: Tensor) -> Tensor:
        """Exchange a batch: N,C,H,W in, N,C,H,W out; draws from torch's generator."""
        if self.size == 0:
            return fakes
        return torch.stack([self._exchange(fake) for fake in fakes.detach()])

    def _exchange(self, fake: Tensor) -> Tensor:
        if len(self.pictures) < self.size:
            self.pictures.append(fake.clone())
            return fake
        if torch.rand(()) < 0.5:
            return fake
        place = int(torch.randint(self.size, ()))
        stored = self.pictures[place]
        self.pictures[place] = fake.clone()
        return stored
