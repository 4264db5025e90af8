"""The network as PyTorch runs it, in float32: the reference that every other engine is compared with."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from i2itool.engine.base import Build, SizedEngine
from i2itool.engine.memory import out_of_memory_told
from i2itool.options import Precision


class EagerEngine(SizedEngine):
    """Plain PyTorch in float32, on the CPU or on a CUDA device."""

    name = "eager"
    is_any_size = True

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[Precision, ...]:  # noqa: ARG003
        """Float32 on every device."""
        return ("fp32",)

    def __init__(self, build: Build) -> None:
        super().__init__(build)
        assert build.precision == "fp32"
        self._network: nn.Module | None = copy.deepcopy(build.network).eval().requires_grad_(False).float()
        with out_of_memory_told(build.device, 1, build.size):
            self._network.to(build.device)

    def _translate(self, batch: Tensor) -> Tensor:
        assert self._network is not None
        # The reference keeps all of float32: TF32 would leave 10 bits of the mantissa.
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)
        with out_of_memory_told(self.device, len(batch), self.size), torch.inference_mode(), exact:
            output: Tensor = self._network(batch.to(self.device, torch.float32)).cpu()
        # An inference tensor cannot be altered in place or enter autograd outside; a clone can.
        return output.clone()

    def _free(self) -> None:
        self._network = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
