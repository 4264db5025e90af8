"""The folder of a training run: recipe, log, previews, checkpoints and the exported preset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ValidationError

from i2itool.errors import OutputError, TrainingError
from i2itool.locks import exclusive
from i2itool.partial import whole_file
from i2itool.preset import run_preset_folder

from .config import TrainConfig, describe_difference
from .provenance import Provenance


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

        Raises BeingWritten if another process holds it, OutputError if the folder cannot be made.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {self.path.parent}: {error.strerror}") from error
        with exclusive(self.path):
            yield

    def open(self, config: TrainConfig) -> None:
        """Make the folder, or make sure that the run in it has this recipe, but for what may change.

        Raises TrainingError naming the settings that differ, OutputError if it cannot be written.
        """
        path = self.path / "train.json"
        try:
            if path.exists():
                self._check_same(TrainConfig.model_validate_json(path.read_text(encoding="utf-8")), config)
            self.preview(0).parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as partial:
                partial.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except ValidationError as error:
            hint = "use --restart to start anew"
            raise TrainingError(f"{path} is not a recipe of this version", hint=hint) from error
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    def note_provenance(self, provenance: Provenance) -> None:
        """Write provenance.json, of the last start of the run. Raises OutputError if it cannot be written."""
        try:
            text = json.dumps(asdict(provenance), indent=2) + "\n"
            (self.path / "provenance.json").write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    def remove(self) -> None:
        """Delete the run, if there is one; refuses a folder that is not a run (TrainingError)."""
        if not self.path.exists():
            return
        if not (self.path / "train.json").is_file():
            raise TrainingError(
                f"{self.path} is not the folder of a training run", hint="choose another --name"
            )
        shutil.rmtree(self.path)

    def _check_same(self, old: TrainConfig, new: TrainConfig) -> None:
        difference = describe_difference(old, new)
        if difference:
            hint = "give the same settings to resume, another --name, or --restart to start anew"
            raise TrainingError(f"{self.path} holds a run with other settings: {difference}", hint=hint)

    def trim_log(self, step: int) -> None:
        """Drop log lines of steps that a resumed run is going to repeat."""
        path = self.log_path
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            path.write_text("".join(kept), encoding="utf-8")

    def log(self, figures: Mapping[str, object]) -> None:
        """Add a line to metrics.jsonl."""
        try:
            with self.log_path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(figures) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write the log of {self.path}: {error.strerror}") from error
