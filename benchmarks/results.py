"""Results of runs, one a line of JSON: written as soon as a run ends, so that whatever stops goes on."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

Line = dict[str, Any]  # Any: a line of JSON


def read(path: Path) -> list[Line]:
    """The results so far; none if there is no file yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def append(path: Path, line: Line) -> None:
    """Write down one more."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def has(path: Path, key: Line) -> bool:
    """Whether there is a result of just this run."""
    return any(key.items() <= line.items() for line in read(path))


def slug(name: str) -> str:
    """A variant's name as a folder's."""
    return name.replace(", ", "-").replace(" ", "-")


def spread(lines: list[Line], name: str, *, digits: int = 3) -> str:
    """Mean and deviation of a score; the score alone of one run."""
    values: list[float] = [line[name] for line in lines]
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} +- {statistics.stdev(values):.{digits}f}"
