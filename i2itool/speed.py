"""How fast a network runs here, engine by engine, and how near to float32 each comes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from i2itool.console import Reporter
from i2itool.device import resolve_device
from i2itool.engine import ENGINES, Engine, open_engine
from i2itool.engine.parity import compare
from i2itool.engine.select import load_kind, reason_against
from i2itool.errors import EngineError
from i2itool.networks import multiple_of
from i2itool.options import ConvertOptions, Precision
from i2itool.pixels import padded_size, to_network
from i2itool.video.spread import sample_pixels
from i2itool.work_size import resized

REFERENCE = ("eager", "fp32")
# Of the square matrices whose product stands for what the device can do; large enough to fill it.
_MATRIX_SIDE = {"cpu": 4096, "cuda": 8192}


@dataclass(frozen=True, slots=True)
class Speed:
    """What an engine does with one picture at a time.

    seconds: median of a picture.  ratio: how many times as fast as eager fp32.  psnr_db: of the output, from
    eager fp32.  gflops: 1e9 operations of the network's own arithmetic a second.  peak_share: of what a large
    bf16 matrix product reaches on the device.  ready_seconds: to open it, from the cache if it was there.
    """

    engine: str
    precision: str
    seconds: float
    frames_per_second: float
    ratio: float
    psnr_db: float
    gflops: float
    peak_share: float
    ready_seconds: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """An engine that cannot be had here in a precision, and why."""

    engine: str
    precision: str
    reason: str


@dataclass(frozen=True, slots=True)
class SpeedReport:
    """All engines on one device at one size (height and width in pixels).

    gflop: 1e9 operations of one picture, two for each multiplication with its addition.  peak_gflops: of a
    large bf16 matrix product, in the same rounds.
    """

    device: str
    size: tuple[int, int]
    gflop: float
    peak_gflops: float
    speeds: tuple[Speed, ...]
    skipped: tuple[Skipped, ...]


def measure_engines(
    network: nn.Module,
    pictures: Tensor,
    *,
    engines: Sequence[str] = tuple(ENGINES),
    device: str = "auto",
    rounds: int = 5,
    reporter: Reporter,
) -> SpeedReport:
    """Time every engine and precision that can be had on a device, by turns, one picture at a time.

    pictures: N,3,H,W float32 in [-1, 1], real ones; the first is translated, all of them calibrate int8.
    Raises EngineError if the device cannot be had, or not even the reference runs on it.
    """
    found, size = resolve_device(device), (pictures.shape[2], pictures.shape[3])
    names = dict.fromkeys(("eager", *engines))  # eager is what the others are held against
    with ExitStack() as stack:
        opened, skipped = _open_all(network, pictures, list(names), found, stack, reporter)
        if REFERENCE not in opened:
            raise EngineError(skipped[0].reason)
        picture = pictures[:1]
        expected = opened[REFERENCE][0](picture)
        distances = {key: compare(engine(picture), expected).psnr_db for key, (engine, _) in opened.items()}
        runs: dict[object, Callable[[], object]] = {
            key: lambda engine=engine: engine(picture)  # type: ignore[misc] # a default, to bind it now
            for key, (engine, _) in opened.items()
        }
        seconds = medians(runs | {"peak": matrix_product(found)}, rounds=rounds, reporter=reporter)
    gflop, peak = num_gflop(network, size), _peak_gflops(found, seconds["peak"])
    speeds = [_speed(key, seconds, distances[key], gflop, peak, ready) for key, (_, ready) in opened.items()]
    return SpeedReport(str(found), size, gflop, peak, tuple(speeds), tuple(skipped))


def _speed(
    key: tuple[str, Precision],
    seconds: Mapping[object, float],
    psnr_db: float,
    gflop: float,
    peak_gflops: float,
    ready_seconds: float,
) -> Speed:
    rate = gflop / seconds[key]
    return Speed(
        engine=key[0],
        precision=key[1],
        seconds=seconds[key],
        frames_per_second=1 / seconds[key],
        ratio=seconds[REFERENCE] / seconds[key],
        psnr_db=psnr_db,
        gflops=rate,
        peak_share=rate / peak_gflops,
        ready_seconds=ready_seconds,
    )


def medians(
    runs: Mapping[object, Callable[[], object]], *, rounds: int, reporter: Reporter
) -> dict[object, float]:
    """Median seconds of each run: all take turns, so that what slows the machine down slows all of them."""
    seconds: dict[object, list[float]] = {key: [] for key in runs}
    reporter.start("timing", rounds, unit="rounds")
    for run in runs.values():
        run()
    for _ in range(rounds):
        for key, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[key].append(time.perf_counter() - started)
        reporter.advance()
    reporter.finish()
    return {key: statistics.median(values) for key, values in seconds.items()}


def num_gflop(network: nn.Module, size: tuple[int, int]) -> float:
    """1e9 operations that a picture of a size takes, counted without computing anything."""
    counter = FlopCounterMode(display=False)
    with counter, torch.device("meta"), torch.no_grad():
        torch.func.functional_call(
            network,
            {name: tensor.to("meta") for name, tensor in network.state_dict().items()},
            (torch.zeros(1, 3, *size),),
        )
    return counter.get_total_flops() / 1e9


def matrix_product(device: torch.device) -> Callable[[], object]:
    """A run that multiplies two large bf16 matrices."""
    side = _MATRIX_SIDE[device.type]
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))

    def run() -> None:
        torch.mm(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run


def _peak_gflops(device: torch.device, seconds: float) -> float:
    return float(2 * _MATRIX_SIDE[device.type] ** 3 / 1e9 / seconds)


_Opened = dict[tuple[str, Precision], tuple[Engine, float]]


def _open_all(
    network: nn.Module,
    pictures: Tensor,
    names: Sequence[str],
    device: torch.device,
    stack: ExitStack,
    reporter: Reporter,
) -> tuple[_Opened, list[Skipped]]:
    """(engine, precision) -> the engine and the seconds to open it; and those that cannot be had."""
    opened: _Opened = {}
    skipped: list[Skipped] = []
    reporter.start("engines", len(names), unit="engines")
    for name in names:
        for precision in _precisions(name, device, skipped):
            started = time.perf_counter()
            try:
                engine = stack.enter_context(
                    open_engine(
                        name,
                        network,
                        size=(pictures.shape[2], pictures.shape[3]),
                        device=str(device),
                        precision=precision,
                        sample=lambda: pictures,
                    )
                )
            except EngineError as error:
                skipped.append(Skipped(name, precision, error.message))
                continue
            if engine.precision == precision:
                opened[name, precision] = engine, time.perf_counter() - started
            else:
                skipped.append(Skipped(name, precision, f"not near enough to float32, {engine.precision} is"))
        reporter.advance()
    reporter.finish()
    return opened, skipped


def _precisions(name: str, device: torch.device, skipped: list[Skipped]) -> tuple[Precision, ...]:
    if against := reason_against(name, device.type):
        skipped.append(Skipped(name, "", against))
        return ()
    try:
        kind = load_kind(name)
        return (*kind.precisions(device), *kind.opt_in_precisions(device))
    except EngineError as error:
        skipped.append(Skipped(name, "", str(error)))
        return ()


def real_pictures(
    network: nn.Module, size: tuple[int, int], source: Path | None, *, count: int = 6
) -> Tensor:
    """Pictures spread over a video, or over the sample clip, as a network takes them: N,3,H,W.

    size: height and width in pixels, made larger where the network asks for a multiple.
    Raises InputError if the video cannot be read.
    """
    clip = source or Path(str(resources.files("i2itool.samples") / "bigbuckbunny.mp4"))
    height, width = padded_size(*size, multiple_of(network))
    frames = sample_pixels(clip, ConvertOptions(), count)
    return to_network(resized(frames, (height, width)))
