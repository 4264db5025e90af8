"""Figures of the trainer: a step's speed, and its likeness to a plain one; kills; methods and their parts.

python -m benchmarks.training speed
python -m benchmarks.training drift --double
python -m benchmarks.training quality DATA --results results.jsonl --work runs/quality
"""

from __future__ import annotations

import argparse

from benchmarks import ablations, kills, step_drift, step_speed

COMMANDS = {"speed": step_speed, "drift": step_drift, "kills": kills, "quality": ablations}


def main() -> None:
    """Run the sub-command that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=(module.__doc__ or "").splitlines()[0]))
    arguments = parser.parse_args()
    COMMANDS[arguments.command].run(arguments)


if __name__ == "__main__":
    main()
