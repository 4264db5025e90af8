"""`i2itool presets`: list, show and check the translators that there are, and keep one's own."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from i2itool.preset import Preset


@click.group()
def command() -> None:
    """List, show and check the translators that there are, and keep your own."""


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


@command.command("verify")
@click.argument("names", metavar="[NAME]...", nargs=-1)
def verify_command(names: tuple[str, ...]) -> None:
    """Load the weights of the presets NAME, or of all, and say which are whole."""
    from i2itool.errors import PresetError
    from i2itool.preset import find_preset, list_presets
    from i2itool.preset_store import check_preset

    num_broken = 0
    for name in names or tuple(preset.name for preset in list_presets()):
        try:
            check_preset(find_preset(name))
        except PresetError as error:
            num_broken += 1
            click.echo(f"{name}: {error}")
        else:
            click.echo(f"{name}: whole")
    if num_broken:
        sys.exit(PresetError.exit_code)


@command.command("add")
@click.argument("source", metavar="PATH")
@click.option("--name", metavar="NAME", help="Its new name; otherwise its own.")
@click.option("--overwrite", is_flag=True, help="Replace a preset of that name.")
def add_command(source: str, name: str | None, overwrite: bool) -> None:
    """Copy the preset or the training run at PATH to your own presets."""
    from i2itool.preset_store import add_preset

    preset = add_preset(source, name, overwrite=overwrite)
    click.echo(f"added {preset.name}: {preset.folder}")


@command.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove_command(name: str, yes: bool) -> None:
    """Delete your own preset NAME."""
    from i2itool.preset_store import remove_preset

    if not yes:
        click.confirm(f"delete preset {name}?", abort=True, err=True)
    click.echo(f"removed {remove_preset(name)}")


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
