"""The papers' experiments, small enough for two cores; see docs/papers.md for what differs.

python -m benchmarks.papers digits DIGITS PHOTOS --results digits.jsonl --work runs/digits
python -m benchmarks.papers map TILES --results map.jsonl --work runs/map
"""

from __future__ import annotations

import argparse

from benchmarks import ablations, digits

COMMANDS = {"digits": digits, "map": ablations}


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
