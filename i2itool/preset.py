"""Presets: a folder with preset.toml, weights for one or both directions, and a card."""

from __future__ import annotations

import hashlib
import logging
import os
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from i2itool.errors import PresetError
from i2itool.options import DIRECTIONS as DIRECTIONS
from i2itool.options import Direction as Direction

logger = logging.getLogger("i2itool.preset")

FILE_NAME = "preset.toml"
CARD_NAME = "CARD.md"
# The merged recipe that a trained preset was made by.
RECIPE_NAME = "train.json"

PresetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Domains(_Table):
    """What the pictures of A and of B show, in a word or two each."""

    a: str = "A"
    b: str = "B"


class Network(_Table):
    """The generator: a name that `i2itool.networks.build` knows, and its hyper-parameters."""

    name: str
    hyper: dict[str, Any] = Field(default_factory=dict)


class Weights(_Table):
    """A safetensors file of the preset's folder and the SHA-256 of its bytes, in hexadecimal."""

    file: PresetName
    sha256: _Sha256


class Classifier(_Table):
    """A network that names what pictures show: a `CoupledCritic32` of that width, and its names in order."""

    width: Annotated[int, Field(ge=1)]
    classes: Annotated[list[str], Field(min_length=2)]
    weights: Weights


class Training(_Table):
    """How the weights came to be.

    size_px: short side of the pictures as the network saw them in training, before the crop of `crop_px`.
    num_a, num_b: pictures that it learnt from.  version, torch: of i2itool and PyTorch.  revision: of
    i2itool's source.  scores: on held-out pictures, by name.
    """

    method: str
    steps: int
    size_px: int
    crop_px: int
    num_a: int | None = None
    num_b: int | None = None
    seed: int | None = None
    version: str | None = None
    torch: str | None = None
    revision: str | None = None
    scores: dict[str, float] = Field(default_factory=dict)


class Preset(_Table):
    """A translator between two domains, as preset.toml states it.

    work_size: short side in pixels at which the network is to see larger pictures, or "full" for their own;
    None means training.size_px.  folder: where preset.toml lies; not part of the file.
    """

    format: Literal[1] = 1
    name: PresetName
    summary: str
    licence: str = "unstated"
    domains: Domains = Domains()
    network: Network
    a2b: Weights | None = None
    b2a: Weights | None = None
    classifier: Classifier | None = None
    training: Training | None = None
    work_size: Annotated[int, Field(ge=32)] | Literal["full"] | None = None
    folder: Path = Field(default=Path(), exclude=True)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions that have weights."""
        return tuple(direction for direction in DIRECTIONS if getattr(self, direction) is not None)

    def weights_path(self, direction: Direction) -> Path:
        """Where the weights of `direction` lie; raises PresetError if the preset cannot go that way."""
        weights: Weights | None = getattr(self, direction)
        if weights is None:
            raise PresetError(
                f"preset '{self.name}' has no {direction} direction",
                hint=f"it has {' and '.join(self.directions) or 'none'}",
            )
        return self.folder / weights.file


def read_preset(folder: Path) -> Preset:
    """Read FOLDER/preset.toml; raises PresetError if it is missing, malformed or holds unknown keys."""
    path = folder / FILE_NAME
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        if "folder" in table:
            raise PresetError(f"{path}: unknown key 'folder'", hint="remove it")
        return Preset(**table, folder=folder)
    except (OSError, UnicodeDecodeError) as error:
        raise PresetError(
            f"cannot read {path}: {error}", hint="restore it, or choose another preset"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise PresetError(f"{path} is not valid TOML: {error}", hint="mend that line") from error
    except (ValidationError, TypeError) as error:
        raise PresetError(f"{path}: {_first_problem(error)}", hint="mend it, or import it anew") from error


def read_weights(preset: Preset, direction: Direction) -> bytes:
    """The bytes of a direction's safetensors file; raises PresetError if it is missing, absent or altered."""
    path = preset.weights_path(direction)
    return _verified(path, getattr(preset, direction))


def read_classifier(preset: Preset) -> bytes:
    """The bytes of the classifier's safetensors file; raises PresetError as `read_weights` does."""
    if preset.classifier is None:
        raise PresetError(f"preset '{preset.name}' has no classifier", hint="`i2itool adapt` makes one")
    return _verified(preset.folder / preset.classifier.weights.file, preset.classifier.weights)


def _verified(path: Path, weights: Weights) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PresetError(
            f"cannot read {path}: {error.strerror}", hint="restore it, or import it anew"
        ) from error
    if hashlib.sha256(data).hexdigest() != weights.sha256:
        raise PresetError(f"{path} is damaged: its SHA-256 differs from preset.toml", hint="fetch it again")
    return data


def write_preset(preset: Preset, folder: Path) -> None:
    """Write FOLDER/preset.toml; the weights and the card are the caller's."""
    table = preset.model_dump(exclude_none=True)
    (folder / FILE_NAME).write_text(tomli_w.dumps(table), encoding="utf-8")


def user_presets_folder() -> Path:
    """Where `i2itool import` puts presets: `presets` in the user's data folder, or $I2ITOOL_PRESETS."""
    chosen = os.environ.get("I2ITOOL_PRESETS")
    return Path(chosen) if chosen else platformdirs.user_data_path("i2itool") / "presets"


def shipped_presets_folder() -> Path:
    """Where the presets that come with the package lie."""
    return Path(str(resources.files("i2itool.presets")))


def run_preset_folder(run: Path) -> Path:
    """Where a training run exports its preset."""
    return run / "preset"


def find_preset(name_or_path: str) -> Preset:
    """Find a preset by path, or by name: a run in ./runs, then the user's presets, then those shipped.

    A path may be the preset's folder, its preset.toml, or the folder of a training run.
    Raises PresetError, naming the presets that there are.
    """
    path = Path(name_or_path)
    for folder in (path.parent if path.name == FILE_NAME else path, run_preset_folder(path)):
        if (folder / FILE_NAME).is_file():
            return read_preset(folder)
    if path.name == name_or_path:
        for folder in _folders_for(name_or_path):
            if (folder / FILE_NAME).is_file():
                return read_preset(folder)
    known = ", ".join(sorted({folder_name for folder_name, _ in _known_presets()}))
    raise PresetError(f"no such preset: {name_or_path}", hint=f"known: {known or 'none'}; a path works too")


def list_presets() -> list[Preset]:
    """Every preset that `find_preset` finds by name, in order of name; unreadable ones are left out."""
    found: dict[str, Preset] = {}
    for name, folder in _known_presets():
        if name not in found:
            try:
                found[name] = read_preset(folder)
            except PresetError as error:
                logger.warning("left out: %s", error)
    return [found[name] for name in sorted(found)]


def _folders_for(name: str) -> Iterator[Path]:
    yield run_preset_folder(Path("runs") / name)
    yield user_presets_folder() / name
    yield shipped_presets_folder() / name


def _known_presets() -> Iterator[tuple[str, Path]]:
    """(name to ask for, folder) of every preset, in the order in which names are searched."""
    for path in sorted(Path("runs").glob(f"*/preset/{FILE_NAME}")):
        yield path.parent.parent.name, path.parent
    for home in (user_presets_folder(), shipped_presets_folder()):
        for path in sorted(home.glob(f"*/{FILE_NAME}")):
            yield path.parent.name, path.parent


def _first_problem(error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg'].lower()}"
