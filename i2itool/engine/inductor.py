"""PyTorch's own compiler: the network as one graph, with CUDA graphs on a GPU, and C++ on a CPU."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from i2itool.engine.base import Build, SizedEngine, filled_up
from i2itool.engine.memory import is_out_of_memory, out_of_memory_told
from i2itool.errors import EngineError
from i2itool.options import Precision

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class InductorEngine(SizedEngine):
    """`torch.compile` with the inductor backend, channels last."""

    name = "inductor"

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[Precision, ...]:
        """On a GPU the 16-bit kinds that it computes in fast, then float32; on a CPU bf16 if it has that."""
        if device.type == "cuda":
            has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
            return ("fp16", "bf16", "fp32") if has_bf16 else ("fp16", "fp32")
        return ("bf16", "fp32") if torch.ops.mkldnn._is_mkldnn_bf16_supported() else ("fp32",)

    def __init__(self, build: Build) -> None:
        super().__init__(build)
        self._dtype = _DTYPES[build.precision]
        network = copy.deepcopy(build.network).eval().requires_grad_(False)
        self._compiled: Callable[[Tensor], Tensor] | None = None
        with out_of_memory_told(build.device, build.batch_size, build.size):
            network.to(build.device, self._dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # missing in torch's stubs
            self._compiled = self._compile(network)

    def _compile(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """Compile, and run once: so that a network that cannot be compiled is refused here."""
        mode = "reduce-overhead" if self.device.type == "cuda" else "default"
        compiled: Callable[[Tensor], Tensor] = torch.compile(
            network, mode=mode, fullgraph=True, dynamic=False
        )
        example = torch.zeros(self.batch_size, 3, *self.size)
        try:
            self._run(compiled, example)
        except Exception as error:  # the compiler raises what its parts raise
            if is_out_of_memory(error):
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise EngineError(f"PyTorch cannot compile this network: {reason}") from error
        return compiled

    def _run(self, compiled: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of the compiler, about what no user can mend
            moved = batch.to(self.device, self._dtype, memory_format=torch.channels_last)
            return compiled(moved).float().contiguous().cpu()

    def _translate(self, batch: Tensor) -> Tensor:
        assert self._compiled is not None
        filled = filled_up(batch, self.batch_size)
        with out_of_memory_told(self.device, len(batch), self.size):
            # A graph's output is its own memory, which the next call fills again: clone it.
            return self._run(self._compiled, filled)[: len(batch)].clone()

    def _free(self) -> None:
        self._compiled = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
