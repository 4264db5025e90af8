"""Nothing costs the last good checkpoint: not a torn file, not a lost bit, not a NaN."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from i2itool.trainer.checkpoint import (
    drop_best,
    list_checkpoints,
    load_best,
    load_checkpoint,
    load_last,
    save_best,
    save_checkpoint,
)
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.data import open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.holdout import Holdout
from i2itool.trainer.run import RunFolder

from i2itool.console import SilentReporter
from i2itool.errors import TrainingError
from i2itool.pictures import read_picture

from .test_resume import CallAfter, Crash, crash, train, weights_of

MakeConfig = Callable[..., TrainConfig]
STATE = {
    "x": torch.arange(7.0),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "empty": torch.ones(0),
    "n": [1, None],
}


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_last_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [tear, empty, flip_last_bit])
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_to_the_same_bits(
    folders: tuple[Path, Path],
    make_tiny_config: MakeConfig,
    tmp_path: Path,
    damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = make_tiny_config("cyclegan")
    train(config, folders, tmp_path / "whole")
    with pytest.raises(Crash):
        train(config, folders, tmp_path / "broken", CallAfter(5, crash))
    before, last = list_checkpoints(tmp_path / "broken/checkpoints")
    damage(last)
    with caplog.at_level(logging.WARNING):
        train(config, folders, tmp_path / "broken")
    (warning,) = [record.message for record in caplog.records if "damaged" in record.message]
    assert warning.endswith(f"{last}; going on from the one before, {before.name}")

    assert weights_of(tmp_path / "broken") == weights_of(tmp_path / "whole")
    for path in list_checkpoints(tmp_path / "whole/checkpoints"):
        assert (tmp_path / "broken/checkpoints" / path.name).read_bytes() == path.read_bytes()
    lines = (tmp_path / "broken/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_a_damaged_checkpoint_is_set_aside_until_the_next_is_written(tmp_path: Path) -> None:
    for step in (2, 3):
        save_checkpoint(tmp_path, step, STATE)
    tear(tmp_path / "step-00000003.safetensors")
    assert load_last(tmp_path) is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000002.safetensors",
        "step-00000003.damaged",
    ]
    # Had it kept its place, the good one would go now.
    save_checkpoint(tmp_path, 4, STATE)
    assert [path.stem for path in list_checkpoints(tmp_path)] == ["step-00000002", "step-00000004"]
    assert not list(tmp_path.glob("*.damaged"))


def test_damaged_checkpoints_alone_are_an_error_and_stay(tmp_path: Path) -> None:
    assert load_last(tmp_path) is None
    for step in (1, 2):
        tear(save_checkpoint(tmp_path, step, STATE))
    with pytest.raises(TrainingError, match=r"step-00000002.*--restart begins anew"):
        load_last(tmp_path)
    assert len(list_checkpoints(tmp_path)) == 2


def test_any_flipped_bit_is_found_or_harmless(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 7, STATE)
    whole = path.read_bytes()
    num_found = 0
    for place in range(len(whole)):
        for bit in (1, 1 << place % 8):
            damaged = bytearray(whole)
            damaged[place] ^= bit
            path.write_bytes(damaged)
            try:
                loaded = load_checkpoint(path)
            except TrainingError:
                num_found += 1
                continue
            assert loaded.keys() == STATE.keys(), place
            assert loaded["n"] == STATE["n"], place
            for name in ("x", "half", "empty"):
                assert loaded[name].dtype == STATE[name].dtype, place  # type: ignore[attr-defined]
                assert torch.equal(loaded[name], STATE[name]), place  # type: ignore[arg-type]
    assert num_found > len(whole)


def test_a_checkpoint_without_a_digest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load, save

    path = save_checkpoint(tmp_path, 7, STATE)
    whole = path.read_bytes()
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    path.write_bytes(save(load(whole), {"state": header["__metadata__"]["sha256 and state"][64:]}))
    assert torch.equal(load_checkpoint(path)["x"], STATE["x"])  # type: ignore[arg-type]


def test_the_best_of_both_kept_checkpoints_stay(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_best(tmp_path, step, STATE)
    save_checkpoint(tmp_path, 2, STATE)
    save_checkpoint(tmp_path, 4, STATE)
    drop_best(tmp_path)
    assert sorted(path.stem for path in tmp_path.glob("best-*")) == ["best-00000002", "best-00000003"]
    # The last one is damaged: what came behind the one before will come again.
    tear(tmp_path / "step-00000004.safetensors")
    load_last(tmp_path)
    drop_best(tmp_path)
    assert [path.stem for path in tmp_path.glob("best-*")] == ["best-00000002"]


def test_a_damaged_best_step_names_the_way_out(tmp_path: Path) -> None:
    save_best(tmp_path, 3, STATE)
    flip_last_bit(tmp_path / "best-00000003.safetensors")
    with pytest.raises(TrainingError, match="--export last"):
        load_best(tmp_path, 3)


def test_weights_that_are_not_finite_are_never_saved(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    # The first update makes every weight infinite, and the losses were taken before it.
    config = make_tiny_config("cyclegan", adam={"rate": 1e39}, checkpoint_every=1)
    with pytest.raises(TrainingError, match="are not finite after step 1"):
        train(config, folders, tmp_path / "run")
    assert list_checkpoints(tmp_path / "run/checkpoints") == []


@pytest.mark.parametrize(("export", "step"), [("best", 2), ("last", 4)])
def test_provenance_and_preset_tell_the_scores_of_the_exported_step(
    folders: tuple[Path, Path],
    make_tiny_config: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    export: str,
    step: int,
) -> None:
    coming = {2: 9.0, 4: 5.0}
    monkeypatch.setattr(Holdout, "score", lambda *_: {"psnr": coming.pop(min(coming))})
    config = make_tiny_config("cyclegan", eval_every=2, export=export, steps=4)
    picture = read_picture(folders[0] / "000.png")
    holdout, run = Holdout([picture], [picture], {0: picture}, None), RunFolder(tmp_path)
    data = open_data(folders, config)
    preset = fit(config, data, run, device=torch.device("cpu"), reporter=SilentReporter(), holdout=holdout)
    assert preset.training is not None
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    assert (preset.training.steps, preset.training.scores) == (step, {"psnr": {2: 9.0, 4: 5.0}[step]})
    assert provenance["scores"] == preset.training.scores


def test_what_a_power_cut_has_torn_beside_the_checkpoints_stops_no_run(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_tiny_config("cyclegan", preview_every=2)
    train(config, folders, tmp_path / "whole")
    with pytest.raises(Crash):
        train(config, folders, tmp_path / "broken", CallAfter(5, crash))
    broken = tmp_path / "broken"
    with (broken / "metrics.jsonl").open("ab") as file:
        file.write(b'[]\n{"no": 1}\n\x00\x00\xff\n{"step": 7, "G_A"')
    (broken / "previews/00000002.png").write_bytes(b"")
    (broken / "provenance.json").write_bytes(b"\x00" * 100)
    train(config, folders, broken)
    assert weights_of(broken) == weights_of(tmp_path / "whole")
    lines = (broken / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert (broken / "report.html").read_text().count("data:image/jpeg") == 2


def test_a_recipe_that_is_no_text_is_an_error(
    folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path
) -> None:
    (tmp_path / "train.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(TrainingError, match="not a recipe of this version"):
        train(make_tiny_config("cyclegan"), folders, tmp_path)


def test_pictures_that_came_or_went_are_told_on_resume(
    folders: tuple[Path, Path],
    make_tiny_config: MakeConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    train(make_tiny_config("cyclegan", steps=1), folders, tmp_path / "run")
    train(make_tiny_config("cyclegan", steps=2), folders, tmp_path / "run")
    assert "pictures now" not in caplog.text
    (folders[1] / "000.png").unlink()
    train(make_tiny_config("cyclegan", steps=3), folders, tmp_path / "run")
    assert "B has 6 pictures now, and had 7 before" in caplog.text
