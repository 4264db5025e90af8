"""The documents tell the truth: every command and option is there, and the examples run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import cv2
import numpy as np
import pytest

from i2itool.cli import COMMANDS, main
from i2itool.errors import I2IError

ROOT = Path(__file__).parents[1]
HEADING = re.compile(r"^#+ (i2itool.*)$")


def documented_options() -> dict[str, set[str]]:
    """Heading `i2itool ...` of docs/cli.md -> the options in the first cells of the table below it."""
    found: dict[str, set[str]] = {}
    heading = ""
    for line in (ROOT / "docs/cli.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            match = HEADING.match(line)
            heading = match[1] if match else ""
            found |= {heading: set()} if heading else {}
        elif heading and line.startswith("| `"):
            found[heading] |= set(re.findall(r"`(--?[A-Za-z][\w-]*)", line.split("|")[1]))
    return found


def options(command: click.Command) -> set[str]:
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def command_tree() -> Iterator[tuple[str, click.Command]]:
    """("i2itool convert", command) of every command; groups before what they hold."""
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        yield f"i2itool {name}", command
        if isinstance(command, click.Group):
            yield from ((f"i2itool {name} {inner}", below) for inner, below in command.commands.items())


def test_every_command_and_no_other_has_its_section_in_cli_md() -> None:
    assert set(documented_options()) == {"i2itool", *(path for path, _ in command_tree())}


@pytest.mark.parametrize("path", [path for path, _ in command_tree()])
def test_every_option_and_no_other_is_in_cli_md(path: str) -> None:
    assert documented_options()[path] == options(dict(command_tree())[path])


def test_the_options_of_the_group_are_in_cli_md() -> None:
    assert documented_options()["i2itool"] == options(main) | {"-h", "--help"}


def test_every_exit_code_is_documented_in_cli_md_and_readme() -> None:
    codes = {0, 1, 2, 130, *(kind.exit_code for kind in I2IError.__subclasses__())}
    for name in ("docs/cli.md", "README.md"):
        rows = re.findall(r"^\| (\d+) \|", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert {int(row) for row in rows} == codes, name


def test_the_readme_opens_with_the_two_commands_that_set_everything_up() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^    (make \w+)", readme, flags=re.MULTILINE)[:2] == ["make demo", "make test"]


# The examples


def test_the_examples_of_the_api_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_clip: Callable[..., Path],
    make_preset: Callable[[str], Path],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_preset("day2night")
    make_clip("clip.mp4")
    (tmp_path / "pictures").mkdir()
    for name in ("photo.png", "pictures/one.png"):
        cv2.imwrite(name, np.zeros((20, 30, 3), np.uint8))

    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    for number, example in enumerate(examples):
        exec(compile(example, f"docs/api.md, example {number + 1}", "exec"), {"__name__": "__main__"})

    assert len(examples) == 5
    assert (tmp_path / "night.mp4").is_file()
    assert (tmp_path / "night/one.png").is_file()
    translated = cv2.imread("photo_night.png")
    assert translated is not None
    assert translated.shape == (20, 30, 3)
