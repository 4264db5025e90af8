"""TensorRT: the network as one engine for one size on one kind of NVIDIA GPU, by way of Torch-TensorRT.

Converted and built with the sibling TensorRT-RTX, but not executed yet: see docs/engines.md.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from i2itool.engine.base import Build, SizedEngine, filled_up
from i2itool.engine.cache import blob_key, build_identity, user_cache
from i2itool.engine.memory import out_of_memory_told
from i2itool.errors import EngineError
from i2itool.frames import Pixels
from i2itool.options import Precision
from i2itool.pixels import OnBytes

logger = logging.getLogger("i2itool.engine")

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_DRIVER = Path("/proc/driver/nvidia/version")
_WARM_UPS = 3


class TensorRtEngine(SizedEngine):
    """Torch-TensorRT on a CUDA device, replayed as a CUDA graph on a stream of its own.

    The graph is recorded when the engine is made: while other threads use the GPU that would fail.
    """

    name = "tensorrt"

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[Precision, ...]:
        """fp16 first: it holds eleven bits of a number, bf16 eight, and they are equally fast."""
        if device.type != "cuda":
            raise EngineError(f"it does not run on {device.type}")
        has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
        return ("fp16", "bf16", "fp32") if has_bf16 else ("fp16", "fp32")

    def __init__(self, build: Build) -> None:
        super().__init__(build)
        _refuse_bf16_deconvolution(build)
        library = _load_library()
        shape, dtype = (build.batch_size, 3, *build.size), _DTYPES[build.precision]
        self._network: nn.Module | None = None
        self._staged: dict[torch.dtype, Tensor] = {}
        self._stream = (
            torch.cuda.Stream(build.device)  # type: ignore[no-untyped-call]
            if build.device.type == "cuda"
            else None
        )
        with _told(build), contextlib.ExitStack() as stack:
            module = _load_or_build(library, build)
            # Recorded at the first call for a shape, and there is only one.
            replayed = stack.enter_context(library.runtime.enable_cudagraphs(module))
            network = _InDtype(replayed, dtype)
            for _ in range(_WARM_UPS):
                self._run(network, torch.zeros(shape))
            self._network, self._graphs = network, stack.pop_all()

    def _translate(self, batch: Tensor) -> Tensor:
        assert self._network is not None
        filled = filled_up(batch.detach().to("cpu", torch.float32), self.batch_size)
        with out_of_memory_told(self.device, len(batch), self.size):
            return self._run(self._network, filled)[: len(batch)].clone()

    def _translate_pixels(self, pixels: Pixels) -> Pixels:
        """Bytes go over the bus, a quarter of what floats take; TensorRT itself does not convert them."""
        assert self._network is not None
        filled = filled_up(torch.from_numpy(pixels), self.batch_size)
        with out_of_memory_told(self.device, len(pixels), self.size):
            output: Pixels = self._run(OnBytes(self._network), filled)[: len(pixels)].clone().numpy()
        return output

    def _run(self, network: nn.Module, batch: Tensor) -> Tensor:
        """A full batch through the network and back, in memory that the next call fills again."""
        staged = self._staged_for(batch)
        staged.copy_(batch)
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            staged.copy_(network(staged.to(self.device, non_blocking=True)), non_blocking=True)
        if self._stream is not None:
            self._stream.synchronize()
        return staged

    def _staged_for(self, batch: Tensor) -> Tensor:
        """Page-locked memory for batches of a kind: what the GPU can copy from and to by itself."""
        if batch.dtype not in self._staged:
            is_pinned = self.device.type == "cuda"
            self._staged[batch.dtype] = torch.empty(batch.shape, dtype=batch.dtype, pin_memory=is_pinned)
        return self._staged[batch.dtype]

    def _free(self) -> None:
        self._network = None
        self._graphs.close()
        self._staged.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class _InDtype(nn.Module):
    """A network of another dtype behind float32."""

    def __init__(self, network: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
        super().__init__()
        self._run = network
        self._dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x.to(self._dtype).contiguous()).float()


def static_program(build: Build) -> ExportedProgram:
    """What TensorRT is given: the network in the precision of `build`, for one shape alone."""
    dtype = _DTYPES[build.precision]
    network = copy.deepcopy(build.network).eval().requires_grad_(False).to(build.device, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(network, (_example(build),))


def compile_settings() -> dict[str, Any]:  # Any: keywords of dynamo.compile
    """How it is compiled: the whole network as one engine, with our own cache and none of the library's.

    The precision is that of the weights: `enabled_precisions` is gone, or silently ignored.
    """
    settings: dict[str, Any] = {
        "require_full_compilation": True,
        "min_block_size": 1,
        "optimization_level": 3,  # TensorRT's own default; more takes minutes to build
        "immutable_weights": True,
        "cache_built_engines": False,
        "reuse_cached_engines": False,
        "workspace_size": 0,  # as much as there is
    }
    if (folder := user_cache().private_folder()) is not None:
        settings["timing_cache_path"] = str(folder / "tensorrt.timing")
    return settings


def _example(build: Build) -> Tensor:
    shape = (build.batch_size, 3, *build.size)
    return torch.zeros(shape, dtype=_DTYPES[build.precision], device=build.device)


def _refuse_bf16_deconvolution(build: Build) -> None:
    has_deconvolution = any(isinstance(module, nn.ConvTranspose2d) for module in build.network.modules())
    if build.precision == "bf16" and has_deconvolution:
        raise EngineError(
            "TensorRT has no transposed convolution in bf16, and this network has one",
            hint='--precision fp16, or a network with upsample = "resize"',
        )


def _load_library() -> Any:  # Any: torch_tensorrt, which has no types
    """Torch-TensorRT; its import fails in many ways, and without CUDA always."""
    if not torch.cuda.is_available():
        raise EngineError("engine 'tensorrt' needs a CUDA device")
    try:
        with _quiet():
            import torch_tensorrt
    except Exception as error:  # the package raises bare exceptions
        raise EngineError(
            f"engine 'tensorrt': torch_tensorrt is installed but broken: {_line(error)}"
        ) from error
    return torch_tensorrt


def _load_or_build(library: Any, build: Build) -> Callable[[Tensor], Tensor]:
    """The engine as an earlier run has kept it; otherwise built now, and kept."""
    driver = _DRIVER.read_text().splitlines()[0] if _DRIVER.is_file() else "unknown"
    identity = build_identity(TensorRtEngine.name, build, is_any_size=False)
    key, cache = blob_key({**identity, "driver": driver, "settings": repr(compile_settings())}), user_cache()
    blob = cache.load(key)
    if blob is not None:
        try:
            return _loaded(library, blob)
        except Exception as error:  # noqa: BLE001 # whatever the runtime says of an engine that it refuses
            logger.debug("a kept engine is refused by TensorRT, and is made anew: %s", _line(error))
            cache.discard(key)
    with _quiet():
        made = library.dynamo.compile(
            static_program(build), arg_inputs=[_example(build)], **compile_settings()
        )
    cache.store(key, _saved(library, made, build))
    run: Callable[[Tensor], Tensor] = made
    return run


def _saved(library: Any, made: Any, build: Build) -> bytes:
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "engine.ep"
        library.save(made, str(path), arg_inputs=[_example(build)], output_format="exported_program")
        return path.read_bytes()


def _loaded(library: Any, blob: bytes) -> Callable[[Tensor], Tensor]:
    # Nobody else can write to this folder, nor to the cache: what is loaded can run code.
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "engine.ep"
        path.write_bytes(blob)
        run: Callable[[Tensor], Tensor] = library.load(str(path)).module()
    return run


@contextlib.contextmanager
def _told(build: Build) -> Iterator[None]:
    """Turn TensorRT's ways of failing into ours."""
    try:
        with out_of_memory_told(build.device, build.batch_size, build.size):
            yield
    except EngineError:
        raise
    except Exception as error:  # the compiler raises what its parts raise
        raise EngineError(f"TensorRT cannot build this network: {_line(error)}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
