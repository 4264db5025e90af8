"""The folder of a training run: recipe, log, previews, checkpoints and the exported preset."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from i2itool.errors import OutputError, TrainingError
from i2itool.locks import exclusive
from i2itool.partial import whole_file
from i2itool.preset import run_preset_folder

from .config import TrainConfig, describe_difference
from .provenance import Provenance

logger = logging.getLogger("i2itool.trainer")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """runs/NAME: train.json, metrics.jsonl, previews/, checkpoints/ and preset/."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where the last two checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to resume from."""
        return any(self.checkpoints.glob("step-*.safetensors"))

    @property
    def preset(self) -> Path:
        """Where the preset is exported to."""
        return run_preset_folder(self.path)

    @property
    def log_path(self) -> Path:
        """The log: a line of JSON every `log_every` steps."""
        return self.path / "metrics.jsonl"

    def preview(self, step: int) -> Path:
        """The preview grid of `step`."""
        return self.path / "previews" / f"{step:08d}.png"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the right to this run until the block ends.

        A refused run leaves no empty folder behind. Raises BeingWritten if another process holds it,
        OutputError if the folder cannot be made.
        """
        parent = self.path.parent
        is_new = not parent.exists()
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {parent}: {error.strerror}") from error
        try:
            with exclusive(self.path):
                yield
        finally:
            if is_new:
                with suppress(OSError):
                    parent.rmdir()

    def open(self, config: TrainConfig) -> None:
        """Make the folder, or make sure that the run in it has this recipe, but for what may change.

        Raises TrainingError naming the settings that differ, OutputError if it cannot be written.
        """
        path = self.path / "train.json"
        try:
            if path.exists():
                self._check_same(TrainConfig.model_validate_json(path.read_bytes()), config)
            self.preview(0).parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as partial:
                partial.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except ValidationError as error:
            hint = "use --restart to start anew"
            raise TrainingError(f"{path} is not a recipe of this version", hint=hint) from error
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    def note_provenance(self, provenance: Provenance) -> None:
        """Write provenance.json, of the last start of the run; warns if the start before saw other pictures.

        Raises OutputError if it cannot be written.
        """
        path = self.path / "provenance.json"
        for domain, now, before in _changed_counts(path, provenance):
            told = "%s has %d pictures now, and had %d before: the run goes on otherwise than it would have"
            logger.warning(told, domain, now, before)
        self._write(path, json.dumps(asdict(provenance), indent=2) + "\n")

    def remove(self) -> None:
        """Delete the run, if there is one; refuses a folder that is not a run (TrainingError)."""
        if not self.path.exists():
            return
        if not (self.path / "train.json").is_file():
            raise TrainingError(
                f"{self.path} is not the folder of a training run", hint="choose another --name"
            )
        try:
            shutil.rmtree(self.path)
        except OSError as error:
            raise OutputError(f"cannot remove {self.path}: {error.strerror}") from error

    def _check_same(self, old: TrainConfig, new: TrainConfig) -> None:
        difference = describe_difference(old, new)
        if difference:
            hint = "give the same settings to resume, another --name, or --restart to start anew"
            raise TrainingError(f"{self.path} holds a run with other settings: {difference}", hint=hint)

    def trim_log(self, step: int) -> None:
        """Drop log lines of steps that a resumed run is going to repeat, and those that a crash has torn.

        Raises OutputError if the log cannot be written.
        """
        if self.log_path.exists():
            kept = (figures for figures in read_log(self.log_path) if figures["step"] <= step)
            self._write(self.log_path, "".join(json.dumps(figures) + "\n" for figures in kept))

    def _write(self, path: Path, text: str) -> None:
        try:
            with whole_file(path) as partial:
                partial.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def log(self, figures: Mapping[str, object]) -> None:
        """Add a line to metrics.jsonl."""
        try:
            with self.log_path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(figures) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write the log of {self.path}: {error.strerror}") from error


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a metrics.jsonl, each with its "step"; one that is not whole is passed over."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            figures = json.loads(line)
        except ValueError:
            continue
        if isinstance(figures, dict) and isinstance(figures.get("step"), int):
            yield figures


def _changed_counts(path: Path, now: Provenance) -> list[tuple[str, int, int]]:
    """Of which domain there are more or fewer pictures than an earlier provenance.json tells: now, before."""
    try:
        before = json.loads(path.read_bytes())
        counts = (("A", now.num_a, before["num_a"]), ("B", now.num_b, before["num_b"]))
    except (OSError, ValueError, KeyError, TypeError):
        return []  # the first start, or a file that a crash has torn
    return [item for item in counts if item[1] != item[2]]
