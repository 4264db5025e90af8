"""How a batch scales on paper: workers that share a head and a storage, as a closed network of queues."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def throughput(workers: int, think_seconds: float, demands: Sequence[float]) -> float:
    """Files a second of a closed network of queues, by mean value analysis (Reiser and Lavenberg 1980).

    think_seconds: that a worker spends by itself on a file.  demands: seconds that a file needs of each
    of the things which all workers share and which serve one after the other.
    """
    queues = [0.0] * len(demands)
    files_per_second = 0.0
    for count in range(1, workers + 1):
        waits = [demand * (1 + queue) for demand, queue in zip(demands, queues, strict=True)]
        files_per_second = count / (think_seconds + sum(waits))
        queues = [files_per_second * wait for wait in waits]
    return files_per_second


def print_table(arguments: argparse.Namespace) -> None:
    """How many times as fast 1 to 1,000 workers are as one, for engines of some rates."""
    storage_seconds = arguments.megabytes / arguments.storage
    head_seconds = arguments.head_ms / 1000
    print(f"{'workers':>8}" + "".join(f"{rate:>9g}/s" for rate in arguments.rates))
    for workers in (1, 2, 10, 30, 100, 300, 1000):
        cells = []
        for rate in arguments.rates:
            think = arguments.overhead + arguments.frames / rate
            shared = (storage_seconds, head_seconds)
            cells.append(throughput(workers, think, shared) / throughput(1, think, shared))
        print(f"{workers:8}" + "".join(f"{cell:11.1f}" for cell in cells))
    for rate in arguments.rates:
        alone = arguments.overhead + arguments.frames / rate + storage_seconds + head_seconds
        print(
            f"{rate:g} frames/s: storage is full at {alone / storage_seconds:.0f} workers, the head at "
            f"{alone / head_seconds:.0f}"
        )


def main() -> None:
    """Read the figures, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=250, help="of a clip")
    parser.add_argument("--rates", type=float, nargs="+", default=[2.0, 60.0], help="frames/s of a worker")
    parser.add_argument("--overhead", type=float, required=True, help="seconds a file")
    parser.add_argument("--head-ms", type=float, required=True, help="of the head, a file")
    parser.add_argument("--megabytes", type=float, default=12.0, help="read and written, a file")
    parser.add_argument("--storage", type=float, default=1000.0, help="MB/s of the shared storage")
    print_table(parser.parse_args())


if __name__ == "__main__":
    main()
