"""Where a run comes from: pictures, seed, versions, revision."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import torch

import i2itool


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a preset says of its making beside the recipe.

    num_a, num_b: pictures to learn from.  revision: of i2itool, if it is a git checkout; with "+" where files
    were changed since.  scores: of the exported step on held-out pictures, by name.
    """

    num_a: int
    num_b: int
    seed: int
    version: str
    torch: str
    revision: str | None
    scores: dict[str, float] = field(default_factory=dict)


def trace(num_a: int, num_b: int, seed: int) -> Provenance:
    """The provenance of a run on so many pictures, by the code that is running."""
    return Provenance(num_a, num_b, seed, i2itool.__version__, torch.__version__, _revision())


def _revision() -> str | None:
    folder = Path(__file__).parent
    revision = _git(folder, "rev-parse", "--short=12", "HEAD")
    # A folder of packages may lie within a repository that is not ours.
    if not revision or not _git(folder, "ls-files", Path(__file__).name):
        return None
    return revision + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str:
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
