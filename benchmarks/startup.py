"""CPU seconds that `import i2itool` and `i2itool --help` take; the least of several runs."""

from __future__ import annotations

import resource
import subprocess
import sys

RUNS = 5
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import i2itool": ["-c", "import i2itool"],
    "i2itool --help": ["-m", "i2itool", "--help"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of one Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    for label, arguments in COMMANDS.items():
        print(f"{label:16} {min(cpu_seconds(arguments) for _ in range(RUNS)):.3f} s CPU")
