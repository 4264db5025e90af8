"""Each watchdog barks at what it is for, and at nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.data import Batch, open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.memory import memory_told
from i2itool.trainer.run import RunFolder
from i2itool.trainer.watch import (
    PATIENCE_STEPS,
    PLATEAU_STEPS,
    WINDOW_STEPS,
    Watchdogs,
    diversity,
    luma_correlation,
    watch_pictures,
)
from torch import Tensor, nn

from i2itool.console import SilentReporter
from i2itool.errors import TrainingError
from i2itool.preset import Direction


@pytest.fixture
def real() -> Tensor:
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def names(fake: Tensor, real: Tensor) -> list[str]:
    return [alarm.name for alarm in watch_pictures("a2b", real, fake)]


def test_an_honest_translation_raises_no_alarm(real: Tensor) -> None:
    assert names(real * 0.5 - 0.4, real) == []


def test_swapped_light_a_single_output_and_no_change_are_told_apart(real: Tensor) -> None:
    assert names(-real, real) == ["inverted"]
    one = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).expand(4, -1, -1, -1)
    assert names(one, real) == ["collapsed"]
    assert names(real + 0.01, real) == ["identity"]


def test_luma_correlation_and_diversity_keep_their_laws(real: Tensor) -> None:
    assert luma_correlation(real, 0.2 * real + 0.1) == pytest.approx(1.0, abs=1e-4)
    assert luma_correlation(real, -real) == pytest.approx(-1.0, abs=1e-4)
    assert diversity(real[:1].expand(4, -1, -1, -1)) == pytest.approx(0.0, abs=1e-6)
    assert diversity(2 * real) == pytest.approx(2 * diversity(real))


def test_a_critic_that_always_wins_is_named_after_a_whole_window() -> None:
    watchdogs = Watchdogs("lsgan")
    for step in range(WINDOW_STEPS):
        assert watchdogs.up == {}
        watchdogs.see_losses({"D_A": 0.001, "D_B": 0.2, "cycle_A": 1.0})
        watchdogs.judge_losses(step)
    assert "critic D_A" in watchdogs.up["saturated"].message
    for _ in range(WINDOW_STEPS):
        watchdogs.see_losses({"D_A": 0.2, "D_B": 0.2, "cycle_A": 1.0})
    watchdogs.judge_losses(0)
    assert watchdogs.up == {}


@pytest.mark.parametrize(("fall", "is_plateau"), [(0.0, True), (0.1, False)])
def test_a_run_that_stands_still_is_named_and_one_that_moves_is_not(fall: float, is_plateau: bool) -> None:
    watchdogs = Watchdogs("lsgan")
    for step in range(2 * PLATEAU_STEPS):
        watchdogs.see_losses({"cycle_A": 1.0 - fall * step / PLATEAU_STEPS, "G_A": float(step % 7)})
    watchdogs.judge_losses(1)
    assert watchdogs.up == {}  # it looks at every hundredth step
    for step in (0, 1):
        watchdogs.judge_losses(step)
        assert ("plateau" in watchdogs.up) is is_plateau


def test_a_small_loss_that_falls_beside_a_large_one_is_no_plateau() -> None:
    """The large one comes at every tenth step alone."""
    watchdogs = Watchdogs("adapt")
    for step in range(2 * PLATEAU_STEPS):
        falling = {"names": 2.0 - step / PLATEAU_STEPS}
        watchdogs.see_losses(falling if step % 10 else falling | {"kl": 170.0})
    watchdogs.judge_losses(0)
    assert watchdogs.up == {}


def test_what_a_classifier_is_sure_of_hides_no_plateau() -> None:
    watchdogs = Watchdogs("adapt")
    for step in range(2 * PLATEAU_STEPS):
        way = step / PLATEAU_STEPS
        watchdogs.see_losses({"names": 1.0, "sure": way, "imbalance": 5.0 - way, "agreement": way})
    watchdogs.judge_losses(0)
    assert list(watchdogs.up) == ["plateau"]


def test_nothing_is_said_of_pictures_at_first(real: Tensor) -> None:
    ways: dict[Direction, nn.Module] = {"a2b": nn.Identity(), "b2a": nn.Identity()}
    watchdogs = Watchdogs("unit")
    watchdogs.judge_pictures(Batch(real, real), ways, PATIENCE_STEPS - 1)
    assert watchdogs.up == {}
    watchdogs.judge_pictures(Batch(real, real), ways, PATIENCE_STEPS)
    assert list(watchdogs.up) == ["identity"]


def test_an_alarm_is_logged_once_while_it_lasts(real: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    ways: dict[Direction, nn.Module] = {"a2b": nn.Identity(), "b2a": nn.Identity()}
    watchdogs = Watchdogs("unit")
    with caplog.at_level(logging.WARNING):
        for step in (PATIENCE_STEPS, PATIENCE_STEPS + 1):
            watchdogs.judge_pictures(Batch(real, real), ways, step)
    assert sum("changes its input by" in record.message for record in caplog.records) == 2  # one a direction


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_step_without_enough_memory_is_told_with_what_takes_less(
    folders: tuple[Path, Path],
    make_tiny_config: Callable[..., TrainConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: RuntimeError,
) -> None:
    def step(*_arguments: object, **_options: object) -> dict[str, float]:
        raise error

    monkeypatch.setattr("i2itool.trainer.cyclegan.CycleGanTask.step", step)
    config = make_tiny_config("cyclegan")
    data, run = open_data(folders, config), RunFolder(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"not enough memory on cpu .*--batch-size"):
        fit(config, data, run, device=torch.device("cpu"), reporter=SilentReporter())


def test_other_failures_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="a bug"), memory_told(torch.device("cpu")):
        raise RuntimeError("a bug")


def test_a_watchdog_may_stop_the_run_with_its_checkpoints_intact(
    folders: tuple[Path, Path],
    make_tiny_config: Callable[..., TrainConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("i2itool.trainer.watch.PATIENCE_STEPS", 0)
    monkeypatch.setattr("i2itool.trainer.watch.IDENTITY_LEVELS", 1000.0)
    config = make_tiny_config("cyclegan")
    data, run = open_data(folders, config), RunFolder(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"stopped at step 4: a2b changes its input"):
        fit(
            config,
            data,
            run,
            device=torch.device("cpu"),
            reporter=SilentReporter(),
            stop_on_alarm=True,
        )
    assert run.has_checkpoint
