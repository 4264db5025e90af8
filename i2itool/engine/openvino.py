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

    One compiled network serves every size. The pictures of a batch go through one by one, so that none
    depends on how many there are; together they would be a few per cent faster at most.
    """

    name = "openvino"
    is_any_size = True

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
        self._requests: dict[bool, Any] = {}  # Any: openvino's class is not typed
        self._request(takes_bytes=True)

    def _translate(self, batch: Tensor) -> Tensor:
        pictures = batch.detach().to("cpu", torch.float32)
        return torch.from_numpy(self._run(pictures.contiguous().numpy(), takes_bytes=False))

    def _translate_pixels(self, pixels: Pixels) -> Pixels:
        output: Pixels = self._run(np.ascontiguousarray(pixels), takes_bytes=True)
        return output

    def _run(self, pictures: NDArray[Any], *, takes_bytes: bool) -> NDArray[Any]:
        request = self._request(takes_bytes=takes_bytes)
        outputs = np.empty_like(pictures)
        with out_of_memory_told(self.device, 1, self.size):
            for index in range(len(pictures)):
                picture = pictures[index : index + 1]
                # The output is the request's own memory, which the next call fills again: copy it.
                outputs[index] = request.infer([picture], share_inputs=True, share_outputs=True)[0][0]
        return outputs

    def _request(self, *, takes_bytes: bool) -> Any:
        """What runs pictures of bytes, or of floats; made when it is first needed."""
        if takes_bytes not in self._requests:
            assert self._build is not None
            with _told(self._build):
                for kind, compiled in _compiled(self._build, takes_bytes=takes_bytes).items():
                    self._requests[kind] = compiled.create_infer_request()
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


def compile_model(model: Any, precision: Precision) -> Any:
    """Compile a model for this CPU. int8 is in the model; the rest of it is bf16 where there is that."""
    return openvino.Core().compile_model(model, "CPU", _settings(precision))


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


def _compiled(build: Build, *, takes_bytes: bool) -> dict[bool, Any]:
    """The compiled network by whether it takes bytes: as it was kept, or made now, then of both kinds."""
    core, cache = openvino.Core(), user_cache()
    identity = build_identity(OpenVinoEngine.name, build, is_any_size=True)
    keys = {kind: blob_key({**identity, "what": "bytes" if kind else "floats"}) for kind in (True, False)}
    blob = cache.load(keys[takes_bytes])
    if blob is not None:
        try:
            return {takes_bytes: core.import_model(blob, "CPU", _settings(build.precision))}
        except RuntimeError as error:
            logger.debug("a kept network is refused by OpenVINO, and is made anew: %s", error)
            cache.discard(keys[takes_bytes])
    model = _model(build)
    found = {}
    for kind, key in keys.items():
        found[kind] = compile_model(on_bytes(model) if kind else model, build.precision)
        cache.store(key, found[kind].export_model().getvalue())
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
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _settings(precision: Precision) -> dict[str, str]:
    is_16_bit = precision == "bf16" or (precision == "int8" and _has_bf16())
    return {
        # One picture at a time goes through, so all threads work on it together.
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if is_16_bit else "f32",
        "INFERENCE_NUM_THREADS": str(num_cores()),
    }
