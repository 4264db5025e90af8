"""A run that was stopped gives the same weights, bit for bit, as one that never was."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from i2itool.trainer.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.data import open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.run import RunFolder

from i2itool.console import SilentReporter
from i2itool.errors import OutputError, TrainingError
from i2itool.preset import find_preset
from i2itool.weights import load_network

CPU = torch.device("cpu")
MakeConfig = Callable[..., TrainConfig]


class Crash(RuntimeError):
    """Stands for whatever ends a process."""


class CallAfter(SilentReporter):
    """Calls `action` when `steps` steps are done."""

    def __init__(self, steps: int, action: Callable[[], None]) -> None:
        self._steps = steps
        self._action = action

    def advance(self, count: int = 1, *, note: str = "") -> None:
        self._steps -= count
        if self._steps == 0:
            self._action()


def crash() -> None:
    raise Crash


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def train(
    config: TrainConfig, folders: tuple[Path, Path], run: Path, reporter: SilentReporter | None = None
) -> None:
    fit(config, open_data(folders, config), RunFolder(run), device=CPU, reporter=reporter or SilentReporter())


def weights_of(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "preset").glob("*.safetensors"))}


@pytest.mark.parametrize("method", ["cyclegan", "unit", "unit2018", "distill"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_crashed_run_resumes_bit_for_bit(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path, method: str, precision: str
) -> None:
    config = make_tiny_config(method, precision=precision, augment=True)
    train(config, folders, tmp_path / "whole")
    with pytest.raises(Crash):
        train(config, folders, tmp_path / "broken", CallAfter(5, crash))
    assert [path.stem for path in list_checkpoints(tmp_path / "broken/checkpoints")][-1] == "step-00000004"
    train(config, folders, tmp_path / "broken")

    assert len(weights_of(tmp_path / "whole")) == (1 if method == "distill" else 2)
    assert weights_of(tmp_path / "broken") == weights_of(tmp_path / "whole")
    last = "checkpoints/step-00000006.safetensors"
    assert (tmp_path / "broken" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()


def test_the_log_of_a_resumed_run_has_each_step_once(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_tiny_config("cyclegan")
    for steps in (1, 4):
        with pytest.raises(Crash):
            train(config, folders, tmp_path / "run", CallAfter(steps, crash))
    train(config, folders, tmp_path / "run")
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_an_interrupted_run_saves_the_step_at_hand_and_its_preset_converts(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(make_tiny_config("cyclegan"), folders, tmp_path / "run", CallAfter(3, interrupt))
    assert signal.getsignal(signal.SIGINT) == before
    assert list_checkpoints(tmp_path / "run/checkpoints")[-1].stem == "step-00000003"
    preset = find_preset(str(tmp_path / "run"))
    assert preset.training is not None
    assert preset.training.steps == 3
    assert load_network(preset, "a2b")(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 16, 16)


def test_a_finished_run_can_go_on_with_more_steps(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    train(make_tiny_config("cyclegan", steps=2), folders, tmp_path / "run")
    train(make_tiny_config("cyclegan", steps=4), folders, tmp_path / "run")
    assert list_checkpoints(tmp_path / "run/checkpoints")[-1].stem == "step-00000004"


def test_a_finished_run_exports_again_in_half_precision(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    train(make_tiny_config("cyclegan", steps=1), folders, tmp_path / "run")
    whole = load_network(find_preset(str(tmp_path / "run")), "a2b").state_dict()
    train(make_tiny_config("cyclegan", steps=1, weights_dtype="fp16"), folders, tmp_path / "run")
    half = load_network(find_preset(str(tmp_path / "run")), "a2b").state_dict()
    for name, tensor in whole.items():
        assert torch.equal(half[name], tensor.half().float())


def test_other_settings_are_refused_and_named(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    train(make_tiny_config("cyclegan", steps=1), folders, tmp_path / "run")
    with pytest.raises(TrainingError, match="seed 0 -> 4"):
        train(make_tiny_config("cyclegan", steps=1, seed=4), folders, tmp_path / "run")
    adam = {"rate": 0.5, "beta1": 0.9}
    with pytest.raises(
        TrainingError, match=r"settings: adam\.rate 0\.0002 -> 0\.5, adam\.beta1 0\.5 -> 0\.9 \("
    ):
        train(make_tiny_config("cyclegan", steps=1, adam=adam), folders, tmp_path / "run")
    hyper = {"width": 8, "blocks": 1, "dropout": True}
    with pytest.raises(TrainingError, match=r"generator\.hyper\.width 4 -> 8, .*dropout null -> true \("):
        train(make_tiny_config("cyclegan", steps=1, generator={"hyper": hyper}), folders, tmp_path / "run")


def test_previews_log_and_recipe_lie_in_the_run(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_tiny_config("unit")
    train(config, folders, tmp_path / "run")
    assert (tmp_path / "run/previews/00000004.png").is_file()
    assert TrainConfig.model_validate_json((tmp_path / "run/train.json").read_text()) == config
    provenance = json.loads((tmp_path / "run/provenance.json").read_text())
    assert (provenance["num_a"], provenance["num_b"], provenance["seed"]) == (5, 7, 0)
    assert provenance["torch"] == torch.__version__
    recipe = (tmp_path / "run/preset/train.json").read_text()
    assert TrainConfig.model_validate_json(recipe) == config
    for name in ("preset.toml", "CARD.md", "sample.jpg", "a2b.safetensors", "b2a.safetensors"):
        assert (tmp_path / "run/preset" / name).is_file()


def test_a_loss_that_is_not_finite_stops_the_run_with_the_last_checkpoint_intact(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_tiny_config("cyclegan", adam={"rate": 1e30, "constant": 1.0})
    with pytest.raises(TrainingError, match="not finite at step"):
        train(config, folders, tmp_path / "run")


def test_only_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"x": torch.tensor(step)})
    assert [path.stem for path in list_checkpoints(tmp_path)] == ["step-00000002", "step-00000003"]
    assert not list(tmp_path.glob("*.part"))


def test_a_checkpoint_gives_back_nested_state(tmp_path: Path) -> None:
    state = {
        "list": [torch.arange(3), 2.5, None, "word"],
        "by number": {0: torch.ones(2, 2), 1: []},
        "empty": {},
    }
    loaded = load_checkpoint(save_checkpoint(tmp_path, 7, state))
    assert torch.equal(loaded["list"][0], torch.arange(3))
    assert loaded["list"][1:] == [2.5, None, "word"]
    assert torch.equal(loaded["by number"][0], torch.ones(2, 2))
    assert loaded["by number"][1] == []
    assert loaded["empty"] == {}


def test_a_damaged_checkpoint_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 7, {"x": torch.ones(1000)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TrainingError, match="damaged checkpoint") as caught:
        load_checkpoint(path)
    assert "delete it" in str(caught.value)


def test_a_full_disk_leaves_the_earlier_checkpoints(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"x": torch.ones(3)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on the size of files makes writing fail half-way, as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            save_checkpoint(tmp_path, 2, {"x": torch.ones(3000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.safetensors"]
    assert load_checkpoint(list_checkpoints(tmp_path)[-1])["x"].sum() == 3
