"""OpenVINO: the fastest way through a generator on a CPU, in bfloat16 where the CPU computes in it."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from i2itool.engine.base import Build, SizedEngine
from i2itool.engine.memory import out_of_memory_told
from i2itool.errors import EngineError
from i2itool.networks import multiple_of
from i2itool.options import Precision


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """Keep `import openvino` from reporting the use of it to its makers, as it does unless told not to.

    OpenVINO takes a silent stand-in when its telemetry package cannot be imported.
    """
    name = "openvino_telemetry"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # None makes an import fail: the documented way
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


with _without_telemetry():
    import openvino
    import openvino.frontend


_FAILURES = (
    openvino.frontend.GeneralFailure,
    openvino.frontend.NotImplementedFailure,
    openvino.frontend.OpConversionFailure,
    openvino.frontend.OpValidationFailure,
)


class OpenVinoEngine(SizedEngine):
    """OpenVINO on the CPU: bf16 where the CPU has instructions for it, otherwise fp32."""

    name = "openvino"

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[Precision, ...]:
        """bf16 first, where the CPU computes in it; raises EngineError for anything but a CPU."""
        if device.type != "cpu":
            raise EngineError(f"engine 'openvino' does not run on {device.type}")
        has_bf16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return ("bf16", "fp32") if has_bf16 else ("fp32",)

    def __init__(self, build: Build) -> None:
        super().__init__(build)
        with _told(build):
            model = convert(build.network, (build.batch_size, 3, *build.size))
            compiled = openvino.Core().compile_model(model, "CPU", _settings(build.precision))
            self._request: Any = compiled.create_infer_request()  # Any: openvino's class is not typed

    def _translate(self, batch: Tensor) -> Tensor:
        num_pictures = len(batch)
        if num_pictures < self.batch_size:
            missing = self.batch_size - num_pictures
            batch = torch.cat([batch, batch[-1:].expand(missing, -1, -1, -1)])
        inputs = batch.detach().to("cpu", torch.float32).contiguous().numpy()
        with out_of_memory_told(self.device, num_pictures, self.size):
            outputs = self._request.infer([inputs], share_inputs=True, share_outputs=True)
        # The output is the request's own memory, which the next call fills again: copy it.
        return torch.tensor(outputs[0][:num_pictures])

    def _free(self) -> None:
        self._request = None


@contextlib.contextmanager
def _told(build: Build) -> Iterator[None]:
    """Turn OpenVINO's ways of failing into ours."""
    try:
        with out_of_memory_told(build.device, build.batch_size, build.size):
            yield
    except (RuntimeError, *_FAILURES) as error:
        reason = str(error).strip().splitlines()[-1]
        raise EngineError(f"OpenVINO cannot compile this network: {reason}") from error


def convert(network: nn.Module, shape: tuple[int, int, int, int]) -> Any:  # Any: openvino.Model
    """The network as an OpenVINO model in float32 for batches of one shape (N,3,H,W)."""
    exact = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    # Tracing runs the network once; a small picture spares the minute that a large one would take.
    small = torch.zeros(1, 3, *(2 * multiple_of(network),) * 2)
    # Both steps print and warn about things that no user can mend.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(exact, small, check_trace=False)  # type: ignore[no-untyped-call]
        model = openvino.convert_model(traced, example_input=small)
    model.reshape(list(shape))
    return model


def _settings(precision: str) -> dict[str, str]:
    return {
        # One batch at a time goes through, so all threads work on it together.
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": str(_num_cores()),
    }


def _num_cores() -> int:
    """The cores that this process may use, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
