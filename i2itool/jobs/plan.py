"""From what a user names, files and folders, to the files that are to be made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from i2itool.errors import InputError, OutputError
from i2itool.pictures import is_picture
from i2itool.targets import target_beside

VIDEO_SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg"),
        *(".wmv", ".flv", ".ogv", ".3gp", ".gif", ".apng", ".y4m"),
    }
)


@dataclass(frozen=True, slots=True)
class Task:
    """A file to be made. root: the folder that it may not leave; None if the user named the file."""

    source: Path
    target: Path
    root: Path | None = None

    @property
    def num_bytes(self) -> int:
        """The size of the source; 0 if it cannot be read, which will be told of when it is opened."""
        try:
            return self.source.stat().st_size
        except OSError:
            return 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. passed_over: what was found and is left alone, each with the reason."""

    tasks: list[Task]
    passed_over: list[tuple[Path, str]]


def plan(inputs: Sequence[Path], output: Path | None, preset_name: str) -> Plan:
    """Every file of `inputs`, with where its translation goes.

    A folder keeps its names and its tree, in `output` or else in FOLDER_PRESET beside it; among several
    inputs, in a folder of its own name in `output`. What is called as the output of another named file is
    none of the inputs, as when `*.mp4` is said a second time.
    Raises InputError if a folder holds no picture and no video, or if two inputs would become one file;
    OutputError if `output` is no folder, or if outputs would come to lie among the inputs.
    """
    if output is not None and output.exists() and not output.is_dir():
        raise OutputError(f"{output} is not a folder", hint="many files go into a folder")
    if output is not None and not output.exists() and output.suffix.lower() in VIDEO_SUFFIXES:
        hint = "a video of numbered pictures is made of FOLDER/%05d.png"
        raise OutputError(f"{output} is called as a video is, and many files go into a folder", hint=hint)
    tasks: list[Task] = []
    passed_over: list[tuple[Path, str]] = []
    folders = [source for source in inputs if source.is_dir()]
    roots = {folder: _root(folder, output, preset_name, len(inputs)) for folder in folders}
    for source in dict.fromkeys(inputs):
        if source.is_dir():
            tasks += _of_folder(source, roots, passed_over)
        elif output is None:
            tasks.append(Task(source, target_beside(source, None, preset_name)))
        else:
            tasks.append(Task(source, output / target_beside(source, None, preset_name).name, output))
    _refuse_twins(tasks)
    return Plan(list(_without_outputs(tasks, passed_over)), passed_over)


def _root(folder: Path, output: Path | None, preset_name: str, num_inputs: int) -> Path:
    # Of "." and "..", only the resolved path has a name.
    name = folder.resolve().name
    if output is None:
        return folder.resolve().with_name(f"{name}_{preset_name}")
    return output if num_inputs == 1 else output / name


def _of_folder(folder: Path, roots: Mapping[Path, Path], passed_over: list[tuple[Path, str]]) -> list[Task]:
    root = roots[folder]
    here, outside = folder.resolve(), root.resolve()
    inside = [
        place for each in roots.values() if (place := each.resolve()) != here and place.is_relative_to(here)
    ]
    if outside == here:
        raise OutputError(f"outputs would replace their inputs in {folder}", hint="choose another -o")
    tasks = []
    for path in _walk(folder):
        if not (is_picture(path) or path.suffix.lower() in VIDEO_SUFFIXES or path.is_symlink()):
            continue
        # What an earlier run has put into a folder inside the input is no input.
        if any((path.parent.resolve() / path.name).is_relative_to(place) for place in inside):
            continue
        if reason := _reason_to_pass_over(path, here):
            passed_over.append((path, reason))
        elif path.is_file():
            target = outside / path.relative_to(folder)
            # As of clips/clips/x.mp4 with -o . next to clips.
            if outside not in inside and target.is_relative_to(here):
                raise OutputError(
                    f"the output of {path} would lie among the inputs", hint="choose another -o"
                )
            tasks.append(Task(path, root / path.relative_to(folder), root))
    if not tasks:
        raise InputError(f"no pictures and no videos in {folder}", hint="known by their suffixes")
    return tasks


def _walk(folder: Path) -> Iterator[Path]:
    """Files and links below `folder`, in order of name; links are not followed, hidden ones left out."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = (name for name in folders if (Path(parent) / name).is_symlink())
        yield from (Path(parent) / name for name in sorted([*files, *links]) if not name.startswith("."))


def _reason_to_pass_over(path: Path, here: Path) -> str | None:
    if not path.is_symlink():
        return None
    try:
        goal = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link to nothing"
    if not goal.is_relative_to(here):
        return "a link out of the folder"
    return "a link to a folder" if goal.is_dir() else None


def _without_outputs(tasks: Sequence[Task], passed_over: list[tuple[Path, str]]) -> Iterator[Task]:
    """All but those that have the name of another one's output."""
    outputs = {task.target.absolute(): task.source for task in tasks}
    for task in tasks:
        origin = outputs.get(task.source.absolute())
        if origin is None:
            yield task
        else:
            passed_over.append((task.source, f"it is the output of {origin}"))


def _refuse_twins(tasks: Sequence[Task]) -> None:
    sources: dict[Path, Path] = {}
    for task in tasks:
        other = sources.setdefault(task.target, task.source)
        if other != task.source:
            raise InputError(f"{other} and {task.source} would both become {task.target}")
