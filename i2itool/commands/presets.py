"""`i2itool presets`: list and show the translators that there are."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from i2itool.preset import Preset


@click.group()
def command() -> None:
    """List and show the translators that there are."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_command(as_json: bool) -> None:
    """List the presets: runs of the current folder, the user's own, and those shipped."""
    from i2itool.preset import list_presets

    presets = list_presets()
    if as_json:
        click.echo(json.dumps([_facts(preset) for preset in presets], indent=2))
        return
    _print_table(presets)


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show_command(name: str, as_json: bool) -> None:
    """Show the preset NAME (or the preset at a path) with its card, and verify its weights."""
    from i2itool.preset import CARD_NAME, find_preset, read_weights

    preset = find_preset(name)
    for direction in preset.directions:
        read_weights(preset, direction)
    card_path = preset.folder / CARD_NAME
    card = card_path.read_text(encoding="utf-8") if card_path.is_file() else None
    if as_json:
        click.echo(json.dumps(_facts(preset) | {"verified": True, "card": card}, indent=2))
        return
    for key, value in _facts(preset).items():
        click.echo(f"{key + ':':12}{_plain(value)}")
    click.echo(f"{'verified:':12}yes, the weights match preset.toml")
    if card is not None:
        click.echo(f"\n{card}", nl=False)


def _facts(preset: Preset) -> dict[str, Any]:  # Any: what JSON can hold
    return preset.model_dump(mode="json") | {
        "directions": list(preset.directions),
        "folder": str(preset.folder),
    }


def _plain(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print_table(presets: list[Preset]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "directions", "network", "summary", box=None, pad_edge=False)
    table.add_column("where", overflow="fold")
    for preset in presets:
        table.add_row(
            preset.name,
            ", ".join(preset.directions),
            preset.network.name,
            preset.summary,
            str(preset.folder),
        )
    # A pipe has no width to fit into: every preset gets one whole line.
    width = None if sys.stdout.isatty() else 1000
    Console(highlight=False, markup=False, width=width).print(table)
