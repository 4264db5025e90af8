"""preset.toml is read strictly, and presets are found where the document says, in that order."""

from __future__ import annotations

from pathlib import Path

import pytest

from i2itool.errors import PresetError
from i2itool.preset import (
    Network,
    Preset,
    Training,
    Weights,
    find_preset,
    list_presets,
    read_preset,
    shipped_presets_folder,
    user_presets_folder,
    write_preset,
)

SHA256 = "0" * 64
MINIMAL = f"""
name = "tiny"
summary = "A test."

[network]
name = "resnet"

[a2b]
file = "a2b.safetensors"
sha256 = "{SHA256}"
"""


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an empty presets folder of the user."""
    monkeypatch.setenv("I2ITOOL_PRESETS", str(tmp_path / "user"))
    working = tmp_path / "work"
    working.mkdir()
    monkeypatch.chdir(working)
    return tmp_path


def put(folder: Path, text: str = MINIMAL) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preset.toml").write_text(text, encoding="utf-8")
    return folder


def test_writing_then_reading_is_identity(tmp_path: Path) -> None:
    preset = Preset(
        name="night-2.1",
        summary='Says "café" and more',
        licence="CC-BY-4.0",
        network=Network(
            name="resnet", hyper={"width": 32, "blocks": 6, "norm": "instance", "dropout": False}
        ),
        b2a=Weights(file="b2a.safetensors", sha256="a" * 64),
        training=Training(method="cyclegan", steps=100, size_px=286, crop_px=256),
        folder=tmp_path,
    )
    write_preset(preset, tmp_path)
    assert read_preset(tmp_path) == preset


def test_what_is_not_stated_takes_the_default(tmp_path: Path) -> None:
    preset = read_preset(put(tmp_path / "tiny"))
    assert (preset.licence, preset.domains.a, preset.domains.b, preset.training) == (
        "unstated",
        "A",
        "B",
        None,
    )
    assert preset.directions == ("a2b",)
    assert preset.weights_path("a2b") == tmp_path / "tiny" / "a2b.safetensors"


def test_a_direction_without_weights_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match=r"'tiny' has no b2a direction \(it has a2b\)"):
        read_preset(put(tmp_path / "tiny")).weights_path("b2a")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = ", "not valid TOML"),
        (MINIMAL + 'colour = "red"', "a2b.colour: extra inputs are not permitted"),
        ('colour = "red"\n' + MINIMAL, "colour: extra inputs are not permitted"),
        ('folder = "/"\n' + MINIMAL, "folder"),
        (MINIMAL.replace('name = "tiny"\n', ""), "name: field required"),
        (MINIMAL.replace("tiny", "../tiny"), "name: string should match"),
        (MINIMAL.replace('file = "a2b', 'file = "../a2b'), "a2b.file: string should match"),
        (MINIMAL.replace(SHA256, "abc"), "a2b.sha256: string should match"),
        ("format = 2\n" + MINIMAL, "format: input should be 1"),
        (
            MINIMAL + '\n[training]\nmethod = "unit"\nsteps = "many"',
            "training.steps",
        ),
    ],
)
def test_a_malformed_preset_is_refused_with_the_file_and_the_place(
    tmp_path: Path, text: str, problem: str
) -> None:
    folder = put(tmp_path / "bad", text)
    with pytest.raises(PresetError) as caught:
        read_preset(folder)
    assert str(folder / "preset.toml") in str(caught.value)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_preset_that_is_not_text_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "bad")
    (tmp_path / "bad" / "preset.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PresetError, match="cannot read"):
        read_preset(tmp_path / "bad")


def test_a_missing_preset_is_refused_with_the_known_names() -> None:
    put(user_presets_folder() / "mine")
    put(Path("runs/today/preset"))
    with pytest.raises(PresetError, match=r"no such preset: other .known: .*mine.*today"):
        find_preset("other")
    with pytest.raises(PresetError, match="no such preset: some/where"):
        find_preset("some/where")


def test_a_run_comes_before_the_users_preset_and_that_before_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    monkeypatch.setattr("i2itool.preset.shipped_presets_folder", lambda: shipped)
    put(shipped / "tiny")
    assert find_preset("tiny").folder == shipped / "tiny"
    put(user_presets_folder() / "tiny")
    assert find_preset("tiny").folder == user_presets_folder() / "tiny"
    put(Path("runs/tiny/preset"))
    assert find_preset("tiny").folder.resolve() == Path("runs/tiny/preset").resolve()
    assert [preset.folder.resolve() for preset in list_presets()] == [Path("runs/tiny/preset").resolve()]


def test_a_path_is_a_presets_folder_or_its_file_or_a_run(tmp_path: Path) -> None:
    folder = put(tmp_path / "elsewhere" / "tiny")
    run = tmp_path / "elsewhere" / "run"
    put(run / "preset")
    assert find_preset(str(folder)).folder == folder
    assert find_preset(str(folder / "preset.toml")).folder == folder
    assert find_preset(str(run)).folder == run / "preset"


def test_a_path_relative_to_the_working_folder_works() -> None:
    put(Path("tiny"))
    for form in ("tiny", "./tiny", "tiny/preset.toml", "tiny/"):
        assert find_preset(form).name == "tiny"
    put(Path("here"), MINIMAL)
    assert find_preset("here/preset.toml").folder == Path("here")


def test_the_list_has_every_readable_preset_once_in_order_of_name() -> None:
    shipped = [preset.name for preset in list_presets()]
    for name in ("zebra", "ant"):
        put(user_presets_folder() / name, MINIMAL.replace("tiny", name))
    put(user_presets_folder() / "broken", "name = ")
    assert [preset.name for preset in list_presets()] == sorted([*shipped, "ant", "zebra"])


def test_the_users_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_presets_folder() == tmp_path / "user"
    monkeypatch.delenv("I2ITOOL_PRESETS")
    assert user_presets_folder().parts[-2:] == ("i2itool", "presets")


def test_the_shipped_presets_are_whole() -> None:
    for path in shipped_presets_folder().glob("*/preset.toml"):
        preset = read_preset(path.parent)
        assert preset.name == path.parent.name
        assert preset.directions
        assert (path.parent / "CARD.md").is_file()
