"""Int8 on a CPU: convolutions in 8 bits, calibrated on real pictures, as few as it takes left in 16 or 32.

NNCF quantises, and finds what has to stay. It is kept from the inputs of normalisations, which it would take
by itself: that alone costs 20 dB. See "Int8" in docs/engines.md.
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from i2itool.engine.base import Build
from i2itool.engine.eager import EagerEngine
from i2itool.engine.openvino import compile_model, convert, without_telemetry
from i2itool.engine.parity import LEAST_PSNR_DB_INT8, compare
from i2itool.errors import EngineError, MissingExtra
from i2itool.networks import multiple_of
from i2itool.pixels import padded_size

logger = logging.getLogger("i2itool.engine")

# The search ends here; the gate judges again, at the full size, and some of that may be lost there.
ENOUGH_PSNR_DB = LEAST_PSNR_DB_INT8 + 1.0
# Ranges of activations hardly depend on the size of the pictures, but the time to find them does.
_MOST_PIXELS = 512 * 512
# Only the inputs of convolutions get 8 bits. A normalisation's would share one scale among channels whose
# magnitudes differ by far, which it then makes equal; a sum's would err anew in every residual block.
_LEFT_ALONE = ["Add", "Concat", "Divide", "Multiply", "MVN", "Power", "ReduceMean", "Sqrt", "Subtract"]
_CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData")

Item = tuple[NDArray[np.float32], NDArray[np.float32]]


def quantise(build: Build, *, enough_psnr_db: float = ENOUGH_PSNR_DB) -> Any:  # Any: openvino.Model
    """The network of `build` as an OpenVINO model of N,3,H,W float32, with convolutions in int8.

    The first third of the sample is held out to measure on, the rest calibrates; a single picture does
    both. While the worst picture held out is less than `enough_psnr_db` from float32, the convolution whose
    return to floating point gains most goes back.
    Raises MissingExtra without NNCF, EngineError without a sample or if int8 does not come near enough.
    """
    if find_spec("nncf") is None:
        raise MissingExtra("int8 needs the package nncf", hint="pip install 'i2itool[int8]'")
    if build.sample is None:
        raise EngineError("int8 needs pictures to calibrate on, and there are none here")
    pictures = _shrunk(build.sample(), multiple_of(build.network))
    num_held_out = max(1, len(pictures) // 3)
    held_out = _with_answers(build, pictures[:num_held_out])
    calibration = pictures[num_held_out:] if len(pictures) > 1 else pictures

    model = convert(build.network, (1, *pictures.shape[1:]))
    quantised = _search(model, calibration, held_out, enough_psnr_db)
    compiled = compile_model(quantised, "int8")
    psnr_db = min(_psnr_db(compiled, item) for item in held_out)
    num_int8, num_all = count_int8(quantised)
    told = f"{num_int8} of {num_all} convolutions in 8 bits, {psnr_db:.1f} dB from float32"
    if not num_int8 or psnr_db < LEAST_PSNR_DB_INT8:
        raise EngineError(f"int8 does not come near enough to float32 here: {told} on pictures held out")
    logger.info("int8: %s on %d pictures held out", told, num_held_out)
    return quantised


def count_int8(model: Any) -> tuple[int, int]:  # Any: openvino.Model
    """How many of a model's convolutions read 8-bit numbers, and how many convolutions there are."""
    convolutions = [node for node in model.get_ops() if node.get_type_name() in _CONVOLUTIONS]
    return sum(map(_reads_int8, convolutions)), len(convolutions)


def _reads_int8(node: Any) -> bool:  # Any: openvino.Node
    source = node.input_value(0).get_node()
    while source.get_type_name() in ("Pad", "Interpolate"):
        source = source.input_value(0).get_node()
    return bool(source.get_type_name() == "FakeQuantize")


def _shrunk(pictures: Tensor, multiple: int) -> Tensor:
    """Pictures of at most `_MOST_PIXELS` pixels, N,3,H,W, both sides multiples of `multiple`."""
    height, width = pictures.shape[2:]
    scale = min(1.0, (_MOST_PIXELS / (height * width)) ** 0.5)
    size = padded_size(round(height * scale), round(width * scale), multiple)
    return pictures if scale == 1.0 else F.interpolate(pictures, size, mode="area")


def _with_answers(build: Build, pictures: Tensor) -> list[Item]:
    """Each picture, 1,3,H,W, with what PyTorch makes of it in float32."""
    height, width = pictures.shape[2:]
    exact = replace(build, size=(height, width), batch_size=1, precision="fp32")
    with EagerEngine(exact) as reference:
        return [(picture[None].numpy(), reference(picture[None]).numpy()) for picture in pictures]


def _psnr_db(compiled: Callable[..., Any], item: Item) -> float:
    picture, expected = item
    return compare(torch.from_numpy(compiled([picture])[0]), torch.from_numpy(expected)).psnr_db


def _search(model: Any, calibration: Tensor, held_out: list[Item], enough_psnr_db: float) -> Any:
    with _quiet_nncf() as nncf:

        def capped_psnr_db(compiled: Any, items: Iterable[Item]) -> tuple[float, list[float]]:
            # Above what is enough all models count the same, the unquantised too: so no drop is allowed.
            values = [min(enough_psnr_db, _psnr_db(compiled, item)) for item in items]
            return min(values), values

        quantise = partial(
            nncf.quantize_with_accuracy_control,
            model,
            nncf.Dataset([picture[None].numpy() for picture in calibration]),
            nncf.Dataset(held_out, lambda item: item[0]),
            capped_psnr_db,
            max_drop=0.0,
            # Asymmetric activations: after a ReLU half of a symmetric range would be empty.
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(calibration),
            ignored_scope=nncf.IgnoredScope(types=_LEFT_ALONE, validate=False),
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                num_ranking_workers=1
            ),
        )
        return _in_a_thread(quantise)


def _in_a_thread(work: Callable[[], Any]) -> Any:  # Any: whatever it returns
    """Do it in a thread that ends with it.

    NNCF makes cores of OpenVINO's for itself, which come and go in any order; see `openvino._core` for what
    becomes of the thread that they are made in.
    """
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to who waits, whatever it is
            future.set_exception(error)

    threading.Thread(target=run, name="quantise", daemon=True).start()
    return future.result()


@contextlib.contextmanager
def _quiet_nncf() -> Iterator[Any]:  # Any: the module, which has no types
    """NNCF without its telemetry, its log and its progress bars."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), without_telemetry():
        warnings.simplefilter("ignore")
        import nncf

        # Not nncf.set_log_level, which also changes handlers that others may share.
        logging.getLogger("nncf").setLevel(logging.ERROR)
        yield nncf
