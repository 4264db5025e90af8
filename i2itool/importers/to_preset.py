"""Foreign checkpoint files made into a preset."""

from __future__ import annotations

from pathlib import Path

from i2itool.errors import InputError
from i2itool.importers.source import Source, read_source
from i2itool.options import Direction
from i2itool.preset import CARD_NAME, Network, Preset, read_preset, user_presets_folder, write_preset
from i2itool.preset_store import new_preset_folder
from i2itool.weights import save_weights


def import_checkpoint(
    file: Path,
    name: str,
    *,
    direction: Direction = "a2b",
    b2a_file: Path | None = None,
    folder: Path | None = None,
    overwrite: bool = False,
    licence: str = "unstated",
) -> Preset:
    """Make the preset `name` of a foreign checkpoint; nothing is left behind when that fails.

    direction: what `file` holds; `b2a_file` is the way back.  folder: where presets lie, the user's own by
    default.  Raises InputError if a file cannot be read or is no known generator, PresetError for an
    impossible name, OutputError if the preset is there already or cannot be written.
    """
    if b2a_file is not None and direction == "b2a":
        raise InputError("two files for one direction", hint="--b2a goes with --direction a2b")
    home = folder or user_presets_folder()
    with new_preset_folder(home, name, overwrite=overwrite) as building:
        sources = {direction: read_source(file)}
        if b2a_file is not None:
            sources["b2a"] = read_source(b2a_file)
        _check_alike(list(sources.values()))
        _write(building, name, sources, licence)
    return read_preset(home / name)


def _check_alike(sources: list[Source]) -> None:
    first = sources[0]
    for other in sources[1:]:
        if (other.network, other.hyper) != (first.network, first.hyper):
            raise InputError(
                f"{other.file} and {first.file} hold different networks",
                hint="both directions of a preset share one network; make two presets",
            )


def _write(folder: Path, name: str, sources: dict[Direction, Source], licence: str) -> None:
    first = next(iter(sources.values()))
    weights = {
        # A clone: tensors of a foreign file may share their memory, which safetensors refuses.
        direction: save_weights(
            folder / f"{direction}.safetensors", {key: value.clone() for key, value in source.tensors.items()}
        )
        for direction, source in sources.items()
    }
    preset = Preset(
        name=name,
        summary=f"imported from {' and '.join(source.file.name for source in sources.values())}",
        licence=licence,
        network=Network(name=first.network, hyper=first.hyper),
        a2b=weights.get("a2b"),
        b2a=weights.get("b2a"),
    )
    (folder / CARD_NAME).write_text(_card(preset, sources), encoding="utf-8")
    write_preset(preset, folder)


def _card(preset: Preset, sources: dict[Direction, Source]) -> str:
    files = "\n".join(
        f"- {direction}: `{source.file.name}`, SHA-256 `{source.sha256}`"
        for direction, source in sources.items()
    )
    settings = ", ".join(f"{key} {value}" for key, value in preset.network.hyper.items())
    return f"""# {preset.name}

Made by `i2itool import` from another project's checkpoint.

## Source
{files}

## Network
`{preset.network.name}`: {settings}.
Read from the names and shapes of the tensors. They do not tell the padding and the activations, which are
taken to be those of the CycleGAN paper.

## Licence
{preset.licence}

## Not known
What the pictures of A and of B show, the training data, the training settings, and the size of the pictures
in training.
"""
