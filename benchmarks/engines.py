"""ResNet-9 width 64 on every engine, against plain PyTorch, ONNX Runtime and torch.compile.

    python -m benchmarks.engines --preset vintage --clip cup.mp4 --size 256x256
    python -m benchmarks.engines --start-up --preset vintage --size 1280x720

The same weights and the same picture for all, by turns; medians, and ratios to the plain module. Without
--preset the weights are random. --start-up measures instead how long a new process takes from asking for the
engine to its first picture, with an empty cache and with a full one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

from benchmarks.plain_cyclegan import PlainGenerator
from i2itool.commands.compile import parse_size
from i2itool.console import SilentReporter
from i2itool.engine import open_engine
from i2itool.engine.parity import compare
from i2itool.errors import EngineError
from i2itool.interchange import exported, onnx_model
from i2itool.networks import build
from i2itool.preset import find_preset
from i2itool.speed import matrix_product, medians, num_gflop, real_pictures
from i2itool.weights import load_network

WIDTH, BLOCKS = 64, 9
PLAIN = "plain PyTorch fp32"
ENGINES = ("eager fp32", "inductor bf16", "openvino fp32", "openvino bf16", "openvino int8")
Run = Callable[[Tensor], Tensor]


def main() -> None:
    """Print the table of a size, or the start-up times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--preset", help="a ResNet-9 of width 64; otherwise random weights")
    parser.add_argument("--clip", type=Path, help="real pictures; otherwise those of the sample clip")
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--leave-out", nargs="*", default=[], help="rows of the table, for instance 'onnx'")
    parser.add_argument("--start-up", action="store_true")
    parser.add_argument("--first-picture", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    network = make_network(arguments.preset)
    pictures = real_pictures(network, parse_size(arguments.size), arguments.clip)
    if arguments.first_picture:
        print(first_picture(network, pictures, arguments.first_picture))
    elif arguments.start_up:
        print_start_up(sys.argv[1:], arguments.leave_out)
    else:
        print_table(network, pictures, arguments.rounds, arguments.leave_out)


def make_network(preset: str | None) -> nn.Module:
    """The generator with the preset's weights, or with random ones."""
    if preset is not None:
        return load_network(find_preset(preset), "a2b")
    torch.manual_seed(0)
    return build("resnet", width=WIDTH, blocks=BLOCKS).eval()


def print_table(network: nn.Module, pictures: Tensor, rounds: int, left_out: list[str]) -> None:
    """Time everything by turns and print a line each."""
    picture, size = pictures[:1], (pictures.shape[2], pictures.shape[3])
    with ExitStack() as stack, torch.inference_mode():
        runs = make_runs(network, pictures, stack, left_out)
        expected = runs[PLAIN](picture)
        distances = {name: compare(run(picture), expected).psnr_db for name, run in runs.items()}
        timed: dict[object, Callable[[], object]] = {
            name: lambda run=run: run(picture)  # type: ignore[misc] # a default, to bind it now
            for name, run in runs.items()
        }
        peak = matrix_product(torch.device("cpu"))
        seconds = medians(timed | {"peak": peak}, rounds=rounds, reporter=SilentReporter())
    gflop, peak_gflops = num_gflop(network, size), 2 * 4096**3 / 1e9 / seconds["peak"]
    print(
        f"\n{size[1]}x{size[0]}: {gflop:.1f} GFLOP a picture; bf16 matrix product {peak_gflops:.0f} GFLOP/s"
    )
    print("| | frames/s | ratio | PSNR, dB | GFLOP/s | of peak |\n|---|---|---|---|---|---|")
    for name in runs:
        rate = gflop / seconds[name]
        print(
            f"| {name} | {1 / seconds[name]:.2f} | {seconds[PLAIN] / seconds[name]:.2f} "
            f"| {distances[name]:.1f} | {rate:.0f} | {rate / peak_gflops:.0%} |"
        )


def make_runs(network: nn.Module, pictures: Tensor, stack: ExitStack, left_out: list[str]) -> dict[str, Run]:
    """Everything that is timed, by the name of its row."""
    plain = plain_module(network)
    runs: dict[str, Run] = {PLAIN: plain}
    if "onnx" not in left_out:
        runs["ONNX Runtime fp32"] = onnx_run(network)
    if "compile" not in left_out:
        runs["torch.compile fp32"] = torch.compile(plain, dynamic=False)
    for row in ENGINES:
        name, precision = row.split()
        if row in left_out or name in left_out:
            continue
        started = time.perf_counter()
        try:
            engine = open_engine(
                name,
                network,
                size=(pictures.shape[2], pictures.shape[3]),
                device="cpu",
                precision=precision,
                sample=lambda: pictures,
            )
        except EngineError as error:
            print(f"{row}: {error}", file=sys.stderr)
            continue
        stack.enter_context(engine)
        print(f"{row}: open after {time.perf_counter() - started:.1f} s", file=sys.stderr)
        runs[f"{name} {engine.precision}"] = engine
    return runs


def plain_module(network: nn.Module) -> nn.Module:
    """The generator as its authors' paper has it, in PyTorch's own layers, with the weights of `network`."""
    plain = PlainGenerator(WIDTH, BLOCKS)
    weights = network.state_dict()
    for name, module in list(plain.named_modules()):
        if isinstance(module, nn.InstanceNorm2d) and f"{name}.weight" in weights:
            parent, _, child = name.rpartition(".")
            affine = nn.InstanceNorm2d(module.num_features, affine=True)
            setattr(plain.get_submodule(parent), child, affine)
    plain.load_state_dict(weights)
    return plain.eval().requires_grad_(False)


def onnx_run(network: nn.Module) -> Run:
    """ONNX Runtime on the CPU, with the cores that the others have."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    model = onnx_model(exported(network)).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(["output"], {"input": x.numpy()})[0])


def print_start_up(arguments: list[str], left_out: list[str]) -> None:
    """Seconds to the first picture in processes of their own: with an empty cache, then with a full one."""
    print("| | empty cache, s | full cache, s |\n|---|---|---|")
    for row in ("openvino bf16", "openvino fp32", "openvino int8", "inductor bf16", "eager fp32"):
        if row in left_out or row.split()[0] in left_out:
            continue
        with tempfile.TemporaryDirectory() as folder:
            caches = {"I2ITOOL_CACHE": f"{folder}/ours", "TORCHINDUCTOR_CACHE_DIR": f"{folder}/torch"}
            command = [sys.executable, "-m", "benchmarks.engines", *arguments, "--first-picture", row]
            cold, warm = (
                float(
                    subprocess.run(
                        command, env=os.environ | caches, check=True, capture_output=True, text=True
                    ).stdout
                )
                for _ in range(2)
            )
        print(f"| {row} | {cold:.1f} | {warm:.1f} |", flush=True)


def first_picture(network: nn.Module, pictures: Tensor, row: str) -> float:
    """Seconds from asking for an engine to its first picture, the check against PyTorch included."""
    name, precision = row.split()
    started = time.perf_counter()
    size = (pictures.shape[2], pictures.shape[3])
    with open_engine(name, network, size=size, precision=precision, sample=lambda: pictures) as engine:
        engine(pictures[:1])
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
