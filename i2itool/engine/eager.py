"""The network as PyTorch runs it, in float32: the reference that every other engine is compared with."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from i2itool.engine.base import SizedEngine
from i2itool.errors import EngineError


class EagerEngine(SizedEngine):
    """Plain PyTorch in float32, on the CPU or on a CUDA device."""

    name = "eager"
    precision = "fp32"

    def __init__(
        self, network: nn.Module, *, size: tuple[int, int], batch_size: int, device: torch.device
    ) -> None:
        super().__init__(size, batch_size)
        self._device = device
        self._network: nn.Module | None = copy.deepcopy(network).eval().requires_grad_(False).float()
        self._network.to(device)

    def _translate(self, batch: Tensor) -> Tensor:
        assert self._network is not None
        # The reference keeps all of float32: TF32 would leave 10 bits of the mantissa.
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)
        try:
            with torch.inference_mode(), exact:
                output: Tensor = self._network(batch.to(self._device, torch.float32)).cpu()
        except torch.OutOfMemoryError as error:
            raise EngineError(
                f"not enough memory on {self._device} for {len(batch)} pictures of "
                f"{self.size[1]}x{self.size[0]} pixels",
                hint="take a smaller batch size or smaller pictures",
            ) from error
        # An inference tensor cannot be altered in place or enter autograd outside; a clone can.
        return output.clone()

    def _free(self) -> None:
        self._network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
