"""Presets of one's own are added whole, removed alone, and checked to the last weight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from i2itool.cli import main
from i2itool.errors import OutputError, PresetError
from i2itool.preset import find_preset, shipped_presets_folder, user_presets_folder
from i2itool.preset_store import add_preset, remove_preset


@pytest.fixture(autouse=True)
def source(tmp_path: Path, make_preset: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A preset elsewhere; the user has none, and works in an empty folder."""
    folder = make_preset("tiny")
    monkeypatch.setenv("I2ITOOL_PRESETS", str(tmp_path / "user"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["presets", *arguments])
    return result.exit_code, result.output


def damage(folder: Path) -> None:
    weights = next(folder.glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def test_an_added_preset_is_found_by_its_name_and_has_the_same_weights(source: Path) -> None:
    preset = add_preset(str(source), "mine")
    assert preset.folder == user_presets_folder() / "mine"
    assert find_preset("mine") == preset
    for path in source.glob("*.safetensors"):
        assert (preset.folder / path.name).read_bytes() == path.read_bytes()


def test_a_damaged_preset_is_not_added(source: Path) -> None:
    damage(source)
    with pytest.raises(PresetError, match="damaged"):
        add_preset(str(source), "mine")
    assert not user_presets_folder().exists()


def test_a_name_that_is_taken_is_kept_unless_told(source: Path) -> None:
    add_preset(str(source), "mine")
    with pytest.raises(OutputError, match="--overwrite replaces it"):
        add_preset(str(source), "mine")
    add_preset(str(source), "mine", overwrite=True)
    assert [path.name for path in user_presets_folder().iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["../elsewhere", "", ".", "a/b"])
def test_no_name_leads_out_of_the_folder(name: str, source: Path) -> None:
    with pytest.raises(PresetError, match="impossible preset name"):
        remove_preset(name)
    if name:
        with pytest.raises(PresetError, match="impossible preset name"):
            add_preset(str(source), name)
    assert source.is_dir()


def test_only_ones_own_presets_are_removed(source: Path) -> None:
    add_preset(str(source), "mine")
    remove_preset("mine")
    assert list(user_presets_folder().iterdir()) == []
    for name in ("mine", "day2night"):
        with pytest.raises(PresetError, match="no preset of your own"):
            remove_preset(name)
    assert (shipped_presets_folder() / "day2night").is_dir()


def test_removing_asks_first(source: Path) -> None:
    add_preset(str(source), "mine")
    assert run("remove", "mine")[0] != 0
    assert find_preset("mine")
    assert run("remove", "mine", "--yes")[0] == 0


def test_verify_names_what_is_damaged(source: Path) -> None:
    for name in ("good", "bad"):
        add_preset(str(source), name, overwrite=True)
    code, output = run("verify", "good", "bad")
    assert (code, output) == (0, "good: whole\nbad: whole\n")
    damage(user_presets_folder() / "bad")
    code, output = run("verify")
    assert code == PresetError.exit_code
    assert "good: whole" in output
    assert "bad: " in output
    assert "damaged" in output
