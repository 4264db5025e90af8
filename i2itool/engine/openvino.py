"""OpenVINO: the fastest way through a generator on a CPU, in bfloat16 where the CPU computes in it."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2itool.device import num_cores
from i2itool.engine.base import Build, SizedEngine
from i2itool.engine.cache import blob_key, build_identity, user_cache
from i2itool.engine.memory import out_of_memory_told
from i2itool.engine.side_by_side import num_side_by_side, run
from i2itool.errors import EngineError
from i2itool.frames import Pixels
from i2itool.networks import multiple_of
from i2itool.options import Precision
from i2itool.pixels import HALF_RANGE_OF_BYTES

logger = logging.getLogger("i2itool.engine")


@contextlib.contextmanager
def without_telemetry() -> Iterator[None]:
    """Keep the import of openvino and nncf from reporting it to their makers, as they do unless told not to.

    Both take a silent stand-in when their telemetry package cannot be imported.
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


with without_telemetry():
    import openvino
    import openvino.frontend
    import openvino.preprocess
    from openvino import opset13 as opset


_FAILURES = (
    openvino.frontend.GeneralFailure,
    openvino.frontend.NotImplementedFailure,
    openvino.frontend.OpConversionFailure,
    openvino.frontend.OpValidationFailure,
)


class OpenVinoEngine(SizedEngine):
    """OpenVINO on the CPU: bf16 where the CPU has instructions for it, otherwise fp32.

    One compiled network serves every size. The pictures of a batch go through it side by side, each on
    cores of its own, which do not wait for one another; none depends on the others.
    """

    name = "openvino"
    is_any_size = True

    def _num_threads(self) -> int:
        return num_cores()

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[Precision, ...]:
        """bf16 first, where the CPU computes in it; raises EngineError for anything but a CPU."""
        if device.type != "cpu":
            raise EngineError(f"it does not run on {device.type}")
        return ("bf16", "fp32") if _has_bf16() else ("fp32",)

    @classmethod
    def opt_in_precisions(cls, device: torch.device) -> tuple[Precision, ...]:  # noqa: ARG003
        """int8 where NNCF is installed; it is not always near enough to float32."""
        return ("int8",) if find_spec("nncf") is not None else ()

    def __init__(self, build: Build) -> None:
        super().__init__(build)
        network = copy.deepcopy(build.network).cpu().float().eval().requires_grad_(False)
        self._build: Build | None = replace(build, network=network)
        self._requests: dict[bool, list[Any]] = {}  # Any: openvino's class is not typed
        self._requests_for(takes_bytes=True)

    @property
    def most_useful(self) -> int:
        """See `Engine`."""
        return num_side_by_side(super().most_useful)

    def resize(self, size: tuple[int, int], batch_size: int) -> bool:
        """Serve another size; see `Engine`."""
        if not self._is_closed and num_side_by_side(batch_size) != num_side_by_side(self.batch_size):
            self._requests.clear()
        return super().resize(size, batch_size)

    def _translate(self, batch: Tensor) -> Tensor:
        pictures = batch.detach().to("cpu", torch.float32)
        return torch.from_numpy(self._run(pictures.contiguous().numpy(), takes_bytes=False))

    def _translate_pixels(self, pixels: Pixels) -> Pixels:
        output: Pixels = self._run(np.ascontiguousarray(pixels), takes_bytes=True)
        return output

    def _run(self, pictures: NDArray[Any], *, takes_bytes: bool) -> NDArray[Any]:
        requests = self._requests_for(takes_bytes=takes_bytes)
        with out_of_memory_told(self.device, 1, self.size):
            return run(requests, pictures)

    def _requests_for(self, *, takes_bytes: bool) -> list[Any]:
        """What runs pictures of bytes, or of floats, side by side; made when it is first needed."""
        if takes_bytes not in self._requests:
            assert self._build is not None
            num_streams = num_side_by_side(self.batch_size)
            with _told(self._build):
                for kind, compiled in _compiled(self._build, num_streams, takes_bytes=takes_bytes).items():
                    self._requests[kind] = [compiled.create_infer_request() for _ in range(num_streams)]
        return self._requests[takes_bytes]

    def _free(self) -> None:
        self._requests.clear()
        self._build = None


def convert(network: nn.Module, shape: Sequence[int] = (-1, 3, -1, -1)) -> Any:  # Any: openvino.Model
    """The network as an OpenVINO model in float32 for batches N,3,H,W; -1 stands for any number."""
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


def compile_model(model: Any, precision: Precision, num_streams: int = 1) -> Any:
    """Compile a model for this CPU. int8 is in the model; the rest of it is bf16 where there is that.

    num_streams: pictures that are at work at once.
    """
    return _core().compile_model(model, "CPU", _settings(precision, num_streams))


@cache
def _core() -> Any:
    """The one of this process, which lives as long as it does.

    Each takes the stack on which its thread handles signals, and gives it back when it goes; of two that go
    in another order than they came, or in another thread, one leaves a stack that is no more, and the next
    Ctrl-C kills the process.
    """
    return openvino.Core()


def on_bytes(model: Any) -> Any:
    """Of a model of N,3,H,W float32 one of N,H,W,3 uint8, in and out: as `pixels.OnBytes`."""
    steps = openvino.preprocess.PrePostProcessor(model.clone())
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    floats = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    floats.scale(HALF_RANGE_OF_BYTES).mean(1.0)
    steps.output().model().set_layout(openvino.Layout("NCHW"))
    steps.output().postprocess().custom(_to_levels)
    steps.output().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    return steps.build()


def _to_levels(output: Any) -> Any:
    half = np.float32(HALF_RANGE_OF_BYTES)
    levels = opset.round(opset.multiply(opset.add(output, np.float32(1)), half), "half_to_even")
    return opset.clamp(levels, 0.0, 2.0 * HALF_RANGE_OF_BYTES).output(0)


def _compiled(build: Build, num_streams: int, *, takes_bytes: bool) -> dict[bool, Any]:
    """The compiled network by whether it takes bytes: as it was kept, or made now, then of both kinds."""
    blobs = user_cache()
    identity = build_identity(OpenVinoEngine.name, build, is_any_size=True)
    keys = {kind: blob_key({**identity, "what": "bytes" if kind else "floats"}) for kind in (True, False)}
    blob = blobs.load(keys[takes_bytes])
    if blob is not None:
        try:
            return {takes_bytes: _core().import_model(blob, "CPU", _settings(build.precision, num_streams))}
        except RuntimeError as error:
            logger.debug("a kept network is refused by OpenVINO, and is made anew: %s", error)
            blobs.discard(keys[takes_bytes])
    model = _model(build)
    found = {}
    for kind, key in keys.items():
        found[kind] = compile_model(on_bytes(model) if kind else model, build.precision, num_streams)
        blobs.store(key, found[kind].export_model().getvalue())
    return found


def _model(build: Build) -> Any:
    if build.precision != "int8":
        return convert(build.network)
    from i2itool.engine.quantise import quantise  # it needs this module

    model = quantise(build)
    model.reshape([-1, 3, -1, -1])
    return model


@contextlib.contextmanager
def _told(build: Build) -> Iterator[None]:
    """Turn OpenVINO's ways of failing into ours."""
    try:
        with out_of_memory_told(build.device, 1, build.size):
            yield
    except (RuntimeError, *_FAILURES) as error:
        reason = str(error).strip().splitlines()[-1]
        raise EngineError(f"OpenVINO cannot compile this network: {reason}") from error


def _has_bf16() -> bool:
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _settings(precision: Precision, num_streams: int) -> dict[str, str]:
    is_16_bit = precision == "bf16" or (precision == "int8" and _has_bf16())
    return {
        # A picture alone has all threads to itself.
        **({"PERFORMANCE_HINT": "LATENCY"} if num_streams == 1 else {"NUM_STREAMS": str(num_streams)}),
        "INFERENCE_PRECISION_HINT": "bf16" if is_16_bit else "f32",
        "INFERENCE_NUM_THREADS": str(num_cores()),
        # Tied to a core, a thread would wait while a codec works there and another core is free, and all
        # other threads of the network with it.
        "ENABLE_CPU_PINNING": "NO",
    }
