"""A batch divided among machines that know nothing of each other."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from i2itool.errors import OptionError
from i2itool.jobs.plan import Task

_SHARD = re.compile(r"(\d+)/(\d+)", re.ASCII)
SHARD_VARIABLE = "I2ITOOL_SHARD"
_SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of a batch. index: from 0."""

    index: int
    count: int

    def of(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks of this part, in their order; every task is in exactly one part.

        The largest first, each goes to the part that has the fewest bytes so far, so parts are about equally
        long. The same files give the same parts on every machine, whatever is done already.
        """
        names = [_name(task) for task in tasks]
        sizes = [task.num_bytes for task in tasks]
        loads = [0] * self.count
        mine: list[int] = []
        for i in sorted(range(len(tasks)), key=lambda i: (-sizes[i], _digest(names[i]), names[i])):
            part = min(range(self.count), key=lambda part: (loads[part], part))
            # Files without bytes count too.
            loads[part] += sizes[i] + 1
            if part == self.index:
                mine.append(i)
        return [tasks[i] for i in sorted(mine)]


def parse_shard(text: str | None, environment: Mapping[str, str] = os.environ) -> Shard | None:
    """The part that is asked for; None if the batch is not divided.

    text: `3/16` is the third of sixteen, `auto` that of a Slurm array; None asks $I2ITOOL_SHARD.
    Raises OptionError if it is neither.
    """
    text = environment.get(SHARD_VARIABLE) if text is None else text
    if not text:
        return None
    if text == "auto":
        return _of_slurm(environment)
    match = _SHARD.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise OptionError(f"'{text}' is no part of a batch", hint="3/16 is the third of sixteen")
    return Shard(int(match[1]) - 1, int(match[2]))


def _of_slurm(environment: Mapping[str, str]) -> Shard:
    found = [environment.get(name, "") for name in _SLURM]
    if not all(text.isascii() and text.isdigit() for text in found):
        raise OptionError(
            "there is no Slurm array that tells which part this is", hint="`sbatch --array=1-16`, or 3/16"
        )
    number, first, count = (int(text) for text in found)
    if not first <= number < first + count:
        raise OptionError("the Slurm array has gaps", hint="number it without, as --array=1-16")
    return Shard(number - first, count)


def _name(task: Task) -> str:
    """The same on machines that see the files under different folders."""
    return task.target.name if task.root is None else task.target.relative_to(task.root).as_posix()


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
