"""`i2itool check`: look at two folders of pictures before training on them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .doctor import Checkup, Finding

SHOWN = 5


@click.command("check", short_help="look at two folders before training on them")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.pass_context
def command(ctx: click.Context, /, a: Path, b: Path | None, as_json: bool) -> None:
    """Report pictures of A and B that would spoil a training, and the sizes that suit them.

    Errors (exit code 3): pictures that cannot be read, and constant ones. Warnings: tiny, nearly constant,
    equal or nearly equal ones, gray ones among colour.
    """
    from i2itool.errors import InputError

    from .data import find_folders
    from .doctor import check_folders

    checkup = check_folders(*find_folders(a, b))
    click.echo(json.dumps(asdict(checkup), default=str) if as_json else table(checkup))
    if checkup.has_errors:
        ctx.exit(InputError.exit_code)


def table(checkup: Checkup) -> str:
    """The report for people."""
    sizes = ", ".join(f"{width}x{height} ({count})" for (width, height), count in checkup.sizes)
    lines = [
        f"pictures   {checkup.counts[0]} of A, {checkup.counts[1]} of B",
        f"sizes      {sizes}",
        f"suggested  --load-size {checkup.load_px} --size {checkup.crop_px}",
    ]
    for severity, problem, names in _grouped(checkup.findings):
        lines.append(f"{severity:10} {problem} ({len(names)})")
        lines += [f"           {name}" for name in names[:SHOWN]]
        lines += [f"           and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return "\n".join(lines)


def _grouped(findings: tuple[Finding, ...]) -> list[tuple[str, str, list[str]]]:
    """Findings of one kind together, each as `path` or `path = path`."""
    groups: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        names = (
            [" = ".join(map(str, finding.paths))]
            if finding.is_pair
            else [str(path) for path in finding.paths]
        )
        groups.setdefault((finding.severity, finding.problem), []).extend(names)
    return [(severity, problem, names) for (severity, problem), names in groups.items()]
