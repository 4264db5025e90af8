"""Flicker of translated clips with each way of smoothing, and what it costs.

    python -m benchmarks.temporal translate CLIP... --preset NAME --work FOLDER
    python -m benchmarks.temporal score --work FOLDER
    python -m benchmarks.temporal truth --work FOLDER
    python -m benchmarks.temporal work-size CLIP... --preset NAME
    python -m benchmarks.temporal time

Scores are of frames in memory, before any encoder.
"""

from __future__ import annotations

import argparse

import cv2

from benchmarks import temporal_clips, temporal_cost, temporal_score, temporal_truth, temporal_work_size

COMMANDS = {
    "translate": temporal_clips,
    "score": temporal_score,
    "truth": temporal_truth,
    "work-size": temporal_work_size,
    "time": temporal_cost,
}


def main() -> None:
    """Run the part that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    for name, module in COMMANDS.items():
        module.add_arguments(parts.add_parser(name, help=(module.__doc__ or "").splitlines()[0]))
    arguments = parser.parse_args()
    # One thread, as beside a network that takes the others.
    cv2.setNumThreads(1)
    COMMANDS[arguments.part].run(arguments)


if __name__ == "__main__":
    main()
