"""The papers' experiments, small enough for two cores; see docs/papers.md for what differs.

python -m benchmarks.papers digits DIGITS PHOTOS --results digits.jsonl --work runs/digits
python -m benchmarks.papers map TILES --results map.jsonl --work runs/map
python -m benchmarks.papers methods TILES --minutes 10 --results methods.jsonl --work runs/methods
"""

from __future__ import annotations

import argparse

from benchmarks import ablations, digits

COMMANDS = {"digits": digits, "map": ablations, "methods": ablations}
ABOUT = {
    "digits": "a classifier of digits in a domain without names",
    "map": "UNIT without its parts, at equal steps",
    "methods": "CycleGAN, UNIT 2017 and UNIT 2018, at equal time",
}


def main() -> None:
    """Run the sub-command that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=ABOUT[name]))
    commands.choices["methods"].set_defaults(only=ablations.METHODS, minutes=10)
    arguments = parser.parse_args()
    COMMANDS[arguments.command].run(arguments)


if __name__ == "__main__":
    main()
