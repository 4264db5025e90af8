"""`i2itool train` as a user meets it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from i2itool.cli import main

TINY = [
    *("--size", "32", "--load-size", "36", "--width", "4", "--blocks", "1", "--critic-width", "4"),
    *("--critic-depth", "2", "--pool-size", "2", "--precision", "fp32", "--checkpoint-every", "2", "-q"),
]


def dry_run(*arguments: str) -> dict[str, Any]:  # Any: a recipe
    """The merged recipe without the estimate, of tiny networks unless the arguments say otherwise."""
    tiny = ["--size", "32", "--critic-width", "4", "--critic-depth", "2", "--width", "4", "--blocks", "1"]
    command = ["train", *tiny, *arguments, "--name", "x", "--dry-run"]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    recipe: dict[str, Any] = json.loads(result.stdout)
    cost = recipe.pop("estimate")
    assert cost["hours"] == pytest.approx(recipe["steps"] / cost["steps_per_second"] / 3600)
    assert 0.05 < cost["memory_gib"] < 100
    return recipe


def start(folders: tuple[Path, Path], run: Path, *, steps: int) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "i2itool",
        "train",
        *map(str, folders),
        "--name",
        "tiny",
        "--out",
        str(run),
    ]
    return subprocess.Popen(
        [*command, "--steps", str(steps), *TINY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def wait_for(path: Path, process: subprocess.Popen[str], *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.005)


def test_a_run_killed_with_signal_9_resumes_to_the_same_bytes(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    out, err = start(folders, whole, steps=30).communicate(timeout=120)
    assert "wrote" in out, err
    process = start(folders, killed, steps=30)
    wait_for(killed / "checkpoints/step-00000008.safetensors", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "preset/preset.toml").exists()
    out, err = start(folders, killed, steps=30).communicate(timeout=120)
    assert "wrote" in out, err
    for name in ("a2b.safetensors", "b2a.safetensors"):
        assert (killed / "preset" / name).read_bytes() == (whole / "preset" / name).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends_with_130(
    number: signal.Signals, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    process = start(folders, tmp_path / "run", steps=100_000)
    wait_for(tmp_path / "run/checkpoints/step-00000002.safetensors", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert (tmp_path / "run/preset/preset.toml").is_file()


def test_a_trained_run_is_found_by_name_and_translates(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["train", *map(str, folders), "--name", "mine", "--steps", "2", *TINY]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    picture = folders[0] / "000.png"
    result = CliRunner().invoke(
        main, ["convert", str(picture), "--preset", "mine", "-q"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert (folders[0] / "000_mine.png").is_file()


def test_the_names_of_the_public_code_mean_the_same(folders: tuple[Path, Path]) -> None:
    pairs = {
        "--size 64": "--crop_size 64",
        "--load-size 70": "--load_size 70",
        "--batch-size 2": "--batch_size 2",
        "--width 8": "--ngf 8",
        "--epochs 3": "--n_epochs 3",
        "--epochs-decay 1": "--n_epochs_decay 1",
        "--critic-width 16": "--ndf 16",
        "--critic-depth 2": "--n_layers_D 2",
        "--generator resnet-6": "--netG resnet_6blocks",
        "--lambda-cycle 5": "--lambda_A 5",
        "--lambda-identity 0": "--lambda_identity 0",
        "--pool-size 9": "--pool_size 9",
        "--no-flip": "--no_flip",
        "--method cyclegan": "--model cyclegan",
    }
    ours = dry_run(*map(str, folders), *" ".join(pairs).split())
    theirs = dry_run(*map(str, folders), *" ".join(pairs.values()).split())
    assert ours == theirs
    # 7 pictures in batches of 2 are 3 steps an epoch.
    assert ours["steps"] == 4 * 3
    assert ours["flip"] is False


def test_every_flag_may_stand_in_train_toml(folders: tuple[Path, Path], tmp_path: Path) -> None:
    lines = [
        *(f"a = '{folders[0]}'", f"b = '{folders[1]}'", "name = 'filed'", "direction = 'b2a'", "epochs = 3"),
        *("epochs_decay = 1", "device = 'cpu'", "crop_px = 32", "load_px = 36", "on_watchdog = 'stop'"),
        *("[generator.hyper]", "width = 4", "blocks = 1", "[critic]", "width = 4", "depth = 2"),
    ]
    (tmp_path / "train.toml").write_text("\n".join(lines))
    command = ["train", "--config", str(tmp_path / "train.toml"), "--dry-run"]
    filed = json.loads(CliRunner().invoke(main, command, catch_exceptions=False).stdout)
    assert (filed["name"], filed["domain_a"], filed["steps"]) == ("filed", "bright", 4 * 7)
    flags = [*command, "--name", "given", "--epochs", "1", "--direction", "a2b"]
    given = json.loads(CliRunner().invoke(main, flags, catch_exceptions=False).stdout)
    assert (given["name"], given["domain_a"], given["steps"]) == ("given", "dark", 2 * 7)


def test_direction_b2a_swaps_the_folders(folders: tuple[Path, Path]) -> None:
    forward, backward = dry_run(*map(str, folders)), dry_run(*map(str, folders), "--direction", "BtoA")
    assert (forward["domain_a"], forward["domain_b"]) == ("dark", "bright")
    assert (backward["domain_a"], backward["domain_b"]) == ("bright", "dark")


def test_a_root_stands_for_both_folders(folders: tuple[Path, Path], tmp_path: Path) -> None:
    folders[0].rename(tmp_path / "trainA")
    folders[1].rename(tmp_path / "trainB")
    assert dry_run(str(tmp_path))["domain_a"] == "trainA"
    assert dry_run("--dataroot", str(tmp_path))["domain_b"] == "trainB"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--device", "cuda:99"], 5, "no such device: cuda:99"),
        (["--config", "missing.toml"], 3, "missing.toml"),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_an_exit_code(
    folders: tuple[Path, Path], tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    command = [
        "train",
        *map(str, folders),
        "--name",
        "x",
        "--out",
        str(tmp_path / "run"),
        "--steps",
        "2",
        *arguments,
    ]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == code
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_restart_discards_a_run_but_no_other_folder(folders: tuple[Path, Path], tmp_path: Path) -> None:
    command = ["train", *map(str, folders), "--name", "x", *TINY, "--steps", "1", "--out"]
    run = str(tmp_path / "run")
    for extra in ([], ["--seed", "5", "--restart"]):
        assert CliRunner().invoke(main, [*command, run, *extra], catch_exceptions=False).exit_code == 0
    result = CliRunner().invoke(main, [*command, str(folders[0]), "--restart"], catch_exceptions=False)
    assert result.exit_code == 7
    assert (folders[0] / "000.png").is_file()


def test_a_name_that_no_preset_can_have_is_refused_before_any_work(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("../x", "", ".."):
        command = ["train", *map(str, folders), "--name", name, *TINY, "--steps", "1"]
        result = CliRunner().invoke(main, command, catch_exceptions=False)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: --name {name}: ")
    assert not (tmp_path / "runs").exists()


def test_restart_keeps_the_run_if_the_new_one_cannot_start(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    command = [
        "train",
        *map(str, folders),
        "--name",
        "x",
        *TINY,
        "--steps",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    assert CliRunner().invoke(main, command, catch_exceptions=False).exit_code == 0
    (folders[0] / "torn.png").write_bytes(b"\x89PNG")
    assert CliRunner().invoke(main, [*command, "--restart"], catch_exceptions=False).exit_code == 3
    assert (tmp_path / "run/preset/preset.toml").is_file()


def test_two_processes_never_work_on_the_same_run(folders: tuple[Path, Path], tmp_path: Path) -> None:
    first = start(folders, tmp_path / "run", steps=100_000)
    wait_for(tmp_path / "run/checkpoints/step-00000002.safetensors", first)
    command = ["train", *map(str, folders), "--name", "tiny", *TINY, "--out", str(tmp_path / "run")]
    for extra in ([], ["--restart"]):
        second = CliRunner().invoke(main, [*command, "--steps", "4", *extra], catch_exceptions=False)
        assert second.exit_code == 6
        assert "run is being written by another process" in second.stderr
    assert list((tmp_path / "run/checkpoints").glob("step-*"))
    first.kill()
    first.communicate()
    # A lock that a killed process has left behind holds nobody up.
    again = CliRunner().invoke(main, [*command, "--steps", "4", "--restart"], catch_exceptions=False)
    assert again.exit_code == 0, again.output


def test_fewer_steps_than_are_done_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    command = ["train", *map(str, folders), "--name", "x", *TINY, "--out", str(tmp_path / "run"), "--steps"]
    assert CliRunner().invoke(main, [*command, "3"], catch_exceptions=False).exit_code == 0
    result = CliRunner().invoke(main, [*command, "2"], catch_exceptions=False)
    assert result.exit_code == 7
    assert "has done 3 steps already" in result.stderr
