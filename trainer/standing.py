"""Where a run stands: what its checkpoints hold, how it is resumed, evaluated and exported."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from i2itool.errors import TrainingError
from i2itool.preset import Preset

from .checkpoint import (
    drop_best,
    list_checkpoints,
    load_best,
    load_checkpoint,
    load_last,
    save_best,
    save_checkpoint,
)
from .choice import Choice
from .config import TrainConfig
from .data import Batch
from .export import export_preset
from .holdout import Examiner
from .preview import Translators, render_preview
from .processes import Processes
from .provenance import Provenance
from .run import RunFolder
from .task import Task
from .translators import build_translators
from .watch import check_finite_weights


@dataclass(frozen=True, slots=True)
class Standing:
    """A run's folder and all that changes from step to step; of several processes the first writes."""

    run: RunFolder
    config: TrainConfig
    task: Task
    choice: Choice
    processes: Processes

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes."""
        return self.processes.rank == 0

    def resume(self) -> int:
        """Make the run's folder, or load its last checkpoint that is whole; returns the number of steps done.

        Raises TrainingError if the run in it has other settings, has done more steps than are wanted, or has
        damaged checkpoints alone.
        """
        step = 0
        if state := self._last_state():
            self.task.load_state(state["task"])
            self.choice.load_state(state.get("choice", {}))
            step = int(state["step"])
        if step > self.config.steps:
            problem = f"{self.run.path} has done {step} steps already, more than {self.config.steps}"
            hint = "give as many --steps or more, or --restart to start anew"
            raise TrainingError(problem, hint=hint)
        if self.writes:
            self.run.trim_log(step)
            drop_best(self.run.checkpoints)
        return step

    def _last_state(self) -> dict[str, Any] | None:
        """What the last whole checkpoint holds; the first process finds it, and then the others."""
        state = None
        if self.writes:
            self.run.open(self.config)
            state = load_last(self.run.checkpoints)
        self.processes.wait()
        if not self.writes and (checkpoints := list_checkpoints(self.run.checkpoints)):
            state = load_checkpoint(checkpoints[-1])
        return state

    def save(self, done: int) -> None:
        """Write a checkpoint of `done` steps.

        Raises TrainingError, and writes none, if a weight is not finite: nothing goes on from there.
        """
        # Pictures of all processes come together here, so all of them must ask.
        task = self.task.state()
        if self.writes:
            check_finite_weights(task["networks"], done)
            state = {"step": done, "config": self.config.model_dump(), "task": task}
            save_checkpoint(self.run.checkpoints, done, state | {"choice": self.choice.state()})
            drop_best(self.run.checkpoints)

    def evaluate(self, done: int, holdout: Examiner, device: torch.device) -> dict[str, float]:
        """The scores of step `done` by name; the best so far is kept."""
        scores = holdout.score(self.task.examinee(), device)
        is_best = self.choice.see(done, scores, self.config.adam)
        if is_best and self.writes:
            translators = self.task.translators()
            weights = {direction: network.state_dict() for direction, network in translators.items()}
            save_best(self.run.checkpoints, done, {"scores": scores, "weights": weights})
        return scores

    def export(self, done: int, samples: Batch, device: torch.device, provenance: Provenance) -> Preset:
        """Make the preset of the last step, or of the best one if the recipe says so and there is one."""
        translators: Translators = self.task.translators()
        step, scores = done, self.choice.scores if self.choice.seen == done else {}
        if self.config.export == "best" and self.choice.step:
            step = self.choice.step
            best = load_best(self.run.checkpoints, step)
            translators = build_translators(self.config, best["weights"], device)
            scores = best["scores"]
        provenance = dataclasses.replace(provenance, scores=scores)
        sample = render_preview(translators, samples, device)
        preset = export_preset(
            self.run.preset,
            translators,
            self.config,
            step=step,
            sample=sample,
            provenance=provenance,
            classifier=self.task.classifier(),
        )
        self.run.note_provenance(provenance)
        return preset
