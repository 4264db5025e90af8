"""A foreign file becomes a preset that is whole, or nothing at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from i2itool.cli import main
from i2itool.errors import I2IError, InputError, OutputError, PresetError
from i2itool.importers import import_checkpoint
from i2itool.networks import build
from i2itool.preset import find_preset
from i2itool.weights import load_network

Saver = Callable[..., Path]


@pytest.fixture
def checkpoint(saved: Saver) -> Path:
    return saved(build("resnet", width=4, blocks=2).state_dict())


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_preset_is_found_by_name_and_runs_like_the_original(saved: Saver, presets: Path) -> None:
    network = build("resnet", width=4, blocks=2, norm="instance_affine").eval()
    preset = import_checkpoint(saved(network.state_dict()), "mine")
    assert preset == find_preset("mine")
    assert preset.folder == presets / "mine"
    assert preset.directions == ("a2b",)
    x = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        assert torch.equal(load_network(preset, "a2b")(x), network(x))


def test_both_directions_go_into_one_preset(saved: Saver, presets: Path) -> None:
    there = build("resnet", width=4, blocks=1)
    back = build("resnet", width=4, blocks=1)
    files = [saved(net.state_dict(), name) for net, name in ((there, "a.pth"), (back, "b.pth"))]
    preset = import_checkpoint(files[0], "both", b2a_file=files[1])
    assert preset.directions == ("a2b", "b2a")
    for direction, network in (("a2b", there), ("b2a", back)):
        loaded = load_network(preset, direction).state_dict()  # type: ignore[arg-type]  # of a literal tuple
        assert all(torch.equal(loaded[key], value) for key, value in network.state_dict().items())


@pytest.mark.usefixtures("presets")
def test_a_file_can_be_the_way_back(checkpoint: Path) -> None:
    assert import_checkpoint(checkpoint, "back", direction="b2a").directions == ("b2a",)


def test_the_card_states_the_source_and_what_is_not_known(checkpoint: Path, presets: Path) -> None:
    import_checkpoint(checkpoint, "mine", licence="BSD, says the author")
    card = (presets / "mine" / "CARD.md").read_text()
    assert checkpoint.name in card
    assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() in card
    assert "BSD, says the author" in card
    assert "width 4, blocks 2, norm instance" in card
    assert "Not known" in card


def test_tensors_that_share_memory_are_taken_apart(saved: Saver, presets: Path) -> None:
    state = build("resnet", width=4, blocks=1).state_dict()
    flat = torch.cat([value.flatten() for value in state.values()])
    parts = torch.split(flat, [value.numel() for value in state.values()])
    shared = {key: part.view_as(state[key]) for key, part in zip(state, parts, strict=True)}
    preset = import_checkpoint(saved(shared), "shared")
    loaded = load_network(preset, "a2b").state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_a_preset_of_that_name_is_kept_unless_told_otherwise(saved: Saver, presets: Path) -> None:
    import_checkpoint(saved(build("resnet", width=4, blocks=1).state_dict()), "mine")
    other = saved(build("resnet", width=4, blocks=2).state_dict(), "other.pth")
    with pytest.raises(OutputError, match=r"already there.*--overwrite"):
        import_checkpoint(other, "mine")
    assert find_preset("mine").network.hyper["blocks"] == 1
    assert import_checkpoint(other, "mine", overwrite=True).network.hyper["blocks"] == 2
    assert files_in(presets) == [
        "mine", "mine/CARD.md", "mine/a2b.safetensors", "mine/preset.toml",
    ]  # fmt: skip


def test_a_failed_replacement_keeps_the_old_preset(checkpoint: Path, presets: Path) -> None:
    import_checkpoint(checkpoint, "mine")
    before = files_in(presets)
    checkpoint.write_bytes(b"PK\x03\x04 no longer a checkpoint")
    with pytest.raises(InputError, match="damaged"):
        import_checkpoint(checkpoint, "mine", overwrite=True)
    assert files_in(presets) == before
    load_network(find_preset("mine"), "a2b")


def test_a_write_that_fails_leaves_nothing_behind(
    checkpoint: Path, presets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_checkpoint(checkpoint, "mine")
    before = files_in(presets)

    def full_disk(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    for name, overwrite in (("new", False), ("mine", True)):
        with pytest.raises(OutputError, match="No space left"):
            import_checkpoint(checkpoint, name, overwrite=overwrite)
    assert files_in(presets) == before


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../up", "two words", "."])
def test_an_impossible_name_is_refused(checkpoint: Path, presets: Path, name: str) -> None:
    with pytest.raises(PresetError, match="impossible preset name"):
        import_checkpoint(checkpoint, name, overwrite=True)
    assert files_in(presets) == []


def test_different_networks_do_not_share_a_preset(saved: Saver, presets: Path) -> None:
    files = [saved(build("resnet", width=4, blocks=n).state_dict(), f"{n}.pth") for n in (1, 2)]
    with pytest.raises(InputError, match="different networks"):
        import_checkpoint(files[0], "both", b2a_file=files[1])
    assert files_in(presets) == []


@pytest.mark.usefixtures("presets")
def test_two_files_for_one_direction_are_refused(checkpoint: Path) -> None:
    with pytest.raises(I2IError, match="one direction"):
        import_checkpoint(checkpoint, "both", direction="b2a", b2a_file=checkpoint)


def test_the_command_imports_and_the_others_list_and_show(checkpoint: Path, presets: Path) -> None:
    done = run("import", checkpoint, "--name", "mine", "--licence", "MIT")
    assert done.exit_code == 0, done.output
    assert str(presets / "mine") in done.stdout

    row = next(line for line in run("presets", "list").stdout.splitlines() if line.startswith("mine"))
    assert row.split() == [
        "mine",
        "a2b",
        "resnet",
        "imported",
        "from",
        checkpoint.name,
        str(presets / "mine"),
    ]
    listed = json.loads(run("presets", "list", "--json").stdout)
    assert next(facts for facts in listed if facts["name"] == "mine")["directions"] == ["a2b"]

    shown = run("presets", "show", "mine").stdout
    assert "verified:   yes" in shown
    assert (presets / "mine" / "CARD.md").read_text() in shown
    facts = json.loads(run("presets", "show", presets / "mine", "--json").stdout)
    assert (facts["licence"], facts["verified"], facts["network"]["name"]) == ("MIT", True, "resnet")


def test_the_commands_end_with_one_line_and_the_documented_code(checkpoint: Path, presets: Path) -> None:
    checkpoint.with_name("bad.pth").write_bytes(b"not weights")
    run("import", checkpoint, "--name", "mine")
    weights = presets / "mine" / "a2b.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    for code, arguments in (
        (3, ("import", checkpoint.with_name("gone.pth"), "--name", "x")),
        (3, ("import", checkpoint.with_name("bad.pth"), "--name", "x")),
        (4, ("import", checkpoint, "--name", "a/b")),
        (6, ("import", checkpoint, "--name", "mine")),
        (4, ("presets", "show", "unheard-of")),
        (4, ("presets", "show", "mine")),
    ):
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (code, ""), arguments
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
